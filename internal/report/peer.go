// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Peer is another director that connections are shared with, or all directors of LVS on a link, and how that goes.
type Peer struct {
	Name    string // its address; of directors of LVS their group
	Dialect Dialect
	State   PeerState
	Since   time.Time // zero: not known
	Why     string    // it is in this state, on one line; "": it is plain
	Role    string    // what it serves, by its own word; "": it has not said so
	Counts  SyncCounts
}

// Dialect is how connections are told.
type Dialect string

const (
	DialectWeir Dialect = "weir"
	DialectIPVS Dialect = "ipvs" // as the kernels of LVS's directors do it
)

// PeerState is how a peer stands. Directors of LVS say nothing of themselves, so of them it is known only whether
// there is a way to them.
type PeerState string

const (
	PeerFault   PeerState = "fault" // nothing is sent or heard
	PeerSilent  PeerState = "silent"
	PeerJoining PeerState = "joining"
	PeerInSync  PeerState = "in sync"
	PeerOpen    PeerState = "open" // of directors of LVS: no fault
)

// SyncReadings are what was counted of connection sync.
type SyncReadings struct {
	Peers  map[model.Addr]SyncCounts // since each is one
	IPVS   SyncCounts                // since the daemon speaks it
	Lately SyncLately
}

// SyncLately is what was counted for a while until now. Of a peer that is not in it nothing was.
type SyncLately map[model.Addr]SyncCounts

// SyncCounts is what has happened with a peer. Lag and Queue are of this moment.
type SyncCounts struct {
	Lag      time.Duration            // how long the oldest change has waited that the peer has not got yet
	Queue    uint64                   // changes that wait to be sent
	Sent     uint64                   // datagrams
	Unsent   uint64                   // that the kernel did not take
	Received uint64                   // that counted
	Lost     uint64                   // that were missing for good; slices are compared then
	Refused  map[string]uint64        // that did not count, by why
	Dropped  uint64                   // changes that found no room in the queue; slices are compared then
	Rejected map[model.Refusal]uint64 // connections that have no place here
}

// since is what was counted since then. Who has less than before has begun anew.
func (c SyncCounts) since(before SyncCounts) SyncCounts {
	out := SyncCounts{Lag: c.Lag, Queue: c.Queue, Sent: grown(c.Sent, before.Sent), Unsent: grown(c.Unsent, before.Unsent),
		Received: grown(c.Received, before.Received), Lost: grown(c.Lost, before.Lost), Dropped: grown(c.Dropped, before.Dropped),
		Refused: map[string]uint64{}, Rejected: map[model.Refusal]uint64{}}
	for why, n := range c.Refused {
		out.Refused[why] = grown(n, before.Refused[why])
	}
	for why, n := range c.Rejected {
		out.Rejected[why] = grown(n, before.Rejected[why])
	}
	return out
}

func grown(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// SyncMemory knows counts of a while ago. It is told them now and then, and has no clock.
type SyncMemory struct {
	kept []syncKept // the oldest first; the first is as old as it may be, or there is no older one
}

type syncKept struct {
	at     time.Time
	counts map[model.Addr]SyncCounts
}

const (
	// syncWhile is what is lately; what is wrong for good is counted again within it, since slices are compared.
	syncWhile = 2 * time.Minute
	syncEvery = 10 * time.Second
)

// Lately is what was counted until now, for two minutes or as long as it remembers.
func (m *SyncMemory) Lately(now time.Time, counts map[model.Addr]SyncCounts) SyncLately {
	for len(m.kept) > 1 && !now.Before(m.kept[1].at.Add(syncWhile)) {
		m.kept = m.kept[1:]
	}
	if n := len(m.kept); n == 0 || !now.Before(m.kept[n-1].at.Add(syncEvery)) {
		m.kept = append(slices.Clip(m.kept), syncKept{now, counts})
	}
	out := SyncLately{}
	for peer, c := range counts {
		if before, known := m.kept[0].counts[peer]; known {
			out[peer] = c.since(before)
		} else {
			out[peer] = c
		}
	}
	return out
}

// peers are in the order of the configuration, directors of LVS last.
func peers(in Input) (out []Peer) {
	want := in.Desired.Sync
	fault := cmp.Or(want.Fault, in.Seen.Sync.Fault)
	for _, address := range want.Peers {
		seen := in.Seen.Peer(address, in.Seen.PeerSince[address])
		peer := Peer{Name: address.String(), Dialect: DialectWeir, State: PeerState(seen.State.String()), Since: seen.Since,
			Why: seen.Why, Role: seen.Role, Counts: in.Readings.Sync.Peers[address].clone()}
		if fault != "" {
			peer.State, peer.Why = PeerFault, fault
		}
		out = append(out, peer)
	}
	if want.IPVS.Interface != "" {
		peer := Peer{Name: want.IPVS.Group.String(), Dialect: DialectIPVS, State: PeerOpen, Counts: in.Readings.Sync.IPVS.clone()}
		if fault := cmp.Or(want.IPVSFault, in.Seen.Sync.IPVSFault); fault != "" {
			peer.State, peer.Why = PeerFault, fault
		}
		out = append(out, peer)
	}
	return out
}

func (c SyncCounts) clone() SyncCounts {
	c.Refused, c.Rejected = maps.Clone(c.Refused), maps.Clone(c.Rejected)
	return c
}

// unshared are peers that this director does not share its connections with as it should. A fault of all of them is
// the plan's to tell.
func unshared(in Input) (out []model.Problem) {
	want := in.Desired.Sync
	if cmp.Or(want.Fault, in.Seen.Sync.Fault) != "" {
		return nil
	}
	for _, address := range want.Peers {
		seen, lately := in.Seen.Peer(address, in.Seen.PeerSince[address]), in.Readings.Sync.Lately[address]
		switch troubled := seen.IsTroubled(in.Now); {
		case troubled && seen.State == model.SyncSilent:
			out = append(out, silent(address, seen, lately, in))
		case troubled:
			out = append(out, model.Problem{
				What: fmt.Sprintf("director %s is not in sync with this one", address),
				Why:  cmp.Or(seen.Why, "one of the two has not got all connections of the other") + ", for " + span(in.Now.Sub(seen.Since)),
				Fix:  "look at the link between the two; `weir sync -o wide` counts what is lost",
			})
		}
		out = append(out, misplaced(address, seen, lately)...)
		out = append(out, overflown(address, lately)...)
	}
	return out
}

// span is a time without fractions.
func span(d time.Duration) string { return d.Truncate(time.Second).String() }

// What connsync calls the reasons that say more than that somebody is silent.
const (
	refusedKey     = "key"
	refusedSeal    = "seal"
	refusedVersion = "version"
)

const sameWeir = "run the same weir on both"

// silent says what is known of a peer that nothing is known of.
func silent(address model.Addr, seen model.SyncPeerSeen, lately SyncCounts, in Input) model.Problem {
	out := model.Problem{
		What: fmt.Sprintf("director %s is silent: connections are not shared with it", address),
		Why:  cmp.Or(seen.Why, "nothing was heard of it") + ", for " + span(in.Now.Sub(seen.Since)),
		Fix: fmt.Sprintf("look whether weir runs there, has this host among its `peers:`, and is let in by firewalls (udp port %d)",
			in.Desired.Sync.Port),
	}
	switch wrong := lately.Refused[refusedKey] + lately.Refused[refusedSeal]; {
	case seen.Foreign != 0:
		out.Fix = sameWeir
	case wrong > 0:
		out.Why = fmt.Sprintf("what comes from it is sealed with another key: %s datagrams of late", model.Grouped(wrong))
		out.Fix = fmt.Sprintf("have the same keys in %s on both directors, and run `weir reload` there", in.Desired.Sync.KeyFile)
	case lately.Refused[refusedVersion] > 0:
		out.Why = "it speaks a version that this one does not"
		out.Fix = sameWeir
	}
	return out
}

// misplaced are connections that a peer tells of, and that have no place here since the services differ; or that there
// may be such.
func misplaced(address model.Addr, seen model.SyncPeerSeen, lately SyncCounts) []model.Problem {
	const fix = "give both directors the same services, servers and forwarding methods, and run `weir reload`"
	var reasons []string
	total := uint64(0)
	for _, why := range []model.Refusal{model.RefusedService, model.RefusedTemplate, model.RefusedServer} {
		if n := lately.Rejected[why]; n > 0 {
			total += n
			reasons = append(reasons, fmt.Sprintf("%s (%s)", why, model.Grouped(n)))
		}
	}
	switch {
	case total == 0 && seen.Other:
		return []model.Problem{{
			What: fmt.Sprintf("director %s has other services or servers than this one", address),
			Why:  "connections of those that only one of the two has are lost at a takeover",
			Fix:  fix,
		}}
	case total == 0:
		return nil
	}
	return []model.Problem{{
		What: fmt.Sprintf("director %s tells of connections that have no place here: %s of late", address, model.Grouped(total)),
		Why:  strings.Join(reasons, "; "),
		Fix:  fix,
	}}
}

// overflown is a queue in which changes found no room.
func overflown(address model.Addr, lately SyncCounts) []model.Problem {
	if lately.Dropped == 0 {
		return nil
	}
	return []model.Problem{{
		What: fmt.Sprintf("director %s is told of connections late: %s changes of late found no room in the queue", address, model.Grouped(lately.Dropped)),
		Why:  "connections change faster than it, or the link to it, takes that in",
		Fix:  "look at the link and at its CPU; what is missing there is told when slices are compared, within seconds",
	}}
}

// PeerTold is what people know of a peer.
type PeerTold struct {
	InSync bool // it is told that it is, else that it is not
	Since  time.Time
}

// peer tells when all connections of a peer are here, and when they are not for longer than a moment.
func (n *news) peer(address model.Addr) {
	seen := n.in.Seen.Peer(address, n.in.Seen.PeerSince[address])
	before, told := n.before.Peers[address]
	if told {
		n.now.Peers[address] = before
	}
	e := model.Event{Time: n.in.Now, Peer: address, Since: before.Since}
	switch {
	case seen.State == model.SyncReady && !(told && before.InSync):
		e.Kind, e.Time = model.SyncReached, seen.Since
	case seen.IsTroubled(n.in.Now) && (!told || before.InSync):
		e.Kind, e.Since = model.SyncLost, time.Time{}
		e.Reason = cmp.Or(seen.Why, "nothing was heard of it") + ", for " + span(n.in.Now.Sub(seen.Since))
	default:
		return
	}
	n.now.Peers[address] = PeerTold{e.Kind == model.SyncReached, e.Time}
	n.events = append(n.events, e)
}
