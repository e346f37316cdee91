// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/connsync"
	"github.com/weir-lb/weir/internal/connsync/ipvs"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/reconcile"
	"github.com/weir-lb/weir/internal/report"
	"github.com/weir-lb/weir/internal/vrrp"
)

// sharing is connection sync as it shall run.
type sharing struct {
	model.SyncWant
	services uint64 // a sum of them: see connsync.Want
}

// sharer is the target of connection sync with other weirs: its keys are read here, where that can be tried again.
type sharer struct {
	follow   func(connsync.Want)
	tellEnds func(on bool)
	made     sharing // what runs; of it nothing is read again
}

func (t *sharer) Apply(_ context.Context, want sharing) error {
	if reflect.DeepEqual(t.made, want) {
		return nil
	}
	to, err := wantOf(want)
	t.follow(to)
	t.tellEnds(len(to.Peers) > 0)
	if t.made = want; err != nil {
		t.made = sharing{}
	}
	return err
}

// wantOf is nobody where there is a fault: what was wanted before may be what is wrong.
func wantOf(want sharing) (connsync.Want, error) {
	if len(want.Peers) == 0 || want.Fault != "" {
		return connsync.Want{}, nil
	}
	keys, err := connsync.LoadKeys(want.KeyFile)
	if err != nil {
		return connsync.Want{}, err
	}
	out := connsync.Want{Interface: want.Interface, Keys: keys, Services: want.services,
		Local: netip.AddrPortFrom(cmp.Or(want.Source, model.AnyDestination(want.Peers[0])), want.Port)}
	for _, peer := range want.Peers {
		out.Peers = append(out.Peers, netip.AddrPortFrom(peer, want.Port))
	}
	return out, nil
}

// sumOf is equal on two directors that have the same services and servers, in whatever order.
func sumOf(services []model.Service) (sum uint64) {
	for _, service := range services {
		for _, key := range service.Keys() {
			sum += hash(key, "")
			for _, server := range service.Servers {
				sum += hash(key, fmt.Sprint(server.Key, server.Forwarding))
			}
		}
	}
	return sum
}

func hash(service model.ServiceKey, server string) uint64 {
	h := fnv.New64a()
	fmt.Fprintln(h, service, server) // it never fails
	return h.Sum64()
}

// tellEnds has peers told of what ends, so that they hold it no longer.
func (d *daemon) tellEnds(on bool) {
	if on {
		d.path.TellEnds(d.peers.Ended)
	} else {
		d.path.TellEnds(nil)
	}
}

// sharingDone says what keeps connections from being shared with any peer, each time that it is something else than was
// said before: what is published may be older than that.
func (d *daemon) sharingDone() func(sharing, error) {
	said := ""
	return func(_ sharing, err error) {
		if fault := text(err); fault != said {
			said = fault
			d.tell(func(s *model.Seen) { s.Sync.Fault = fault })
		}
	}
}

// peerTurned is urgent where a takeover waits for a peer. What a living master serves is held here until it says that it
// has ended.
func (d *daemon) peerTurned(state connsync.State) {
	d.path.Hold(slices.ContainsFunc(d.peers.States(), serves))
	d.tellNow(func(s *model.Seen) {
		address := state.Peer.Addr()
		s.Sync.Peers = maps.Clone(s.Sync.Peers)
		if s.Sync.Peers == nil {
			s.Sync.Peers = map[model.Addr]model.SyncPeerSeen{}
		}
		s.Sync.Peers[address] = fromPeer(state, s.Sync.Peers[address], time.Now())
	})
}

func serves(s connsync.State) bool {
	return s.Heard && (s.Role == connsync.RoleAll || s.Role == connsync.RoleSome)
}

// fromPeer is how a peer stands that stood otherwise before.
func fromPeer(s connsync.State, before model.SyncPeerSeen, now time.Time) model.SyncPeerSeen {
	out := model.SyncPeerSeen{State: model.SyncJoining, Since: now, Why: cmp.Or(s.Problem, missing(s)), Other: s.Servers}
	switch {
	case !s.Heard:
		out.State = model.SyncSilent
	case s.InSync && s.Has:
		out.State = model.SyncReady
	}
	if s.Role != 0 {
		out.Role = s.Role.String()
	}
	if s.Version == 0 {
		out.Foreign = s.Newest
	}
	if out.State == before.State && !before.Since.IsZero() {
		out.Since = before.Since
	}
	if out.RoleSince = now; out.Role == before.Role {
		out.RoleSince = before.RoleSince
	}
	return out
}

// missing is what keeps a peer that is heard from being in sync; "": nothing does, or nothing is known of it.
func missing(s connsync.State) string {
	switch {
	case s.Newest != 0 && s.Version == 0:
		return fmt.Sprintf("it speaks other versions (newest %d)", s.Newest)
	case !s.Heard:
		return ""
	case !s.InSync:
		return "not all of its connections are here yet"
	case !s.Has:
		return "it has not got all connections from here yet"
	}
	return ""
}

// handover is the target of the packets' path. Before the path leaves a service to another director, the others are told
// what has changed: afterwards nobody asks for that, and the other one waits for nothing but the end of it.
type handover struct {
	path  reconcile.Target[model.DataplaneWant]
	peers interface {
		Serve(connsync.Role)
		Flush(ctx context.Context, within time.Duration) error
	}
	log     *slog.Logger
	use     func(ipvs.Marks)          // directors of LVS are told of what is served, too
	served  map[model.ServiceKey]bool // by the path, as far as is known
	routers map[string]bool           // whose services that are
	role    connsync.Role             // that peers were told
}

const (
	// flushWithin bounds how long peers are waited for, from when the virtual router was master last: a director whose
	// peer has just died hears no answer. One that lives answers at once, but for a busy machine, where a fifth of a second
	// may be nothing; and what it has not got is lost for good. The path serves on meanwhile, and nobody takes over: the
	// rest of that second is for letting go.
	flushWithin = vrrp.ReleaseWithin * 3 / 4
	// flushAtLeast is for peers that answer at once, when that time is over already: another virtual router has left just
	// before, and its peers were waited for, or the host is so busy, or the path is tried again.
	flushAtLeast = 50 * time.Millisecond
	// flushEnds bounds that and the walks over the table before it, each of some 50 ms for a million connections.
	flushEnds = 2 * time.Second
)

func (h *handover) Apply(ctx context.Context, want model.DataplaneWant) error {
	role := roleOf(want.Services)
	if h.leaves(want.Services) {
		h.flush(ctx, h.remains(want, time.Now()))
	}
	if role != connsync.RoleNone { // peers take in what the master before has told, as soon as they can; nobody waits for it
		h.serve(role)
	}
	h.use(marksOf(want.Services))
	err := h.path.Apply(ctx, want)
	if err == nil { // else what was served may be served still, and what changes there is told
		h.remember(want)
		h.serve(role)
	}
	return err
}

// leaves says whether a service that is served is to be no more, since another director takes it over.
func (h *handover) leaves(services []model.ServiceWant) bool {
	return slices.ContainsFunc(services, func(s model.ServiceWant) bool { return h.served[s.Key] && !s.Serving })
}

// remains is how long peers may be waited for: as the virtual router allows that has left first.
func (h *handover) remains(want model.DataplaneWant, now time.Time) time.Duration {
	left := now
	for name := range h.routers {
		if at, ceased := want.Ceased[name]; ceased && !want.Routers[name] && at.Before(left) {
			left = at
		}
	}
	return max(flushWithin-now.Sub(left), flushAtLeast)
}

func (h *handover) remember(want model.DataplaneWant) {
	h.served, h.routers = map[model.ServiceKey]bool{}, want.Routers
	for _, s := range want.Services {
		h.served[s.Key] = s.Serving
	}
}

// serve says it once: each time is a new beginning for peers.
func (h *handover) serve(role connsync.Role) {
	if h.role != role {
		h.role = role
		h.peers.Serve(role)
	}
}

func (h *handover) flush(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, flushEnds)
	defer cancel()
	if err := h.peers.Flush(ctx, within); err != nil {
		h.log.Warn("services are left to another director that may not know all of their connections", "err", err)
	}
}

// roleOf is how much of the services is served here.
func roleOf(services []model.ServiceWant) connsync.Role {
	serving := 0
	for _, s := range services {
		if s.Serving {
			serving++
		}
	}
	switch serving {
	case 0:
		return connsync.RoleNone
	case len(services):
		return connsync.RoleAll
	}
	return connsync.RoleSome
}

// syncMemory knows what was counted of peers a while ago, for whoever asks.
type syncMemory struct {
	mu     sync.Mutex
	memory report.SyncMemory
}

func (m *syncMemory) lately(now time.Time, counts map[model.Addr]report.SyncCounts) report.SyncLately {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memory.Lately(now, counts)
}

// syncReadings is also called now and then when nobody asks, so that the memory is one of minutes.
func (d *daemon) syncReadings(now time.Time) report.SyncReadings {
	states := d.peers.States()
	return report.SyncReadings{Peers: fromStates(states), IPVS: fromIPVS(d.lvs.Counts()), Lately: d.memory.lately(now, fromStates(states))} // which keeps its own
}

func fromStates(states []connsync.State) map[model.Addr]report.SyncCounts {
	out := map[model.Addr]report.SyncCounts{}
	for _, s := range states {
		c := s.Counts
		out[s.Peer.Addr()] = report.SyncCounts{Lag: s.Lag, Queue: uint64(s.Queue), Sent: c.Sent, Unsent: c.Unsent, Received: c.Received,
			Lost: c.Lost, Refused: named(c.Refused), Dropped: c.Dropped, Rejected: maps.Clone(c.Rejected)}
	}
	return out
}
