// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"structs"
	"time"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

// tableOf is a service's table as schedulers have it, made of its slots: the inverse of makeHeads and
// makeHash. A server is named by its index in servers.
func tableOf(slots []pathSlot, servers []candidate) (t sched.Table, err error) {
	head, walked := slots[0], slots[1:1+slots[0].Server]
	second, behind := slots[1+head.Server], slots[2+head.Server:] // and what fills the last block up
	indexes := newIndexes(servers)
	for _, slot := range walked {
		s := sched.Slot{Server: indexes.of(slot), Weight: slot.Weight}
		if s.Server >= 0 {
			s.Key = serverKey(servers[s.Server].server)
		}
		t.Slots = append(t.Slots, s)
	}
	t.Version, t.Top, t.Divisor = head.Generation, head.Weight, head.Divisor
	t.Buckets = indexes.ofAll(behind[:second.Weight])
	t.Hash = indexes.ofAll(behind[second.Weight : second.Weight+second.Server])
	return t, indexes.err
}

// indexes finds servers by what slots say of them.
type indexes struct {
	by  map[[2]uint32]int // id and generation
	err error             // a slot names a server that is not there
}

func newIndexes(servers []candidate) *indexes {
	out := &indexes{by: map[[2]uint32]int{}}
	for i, c := range servers {
		out.by[[2]uint32{c.id, c.server.Generation}] = i
	}
	return out
}

func (x *indexes) of(s pathSlot) int {
	i, found := x.by[[2]uint32{s.Server, s.Generation}]
	if !found {
		x.err = ErrChanging
		return -1
	}
	return i
}

func (x *indexes) ofAll(slots []pathSlot) (out []int) {
	for _, slot := range slots {
		out = append(out, x.of(slot))
	}
	return out
}

// natPicks is how many servers are asked in all where a NAT server's way back is another connection's:
// schedule of bpf/weir.bpf.c.
const natPicks = 3

// begin is the way of a packet that begins a connection: begin and schedule of bpf/weir.bpf.c.
func (x *explaining) begin() (model.Way, error) {
	if x.found.Generation == 0 {
		return way(pathVerdictVERDICT_NO_SERVICE, ""), nil
	}
	out, refused, err := x.refused()
	if err != nil || refused {
		return out, err
	}
	if n, full, err := x.waits(); err != nil || full {
		reason := fmt.Sprintf("half_open: %d is reached, %d wait for their client's second packet; ", x.found.HalfOpen, n)
		return x.byHash(pathVerdictVERDICT_HALF_OPEN, pathVerdictVERDICT_HASHED_HALF_OPEN, reason), err
	}
	if x.kept.follows() {
		return x.persist()
	}
	memory, err := x.memory()
	if err != nil {
		return out, err
	}
	flags := model.SchedulerFlags{Port: x.has(pathServiceFlagSERVICE_HASH_PORT), Fallback: x.has(pathServiceFlagSERVICE_HASH_FALLBACK)}
	twin := sched.Restore(x.out.Scheduler, flags, memory)
	if twin == nil {
		return out, fmt.Errorf("service %s: scheduler %d has no twin", x.out.Service, x.found.Scheduler)
	}
	return x.schedule(twin)
}

// persist is the way to the server that the client's template names, whatever the scheduler would say.
func (x *explaining) persist() (model.Way, error) {
	server := x.kept.server
	if clash, err := x.clashes(server); err != nil || clash {
		return way(pathVerdictVERDICT_NAT_CLASH, clashText(serverKey(server))), err
	}
	forwarding := pathForwarding(server.Forwarding)
	return toward(forwarded(server, forwarding), server, forwarding, x.kept.reason()), nil
}

func clashText(server model.ServerKey) string {
	return fmt.Sprintf("the way back from %s is another connection's", server)
}

// schedule asks the twin, and again where the way back of what it picks is taken.
func (x *explaining) schedule(twin sched.Twin) (model.Way, error) {
	taken := x.kept.reason()
	for range natPicks {
		x.choice = twin.Explain(x.table, x.ask())
		if x.choice.Shares != nil {
			return x.drawn(taken), nil
		}
		if !x.choice.Found {
			return way(pathVerdictVERDICT_NO_SERVER, x.reason(taken, -1)), nil
		}
		picked := x.choice.Slot.Server
		clash, err := x.clashes(x.servers[picked].server)
		if err != nil {
			return model.Way{}, err
		}
		if !clash {
			server := x.servers[picked].server
			forwarding := pathForwarding(server.Forwarding)
			return toward(forwarded(server, forwarding), server, forwarding, x.reason(taken, picked)), nil
		}
		taken += clashText(serverKey(x.servers[picked].server)) + "; "
	}
	return way(pathVerdictVERDICT_NAT_CLASH, strings.TrimSuffix(taken, "; ")), nil
}

// drawn is the way where lots are drawn: whatever is the same for every server that may be drawn.
func (x *explaining) drawn(before string) model.Way {
	exits := map[pathVerdict]bool{}
	out := model.Way{Reason: x.reason(before, -1)}
	for i := range x.choice.Shares {
		server := x.servers[i].server
		v := forwarded(server, pathForwarding(server.Forwarding))
		exits[v] = true
		out.Verdict, out.Means = verdictTexts[v].name, verdictTexts[v].help
	}
	if len(exits) > 1 {
		out.Verdict, out.Means = "", ""
	}
	return out
}

// clashes: the entry by which a NAT server's answers would come back is another connection's.
func (x *explaining) clashes(server pathServer) (bool, error) {
	if pathForwarding(server.Forwarding) != pathForwardingFORWARDING_NAT {
		return false, nil
	}
	port := server.Port
	if port == 0 {
		port = toPort(x.flow.Virtual.Port())
	}
	back := pathFlow{
		Source: server.Address, SourcePort: port, Protocol: uint8(x.flow.Protocol),
		Destination: toAddr(x.flow.Client.Addr()), DestinationPort: toPort(x.flow.Client.Port()),
	}
	at, err := x.d.find(back)
	if err != nil {
		return false, err
	}
	if at == nil {
		return x.isAwaited(back)
	}
	owner, err := x.d.forwardOf(at)
	if err != nil || owner == nil {
		return true, err
	}
	ends := x.conn != nil && owner.position == x.conn.position // it goes with the connection that ends first
	return !ends && !isOver(word(owner.conn.Word)), nil
}

// isAwaited: the answer would be that of another question, which waits: question_waits of bpf/question.h.
func (x *explaining) isAwaited(answer pathFlow) (bool, error) {
	if !x.has(pathServiceFlagSERVICE_ONE_PACKET) {
		return false, nil
	}
	other, err := x.d.question(answer)
	if err != nil || other == nil || word(other.conn.Word).has(pathConnFlagCONN_FIN_SERVER) {
		return false, err
	}
	asked := toFlow(x.flow)
	return other.conn.Destination != asked.Destination || other.conn.DestinationPort != asked.DestinationPort, nil
}

// ask is what the scheduler may know of the connection and the servers.
func (x *explaining) ask() sched.Ask {
	return sched.Ask{
		Client: x.flow.Client, Virtual: x.flow.Virtual, Name: x.name,
		Load: func(i int) sched.Load {
			return sched.Load{Active: x.servers[i].load.Active, Inactive: x.servers[i].load.Inactive}
		},
		Full: func(i int) bool { return isFull(x.servers[i].load, x.servers[i].server) },
	}
}

func (x *explaining) name(i int) string { return serverKey(x.servers[i].server).String() }

// memory is what the path remembers of the service between two connections.
func (x *explaining) memory() (m sched.Memory, err error) {
	switch x.out.Scheduler {
	case model.RR, model.WRR:
		var position uint64
		if err = x.d.path.Positions.Lookup(x.found.Id, &position); err != nil {
			return m, fmt.Errorf("read positions: %w", err)
		}
		m.Turn, m.WRR = position, fromWRR(position)
	case model.LBLC:
		m.Near, err = x.nearest()
	case model.LBLCR:
		m.Near, err = x.nearSet()
	}
	return m, err
}

// fromWRR is union wrr of bpf/wrr.h.
func fromWRR(word uint64) sched.WRR {
	return sched.WRR{Version: uint32(word), Index: int(uint16(word >> 32)), Threshold: uint32(word >> 48)}
}

func (x *explaining) nearKey() pathNearKey {
	return pathNearKey{Service: x.found.Id, Generation: x.found.Generation, Address: toAddr(x.flow.Virtual.Addr())}
}

// nearest is what lblc remembers of the address, as bpf/lblc.h believes it.
func (x *explaining) nearest() (map[netip.Addr][]model.ServerKey, error) {
	key := x.nearKey()
	var near pathNear
	if found, err := x.remembered(x.d.path.Nearest, &key, &near, func() uint32 { return near.Used }); !found {
		return nil, err
	}
	return x.near([]member{near.Member})
}

// nearSet is what lblcr remembers of it, as bpf/lblcr.h believes it.
func (x *explaining) nearSet() (map[netip.Addr][]model.ServerKey, error) {
	key := x.nearKey()
	var set pathNearSet
	if found, err := x.remembered(x.d.path.NearSets, &key, &set, func() uint32 { return set.Used }); !found {
		return nil, err
	}
	var joined []member
	for i := int(set.Count) - 1; i >= 0; i-- { // who joined last comes first
		joined = append(joined, set.Members[i])
	}
	return x.near(joined)
}

// member is one of struct member, which bpf2go leaves without a name.
type member = struct {
	_          structs.HostLayout
	Server     uint32
	Generation uint32
}

// nearExpires is LBLC_EXPIRES of bpf/lblc.h.
const nearExpires = 24 * time.Hour

// remembered reads what is there of an address, unless it is too old to be believed.
func (x *explaining) remembered(m *ebpf.Map, key *pathNearKey, value any, used func() uint32) (bool, error) {
	err := m.Lookup(key, value)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read what is remembered of %s: %w", x.flow.Virtual.Addr(), err)
	}
	return idle(used(), x.d.now(), x.d.hz) <= nearExpires, nil
}

// near are the servers of the address that are still there.
func (x *explaining) near(members []member) (map[netip.Addr][]model.ServerKey, error) {
	var keys []model.ServerKey
	for _, m := range members {
		server, err := x.d.readServer(m.Server)
		if err != nil {
			return nil, err
		}
		if server.Generation == m.Generation {
			keys = append(keys, serverKey(server))
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return map[netip.Addr][]model.ServerKey{x.flow.Virtual.Addr(): keys}, nil
}

// namedAtMost is how many servers that are passed over are named: nobody reads a list of a hundred.
const namedAtMost = 3

// reason is why a server is picked, and who was passed over.
func (x *explaining) reason(before string, picked int) string {
	var passed []string
	more := 0
	for i, c := range x.servers {
		why := c.passed()
		switch {
		case why == 0 || i == picked: // lblc keeps a server that is full
		case len(passed) == namedAtMost:
			more++
		default:
			passed = append(passed, x.name(i)+" "+passedWords[why])
		}
	}
	text := before + x.out.Scheduler.String() + ": " + x.choice.Why
	if len(passed) > 0 {
		text += "; " + strings.Join(passed, ", ")
	}
	if more > 0 {
		text += fmt.Sprintf(", and %d more are passed over", more)
	}
	return text
}

var passedWords = map[model.Passed]string{
	model.PassedWeight: "has weight 0", model.PassedFull: "is full",
	model.PassedUnreachable: "is unreachable", model.PassedLeaving: "is leaving",
}
