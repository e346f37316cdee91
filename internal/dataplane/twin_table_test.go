// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// The shape of the connection table, as bpf/types.h and bpf/place.h have it.
const (
	twinSlots          = 15
	twinUnsettled      = 7 // slots of a bucket that flows may have which are not settled
	twinCrowded        = 12
	twinMoveCrowded    = 8
	twinSettles        = 4 // packets of the client
	twinKeepsTaken     = 8 // slots of a bucket that are taken, where one is kept still
	twinKeepsUnsettled = 3 // and none is where so many flows have not settled
)

// twinTable says who has which slot. What is found it does not say: that is a map's business.
type twinTable struct {
	seed    [10]uint32
	buckets []twinBucket
}

type twinBucket struct {
	slots [twinSlots]*twinEntry // nil: free
	hand  int                   // the slot after the one that was taken last
}

// twinEntry is half of a NAT connection, or the whole of another one.
type twinEntry struct {
	flow   flow
	conn   *twinConn
	bucket int
	slot   int
}

func newTwinTable(buckets uint32, seed [10]uint32) *twinTable {
	return &twinTable{seed, make([]twinBucket, buckets)}
}

// hash is of the flow's 40 bytes as they lie in memory.
func (t *twinTable) hash(f flow) uint64 {
	var b []byte
	for _, a := range []netip.AddrPort{f.source, f.destination} {
		ip := a.Addr().As16()
		b = append(b, ip[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, f.source.Port())
	b = binary.BigEndian.AppendUint16(b, f.destination.Port())
	b = append(b, byte(f.protocol), 0, 0, 0)
	var sum uint64
	for i := range 5 {
		low, high := binary.LittleEndian.Uint32(b[8*i:])+t.seed[2*i], binary.LittleEndian.Uint32(b[8*i+4:])+t.seed[2*i+1]
		sum += uint64(low) * uint64(high)
	}
	sum = (sum ^ sum>>32) * 0x9e3779b97f4a7c15
	return sum ^ sum>>32
}

// place is the home bucket of a flow, its second one, and the slot that it likes best.
func (t *twinTable) place(f flow) (home, second, best int) {
	h, n := t.hash(f), uint64(len(t.buckets))
	at := h >> 32 * n >> 32
	return int(at), int((at + 1 + uint64(uint32(h))*(n-1)>>32) % n), int(uint64(uint32(h<<16)) * twinSlots >> 32)
}

// put gives an entry a slot. Who had to make room is ended by end. nil: there is no room.
func (t *twinTable) put(f flow, c *twinConn, end func(*twinEntry)) *twinEntry {
	home, second, best := t.place(f)
	first, other := home, second
	if t.roomier(second, home) {
		first, other = second, home
	}
	for _, bucket := range []int{first, other} {
		if slot, ok := t.claim(bucket, best, c, end); ok {
			e := &twinEntry{f, c, bucket, slot}
			t.buckets[bucket].slots[slot] = e
			return e
		}
	}
	return nil
}

func (t *twinTable) give(e *twinEntry) { t.buckets[e.bucket].slots[e.slot] = nil }

func (b *twinBucket) count(is func(*twinEntry) bool) (n int) {
	for _, e := range b.slots {
		if e != nil && is(e) {
			n++
		}
	}
	return n
}

func isTaken(*twinEntry) bool       { return true }
func isUnsettled(e *twinEntry) bool { return !e.conn.settled }

// roomier: the second bucket is better, for a flow whose home is crowded or has its share of unsettled flows.
func (t *twinTable) roomier(second, home int) bool {
	h, s := &t.buckets[home], &t.buckets[second]
	shareUsed := h.count(isUnsettled) >= twinUnsettled
	if h.count(isTaken) < twinCrowded && !shareUsed {
		return false
	}
	if secondUsed := s.count(isUnsettled) >= twinUnsettled; shareUsed != secondUsed {
		return shareUsed
	}
	return s.count(isTaken) < h.count(isTaken)
}

// free is a slot that nobody has, the best if it can be; below 0: there is none.
func (b *twinBucket) free(best int) int {
	if b.slots[best] == nil {
		return best
	}
	return slices.IndexFunc(b.slots[:], func(e *twinEntry) bool { return e == nil })
}

// claim spares the newcomer's client.
func (t *twinTable) claim(bucket, best int, c *twinConn, end func(*twinEntry)) (slot int, ok bool) {
	b := &t.buckets[bucket]
	if b.count(isUnsettled) < twinUnsettled {
		if slot := b.free(best); slot >= 0 {
			b.hand = slot + 1
			return slot, true
		}
	}
	for turn := range twinSlots {
		slot := (b.hand + turn) % twinSlots
		if e := b.slots[slot]; e != nil && isUnsettled(e) && !e.conn.unborn && !e.conn.sameClient(c) {
			end(e)
			b.hand = slot + 1
			return slot, true
		}
	}
	return 0, false
}

func (c *twinConn) sameClient(other *twinConn) bool {
	return c.toService.source == other.toService.source && c.toService.protocol == other.toService.protocol
}

// evict ends the connection whose place somebody needs.
func (t *twin) evict(e *twinEntry) {
	t.fates.evicted++
	if e.conn.isKept() {
		t.fates.yielded++
	}
	t.end(e.conn)
}

// create gives a connection its places, the way back first, or says that there is no room.
func (t *twin) create(c *twinConn) bool {
	c.unborn = true
	defer func() { c.unborn = false }()
	if c.isPair() {
		if c.back = t.table.put(c.fromServer, c, t.evict); c.back == nil {
			return false
		}
	}
	if c.forth = t.table.put(c.toService, c, t.evict); c.forth == nil {
		if c.back != nil {
			t.table.give(c.back)
		}
		return false
	}
	t.conns[c.toService] = c
	if c.isPair() {
		t.conns[c.fromServer] = c
	}
	c.seen = t.now
	t.came(c.server)
	return true
}

// came is when a connection counts for a server that did not before, and went the inverse: one that had as many as it may
// takes new ones again when it has few.
func (t *twin) came(s *twinServer) {
	if upper := s.want.Thresholds.Upper; upper > 0 && t.total(s) >= uint64(upper) {
		s.full = upper
	}
}

func (t *twin) went(s *twinServer) {
	if s.full > 0 && t.fallen(s) {
		s.full = 0
	}
}

// clear makes a way back free, if who has it is over.
func (t *twin) clear(back flow) bool {
	c := t.conns[back]
	if c != nil && c.fromServer == back && c.isAnswered() {
		t.end(c)
		return true
	}
	return c == nil
}

// resize gives the table another shape. Where its connections lie there is up to the order in which they
// moved; that matters to nobody while no bucket is full. What is kept stays behind.
func (t *twin) resize(buckets uint32, seed [10]uint32) {
	for _, c := range t.conns {
		if c.isKept() {
			t.end(c)
		}
	}
	t.table = newTwinTable(buckets, seed)
	for key, c := range t.conns {
		if key == c.fromServer {
			c.back = t.table.move(key, c)
		} else {
			c.forth = t.table.move(key, c)
		}
	}
}

// move gives an entry any free slot, as bpf/move.h does: new flows' share does not concern it.
func (t *twinTable) move(f flow, c *twinConn) *twinEntry {
	home, second, _ := t.place(f)
	first, other := home, second
	if taken := t.buckets[home].count(isTaken); taken >= twinMoveCrowded && t.buckets[second].count(isTaken) < taken {
		first, other = second, home
	}
	for _, bucket := range []int{first, other} {
		if slot := slices.Index(t.buckets[bucket].slots[:], nil); slot >= 0 {
			e := &twinEntry{f, c, bucket, slot}
			t.buckets[bucket].slots[slot] = e
			return e
		}
	}
	panic("two buckets are full")
}

func (t *twin) end(c *twinConn) {
	delete(t.conns, c.toService)
	t.table.give(c.forth)
	if c.isPair() {
		delete(t.conns, c.fromServer)
		t.table.give(c.back)
	}
	if !c.isKept() {
		t.went(c.server)
	}
}
