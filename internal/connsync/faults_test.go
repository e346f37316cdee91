// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/model"
)

// TestFaults is every fault that is nothing but what a peer says.
func TestFaults(t *testing.T) {
	faults.Test(t, []faults.Fault{malformedSync(), clockSet()})
}

// Parts of fault 21.
const (
	crashes   = "crashes"
	entries   = "entries"   // records and ends that were taken of what is malformed
	misread   = "misread"   // datagrams that were taken, or refused for another reason than theirs
	uncounted = "uncounted" // reasons of which not each datagram was counted
)

// malformedSync: what a director hears is broken in every way, most of it sealed with the right key, as another version
// of weir would that has a bug.
func malformedSync() faults.Fault {
	return faults.Fault{
		Number:  21,
		Divided: true, // of LVS's dialect: ./ipvs
		Parts: []faults.Part{
			{Name: crashes, Unit: "crashes"}, {Name: entries, Unit: "connections"}, {Name: misread, Unit: "datagrams"}, {Name: uncounted, Unit: "reasons"},
		},
		Beside: "of what IPVS's backup took and should not have, CVE-2026-98794 and two fixes without a number tell",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			inputs, seed := size.Of(50_000, 1_000_000), uint64(2100)
			return func() (m faults.Measured, err error) {
				seed++
				whole := t.Run("run", func(t *testing.T) { m.Figures = newVictim(t, seed).hears(inputs) })
				if !whole {
					err = errors.New("the run failed")
				}
				return m, err
			}
		},
	}
}

// victim is a backup that knows some connections, and its master, by whose mouth it is told nonsense.
type victim struct {
	*hook
	w      *world
	master *hook
	backup *node
	rand   *rand.Rand
}

func newVictim(t *testing.T, seed uint64) *victim {
	w, master, backup := pair(t, seed)
	w.fill(master, 1000)
	w.until(2*time.Second, "equal", func() bool { return backup.inSync() && differ(master, backup) == 0 })
	w.cut = true // what it answers is of no interest
	return &victim{hook: backup.hookTo(master), w: w, master: master.hookTo(backup), backup: backup, rand: w.rand}
}

// hears tells it so much, in every way in turn, and says what came of it.
func (v *victim) hears(inputs int) map[string]float64 {
	figures := map[string]float64{crashes: 0, entries: 0, misread: 0, uncounted: 0}
	before, table := v.tally.read().Refused, len(v.backup.table)
	var sent [reasons]uint64
	for n := range inputs {
		nonsense := nonsenses[n%len(nonsenses)]
		datagram := nonsense.make(v)
		sent[nonsense.why]++
		changes, why, crashed := v.hear1(datagram)
		if crashed {
			figures[crashes]++
		}
		if figures[entries] += float64(changes); why != nonsense.why {
			figures[misread]++
			if figures[misread] < 5 {
				v.w.t.Logf("%s: refused for %s, not for %s: %x", nonsense.name, why, nonsense.why, datagram)
			}
		}
	}
	after := v.tally.read().Refused
	for why := Taken + 1; why < reasons; why++ {
		if n := after[why] - before[why]; n == 0 || n != sent[why] {
			figures[uncounted]++
			v.w.t.Logf("%s: %d of %d datagrams were counted", why, n, sent[why])
		}
	}
	figures[entries] += float64(max(table-len(v.backup.table), len(v.backup.table)-table))
	return figures
}

// hear1 takes one in as a shell does, and says how much of the table it wants changed.
func (v *victim) hear1(datagram []byte) (changes int, why Reason, crashed bool) {
	defer func() { crashed = recover() != nil }()
	deeds, why := v.hear(v.w.now, datagram)
	for _, d := range deeds {
		changes += len(d.records) + len(d.ids)
	}
	v.do(deeds)
	return changes, why, false
}

// say seals a body as the master does.
func (v *victim) say(k kind, body []byte) []byte { return v.master.seal(message{k, body}) }

// ahead is a position that has not come yet.
func (v *victim) ahead() uint64 { return v.receiver.latest + 1 + uint64(v.rand.IntN(8)) }

// items is a body with some that may be, and a record behind them, spoilt.
func (v *victim) items(last model.Record, spoil func(item []byte)) []byte {
	c := changes{position: v.ahead()}
	for range v.rand.IntN(4) {
		as := []func(*victim) model.Record{someTCP, someUDP, someTemplate}[v.rand.IntN(3)]
		c.items = append(c.items, []item{{record: as(v)}, endedItem(as(v).Identity())}[v.rand.IntN(2)])
	}
	body := c.body()
	body[8]++
	at := len(body)
	body = item{record: last}.append(body)
	spoil(body[at:])
	return body
}

// Where the parts of a record of IPv4 stand.
const (
	flagsAt, protocolAt, whatAt, leftAt, clientAt, virtualAt, serverAt = 0, 1, 2, 3, 7, 13, 19
	portBehind                                                         = 4
)

// spoilt is changes of which the last record is spoilt at one place.
func spoilt(as func(v *victim) model.Record, spoil func(v *victim, item []byte)) func(v *victim) []byte {
	return func(v *victim) []byte {
		return v.say(kindChanges, v.items(as(v), func(item []byte) { spoil(v, item) }))
	}
}

// someTCP is a connection of IPv4 by NAT; someUDP and someTemplate are its like.
func someTCP(v *victim) model.Record {
	return v.w.connection(ofIPv4(v.rand), "ESTABLISHED")
}

func someUDP(v *victim) model.Record {
	r := someTCP(v)
	r.Protocol, r.State = model.UDP, "UDP"
	return r
}

func someTemplate(v *victim) model.Record {
	return v.w.connection(ofIPv4(v.rand), model.Template)
}

// ofIPv4 is the number of a connection of a world; each fifth is of IPv6.
func ofIPv4(r *rand.Rand) int { return 5*r.IntN(1<<20) + 1 }

// not is a random byte that is none of these.
func (v *victim) not(these ...byte) byte {
	for {
		if b := byte(v.rand.Uint32()); !bytes.Contains(these, []byte{b}) {
			return b
		}
	}
}

func put16(at []byte, n uint16) { binary.BigEndian.PutUint16(at, n) }
func put32(at []byte, n uint32) { binary.BigEndian.PutUint32(at, n) }
func put64(at []byte, n uint64) { binary.BigEndian.PutUint64(at, n) }

// body is one of the golden ones, spoilt.
func body(name string, spoil func(v *victim, body []byte)) func(v *victim) []byte {
	for _, row := range bodies {
		if row.name == name {
			return func(v *victim) []byte {
				b := words(row.wire)
				spoil(v, b)
				return v.say(row.kind, b)
			}
		}
	}
	panic("there is no body " + name)
}

// spoiltHeader is an ack whose header is spoilt after it was sealed.
func spoiltHeader(spoil func(v *victim, datagram []byte)) func(v *victim) []byte {
	return func(v *victim) []byte {
		d := v.say(kindAck, ack{1}.body())
		spoil(v, d)
		return d
	}
}

// Places in a greeting and in a wish.
const (
	helloRole, helloFlags, helloLatest, helloKept = 2, 3, 36, 44
	askRequest, askSlices, askHoles               = 1, 5, 37
)

// nonsenses are all ways to be malformed, and why each is refused.
var nonsenses = []struct {
	name string
	why  Reason
	make func(v *victim) []byte
}{
	{"shorter than a header and a seal", ReasonLength, func(v *victim) []byte { return make([]byte, v.rand.IntN(headerSize+sealSize)) }},
	{"longer than any", ReasonLength, func(v *victim) []byte { return make([]byte, mostDatagram+1+v.rand.IntN(700)) }},
	{"longer than its kind", ReasonLength, func(v *victim) []byte {
		return v.say(kindAck, make([]byte, ackSize+1+v.rand.IntN(1000)))
	}},
	{"cut short", ReasonLength, func(v *victim) []byte {
		d := v.say(kindDigests, make([]byte, digestsSize))
		return d[:v.rand.IntN(len(d))]
	}},
	{"half a hole", ReasonLength, func(v *victim) []byte {
		return v.say(kindAsk, append(ask{digests: true}.body(), make([]byte, 1+v.rand.IntN(holeSize-1))...))
	}},
	{"another magic", ReasonMagic, spoiltHeader(func(v *victim, d []byte) { d[0] = v.not('w') })},
	{"another version", ReasonVersion, spoiltHeader(func(v *victim, d []byte) { d[2] = v.not(1) })},
	{"a hello that speaks none", ReasonVersion, body("hello", func(_ *victim, b []byte) { b[0], b[1] = 1, 2 })},
	{"a hello that speaks version 0", ReasonVersion, body("hello", func(_ *victim, b []byte) { b[1] = 0 })},
	{"no kind", ReasonKind, spoiltHeader(func(v *victim, d []byte) { d[3] = v.not(1, 2, 3, 4, 5, 6) })},
	{"another key", ReasonKey, spoiltHeader(func(v *victim, d []byte) { d[4] ^= v.not(0) })},
	{"its own", ReasonOwn, spoiltHeader(func(v *victim, d []byte) { copy(d[8:24], v.with.own[:]) })},
	{"of another start", ReasonEpoch, spoiltHeader(func(v *victim, d []byte) { d[8+v.rand.IntN(16)] ^= v.not(0) })},
	{"sequence 0", ReasonReplay, spoiltHeader(func(_ *victim, d []byte) { put64(d[24:], 0) })},
	{"long over", ReasonReplay, func(v *victim) []byte {
		h := header{version: 1, kind: kindAck, epoch: v.peer, sequence: 1 + v.rand.Uint64N(v.window.top)}
		for !v.window.has(h.sequence) {
			h.sequence--
		}
		return v.of.keys.seal(h, ack{1}.body())
	}},
	{"a bit of the body", ReasonSeal, spoiltHeader(func(v *victim, d []byte) { d[headerSize+v.rand.IntN(len(d)-headerSize)] ^= 1 << v.rand.IntN(8) })},
	{"another sequence", ReasonSeal, spoiltHeader(func(v *victim, d []byte) { d[24] = v.not(0) })},
	{"a greeting of a stranger", ReasonUnproved, func(v *victim) []byte {
		h := header{version: 1, kind: kindHello, sequence: 1 + v.rand.Uint64N(1<<40)}
		put64(h.epoch[:], v.rand.Uint64())
		return v.of.keys.seal(h, hello{newest: 1, oldest: 1, role: RoleAll, answer: v.challenge + 1, kept: 1}.body())
	}},
	{"a hello of no role", ReasonRole, body("hello", func(v *victim, b []byte) { b[helloRole] = v.not(1, 2, 3) })},
	{"a hello with flags", ReasonFlags, body("hello", func(v *victim, b []byte) { b[helloFlags] = v.not(0, 1) })},
	{"a hello that keeps position 0", ReasonPosition, body("hello", func(_ *victim, b []byte) { put64(b[helloKept:], 0) })},
	{"a hello that keeps what was never sent", ReasonPosition, body("hello", func(v *victim, b []byte) { put64(b[helloKept:], 11+v.rand.Uint64N(1<<60)) })},
	{"a hello at the last position", ReasonPosition, body("hello", func(_ *victim, b []byte) { put64(b[helloLatest:], ^uint64(0)) })},

	{"changes at position 0", ReasonPosition, func(v *victim) []byte {
		b := v.items(someTCP(v), func([]byte) {})
		put64(b, 0)
		return v.say(kindChanges, b)
	}},
	{"no items", ReasonCount, func(v *victim) []byte {
		b := v.items(someTCP(v), func([]byte) {})
		b[8] = 0
		return v.say(kindChanges, b)
	}},
	{"more items than there are", ReasonCount, func(v *victim) []byte {
		b := v.items(someTCP(v), func([]byte) {})
		b[8] += 1 + byte(v.rand.IntN(250))
		return v.say(kindChanges, b)
	}},
	{"bytes behind the last", ReasonCount, func(v *victim) []byte {
		return v.say(kindChanges, append(v.items(someTCP(v), func([]byte) {}), make([]byte, 1+v.rand.IntN(900))...))
	}},
	{"the last is cut", ReasonCount, func(v *victim) []byte {
		b := v.items(someTCP(v), func([]byte) {})
		return v.say(kindChanges, b[:max(changesSize+leastItem, len(b)-1-v.rand.IntN(ipv4Record))])
	}},
	{"the template's flag in a record", ReasonFlags, spoilt(someTCP, func(_ *victim, i []byte) { i[flagsAt] |= itemTemplate })},
	{"UDP that is closed", ReasonFlags, spoilt(someUDP, func(_ *victim, i []byte) { i[flagsAt] |= itemClientClosed })},
	{"a template that is closed", ReasonFlags, spoilt(someTemplate, func(_ *victim, i []byte) { i[flagsAt] |= itemServerClosed })},
	{"a template that keeps one", ReasonFlags, spoilt(someTemplate, func(_ *victim, i []byte) { i[flagsAt] |= itemPersistent })},
	{"an end with all flags", ReasonFlags, func(v *victim) []byte {
		c := changes{v.ahead(), []item{endedItem(v.w.connection(5*v.rand.IntN(1000), "ESTABLISHED").Identity())}} // of IPv6, as the flags say
		b := c.body()
		b[changesSize] = 0xff
		return v.say(kindChanges, b)
	}},
	{"another protocol", ReasonProtocol, spoilt(someTCP, func(v *victim, i []byte) { i[protocolAt] = v.not(6, 17, 132) })},
	{"an end of another protocol", ReasonProtocol, func(v *victim) []byte {
		b := changes{v.ahead(), []item{endedItem(someTCP(v).Identity())}}.body()
		b[changesSize+protocolAt] = v.not(6, 17, 132)
		return v.say(kindChanges, b)
	}},
	{"no method", ReasonForwarding, spoilt(someTCP, func(v *victim, i []byte) { i[whatAt] = i[whatAt]&0xf | byte(4+v.rand.IntN(13))<<4 })},
	{"no state", ReasonState, spoilt(someTCP, func(v *victim, i []byte) { i[whatAt] = i[whatAt]&0xf0 | (8+byte(v.rand.IntN(9)))&0xf })},
	{"TCP in the state of UDP", ReasonState, spoilt(someTCP, func(_ *victim, i []byte) { i[whatAt] = i[whatAt]&0xf0 | 6 })},
	{"UDP in a state of TCP", ReasonState, spoilt(someUDP, func(v *victim, i []byte) { i[whatAt] = i[whatAt]&0xf0 | byte(1+v.rand.IntN(5)) })},
	{"no time left", ReasonLeft, spoilt(someTCP, func(_ *victim, i []byte) { put32(i[leftAt:], 0) })},
	{"too much time left", ReasonLeft, spoilt(someTCP, func(v *victim, i []byte) {
		most := uint32(model.MaxTimeout / time.Second)
		put32(i[leftAt:], most+1+v.rand.Uint32N(^uint32(0)-most))
	})},
	{"client 0", ReasonAddress, spoilt(someTCP, func(_ *victim, i []byte) { put32(i[clientAt:], 0) })},
	{"virtual 0", ReasonAddress, spoilt(someTCP, func(_ *victim, i []byte) { put32(i[virtualAt:], 0) })},
	{"server 0", ReasonAddress, spoilt(someTCP, func(_ *victim, i []byte) { put32(i[serverAt:], 0) })},
	{"a template's server 0", ReasonAddress, spoilt(someTemplate, func(_ *victim, i []byte) { put32(i[serverAt:], 0) })},
	{"IPv6 by DR to IPv4", ReasonFamily, func(v *victim) []byte {
		r := v.w.connection(5*v.rand.IntN(1000), "ESTABLISHED") // by TUN, which may
		return v.say(kindChanges, v.items(r, func(i []byte) { i[whatAt] = i[whatAt]&0xf | 3<<4 }))
	}},
	{"virtual port 0", ReasonPort, spoilt(someTCP, func(_ *victim, i []byte) { put16(i[virtualAt+portBehind:], 0) })},
	{"NAT to port 0", ReasonPort, spoilt(someTCP, func(_ *victim, i []byte) { put16(i[serverAt+portBehind:], 0) })},
	{"a template with a client's port", ReasonPort, spoilt(someTemplate, func(v *victim, i []byte) { put16(i[clientAt+portBehind:], 1+uint16(v.rand.IntN(1<<16-1))) })},
	{"so far ahead", ReasonAhead, func(v *victim) []byte {
		b := v.items(someTCP(v), func([]byte) {})
		put64(b, v.receiver.applied+mostWaiting+1+uint64(v.rand.IntN(8)))
		return v.say(kindChanges, b)
	}},

	{"a mark at position 0", ReasonPosition, body("mark", func(_ *victim, b []byte) { put64(b, 0) })},
	{"a mark of no edge", ReasonEdge, body("mark", func(v *victim, b []byte) { b[8] = v.not(1, 2, 3) })},
	{"a mark of no request", ReasonSlices, body("mark", func(_ *victim, b []byte) { put32(b[9:], 0) })},
	{"a mark of no slices", ReasonSlices, body("mark", func(_ *victim, b []byte) { clear(b[13:]) })},
	{"digests of a third half", ReasonSlices, body("digests", func(v *victim, b []byte) { b[12] = v.not(0, 1) })},
	{"ask for nothing", ReasonCount, func(v *victim) []byte { return v.say(kindAsk, ask{}.body()) }},
	{"ask with flags", ReasonFlags, body("ask", func(v *victim, b []byte) { b[0], b[askHoles+8] = v.not(0, 1), 1 })},
	{"ask for slices without a number", ReasonSlices, body("ask", func(_ *victim, b []byte) { put32(b[askRequest:], 0) })},
	{"ask for no slices with a number", ReasonSlices, body("ask", func(_ *victim, b []byte) { clear(b[askSlices:askHoles]) })},
	{"ask for position 0", ReasonPosition, body("ask", func(_ *victim, b []byte) { put64(b[askHoles:], 0) })},
	{"ask for no positions", ReasonPosition, body("ask", func(_ *victim, b []byte) { put16(b[askHoles+8:], 0) })},
	{"ask for positions beyond the last", ReasonPosition, body("ask", func(_ *victim, b []byte) { put64(b[askHoles:], ^uint64(0)) })},
}
