// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// world is directors in fake time, a millisecond a step, with a network between them that loses, delays, overtakes and
// doubles.
type world struct {
	t     *testing.T
	rand  *rand.Rand
	now   time.Time
	nodes []*node
	air   []flying

	loss, double float64
	delay        time.Duration // the longest
	cut          bool
	mute         *node                           // what it says is lost; nil: nobody
	heard        func(to *node, datagram []byte) // nil, or sees all that is sent
}

// node is a director: a table, and a link to each other one.
type node struct {
	name    string
	w       *world
	table   map[model.Identity]model.Record
	dirty   map[model.Identity]bool
	gone    []model.Identity // ended, and not told yet
	role    Role
	serves  func(model.Identity) bool // asked if its role is RoleSome
	knows   func(model.Record) bool   // nil, or whether its server is configured here
	refused int
	ours    int
	links   []*hook
	keys    Keys
	dead    bool
}

// hook is a link with what a shell does for it.
type hook struct {
	*link
	of, to   *node
	walking  []model.Identity
	walks    bool
	chunk    []model.Record // read, and under way
	listing  []model.Identity
	lists    bool
	digestAt time.Time // when digests that are being made are there
}

type flying struct {
	at       time.Time
	from, to *node
	datagram []byte
}

// begun is when worlds begin.
var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	testKey  = "8a2cf8a6b6c1a1e5f3f0e0d7c7b1a09f1122334455667788990011223344aabb"
	otherKey = "qPGU2fd1vV0X9d2mR2i4Bq1kzPX9xnF4m0o4m1b3l1s="
	collects = 50 * time.Millisecond
)

func mustKeys(t testing.TB, text string) Keys {
	t.Helper()
	keys, err := ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newWorld(t *testing.T, seed uint64, names ...string) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 7)), now: begun, delay: 2 * time.Millisecond}
	for _, name := range names {
		w.nodes = append(w.nodes, &node{name: name, w: w, table: map[model.Identity]model.Record{}, keys: mustKeys(t, testKey)})
	}
	for _, n := range w.nodes {
		n.start(true)
	}
	return w
}

// start begins anew, as after a restart: what is in the kernel stays, unless the host has started.
func (n *node) start(empty bool) {
	if empty {
		n.table = map[model.Identity]model.Record{}
	}
	n.dead, n.dirty, n.gone, n.links, n.role = false, map[model.Identity]bool{}, nil, nil, RoleNone
	for _, to := range n.w.nodes {
		if to == n {
			continue
		}
		var own epoch
		binary.BigEndian.PutUint64(own[:], n.w.rand.Uint64())
		binary.BigEndian.PutUint64(own[8:], n.w.rand.Uint64())
		with := settings{keys: n.keys, own: own, random: n.w.rand.Uint64, sole: len(n.w.nodes) == 2}
		n.links = append(n.links, &hook{link: newLink(n.w.now, with), of: n, to: to})
	}
}

func (n *node) serve(role Role) {
	n.role = role
	for _, h := range n.links {
		h.do(h.serve(n.w.now, role))
	}
}

// has says whether it serves a connection.
func (n *node) has(id model.Identity) bool {
	return n.role == RoleAll || n.role == RoleSome && n.serves(id)
}

// put is that a packet has made or changed a connection.
func (n *node) put(r model.Record) {
	n.table[r.Identity()] = r
	n.dirty[r.Identity()] = true
	n.gone = slices.DeleteFunc(n.gone, func(id model.Identity) bool { return id == r.Identity() })
}

func (n *node) end(id model.Identity) {
	delete(n.table, id)
	delete(n.dirty, id)
	n.gone = append(n.gone, id)
}

func (n *node) digests() (d Digests) {
	for id, r := range n.table {
		d[id.Slice()] += r.Digest()
	}
	return d
}

func (n *node) hookTo(to *node) *hook {
	for _, h := range n.links {
		if h.to == to {
			return h
		}
	}
	return nil
}

// collect tells the links what has changed, as a shell does ten times a second.
func (n *node) collect() {
	if n.role == RoleNone {
		return
	}
	for _, h := range n.links {
		for id := range n.dirty {
			h.change(n.w.now, item{record: n.table[id]})
		}
		for _, id := range n.gone {
			h.change(n.w.now, endedItem(id))
		}
		h.sender.collected()
	}
	clear(n.dirty)
	n.gone = nil
}

func (n *node) inSync() bool {
	for _, h := range n.links {
		if !h.inSync(n.w.now) {
			return false
		}
	}
	return true
}

func (h *hook) do(deeds []deed) {
	n, w := h.of, h.of.w
	for _, d := range deeds {
		switch d.kind {
		case send:
			w.send(n, h.to, d.datagram)
		case insertAll:
			for _, r := range d.records {
				if _, known := n.table[r.Identity()]; known && n.has(r.Identity()) {
					n.ours++
					continue
				}
				if n.knows != nil && !n.knows(r) {
					n.refused++
					continue
				}
				n.table[r.Identity()] = r
				delete(n.dirty, r.Identity())
			}
		case endAll:
			for _, id := range d.ids {
				if !n.has(id) {
					delete(n.table, id)
				}
			}
		case digest:
			h.digestAt = w.now.Add(time.Duration(w.rand.IntN(20)) * time.Millisecond)
		case walkAll:
			h.walking, h.walks, h.chunk = h.within(d.slices, true), true, nil
		case listAll:
			h.listing, h.lists = h.within(d.slices, false), true
		}
	}
}

// within are identities of the table that are in slices, in the order of addresses: all, or those that last.
func (h *hook) within(s sliceSet, all bool) (ids []model.Identity) {
	for id, r := range h.of.table {
		if s.has(id.Slice()) && (all || r.IsLasting()) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b model.Identity) int { return a.Client.Compare(b.Client) })
	return ids
}

func (w *world) send(from, to *node, datagram []byte) {
	if len(datagram) > mostDatagram {
		w.t.Fatalf("a datagram of %d bytes", len(datagram))
	}
	if w.heard != nil {
		w.heard(to, datagram)
	}
	for times := 1; times > 0; times-- {
		if w.rand.Float64() < w.double {
			times++
		}
		if w.cut || from == w.mute || w.rand.Float64() < w.loss {
			continue
		}
		w.air = append(w.air, flying{w.now.Add(time.Duration(w.rand.Int64N(int64(w.delay) + 1))), from, to, datagram})
	}
}

// step is a millisecond.
func (w *world) step() {
	w.now = w.now.Add(time.Millisecond)
	landed := w.air[:0:0]
	w.air = slices.DeleteFunc(w.air, func(f flying) bool {
		if f.at.After(w.now) {
			return false
		}
		landed = append(landed, f)
		return true
	})
	for _, f := range landed {
		if h := f.to.hookTo(f.from); !f.to.dead {
			deeds, _ := h.hear(w.now, f.datagram)
			h.do(deeds)
		}
	}
	for _, n := range w.nodes {
		if n.dead {
			continue
		}
		if w.now.Sub(begun)%collects == 0 {
			n.collect()
		}
		for _, h := range n.links {
			h.step()
		}
	}
}

// step does what a shell does: it ticks when it is time, and no more often than that helps.
func (h *hook) step() {
	now := h.of.w.now
	h.stepWalk(now)
	h.stepList(now)
	if isDue(h.digestAt, now) {
		h.digestAt = time.Time{}
		h.do(h.digested(now, h.of.digests(), false))
	}
	for turns := 0; isDue(h.deadline(), now); turns++ {
		if turns > 3 {
			h.of.w.t.Fatalf("%s is to be ticked at %s for ever: %+v, %+v", h.of.name, now.Sub(begun), h.sender, h.receiver)
		}
		h.do(h.tick(now))
	}
}

// stepWalk hands records over that were read a step before: some are older than what was told meanwhile.
func (h *hook) stepWalk(now time.Time) {
	if room := h.sender.walkRoom(now); h.chunk != nil && room > 0 {
		chunk := h.chunk
		h.chunk = nil
		h.do(h.walked(now, chunk))
	}
	if !h.walks || h.chunk != nil {
		return
	}
	if len(h.walking) == 0 {
		h.walks = false
		h.do(h.walkEnds(now, false))
		return
	}
	n := min(len(h.walking), walkLeast)
	h.chunk = []model.Record{}
	for _, id := range h.walking[:n] {
		if r, ok := h.of.table[id]; ok {
			h.chunk = append(h.chunk, r)
		}
	}
	h.walking = h.walking[n:]
}

func (h *hook) stepList(now time.Time) {
	if !h.lists {
		return
	}
	n := min(len(h.listing), 1000)
	h.do(h.listed(now, h.listing[:n]))
	if h.listing = h.listing[n:]; len(h.listing) == 0 {
		h.lists = false
		h.do(h.listEnds(now, false))
	}
}

func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.step()
	}
}

// until runs until something is so, and says how long it took.
func (w *world) until(within time.Duration, what string, is func() bool) time.Duration {
	w.t.Helper()
	for began := w.now; ; w.step() {
		switch took := w.now.Sub(began); {
		case w.now.Sub(begun)%(10*time.Millisecond) != 0:
		case is():
			return took
		case took >= within:
			w.t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// connection is the n-th, in a state that its kind allows.
func (w *world) connection(n int, state string) model.Record {
	v := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, last}) }
	r := model.Record{Protocol: model.TCP, Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 4000),
		Virtual: netip.MustParseAddrPort("192.0.2.10:80"), Server: netip.AddrPortFrom(v(byte(n%7)+1), 8080), Forwarding: model.NAT, State: state,
		Settled: true, Left: time.Duration(1+n%900) * time.Second}
	if n%5 == 0 { // IPv6
		at := netip.MustParseAddr("2001:db8::").As16()
		binary.BigEndian.PutUint32(at[12:], uint32(n))
		r.Client = netip.AddrPortFrom(netip.AddrFrom16(at), 4000)
		r.Virtual, r.Forwarding = netip.MustParseAddrPort("[2001:db8:1::10]:80"), model.TUN
	}
	if state == model.Template {
		r.Client, r.Persistent = netip.AddrPortFrom(r.Client.Addr(), 0), false
	}
	return r
}

func (w *world) fill(n *node, count int) {
	for i := range count {
		n.put(w.connection(i, "ESTABLISHED"))
	}
}

// live changes a table for a while as packets do, at most a thousand times a second.
func (w *world) live(n *node, d time.Duration, perSecond int) {
	states := []string{"SYN_RECV", "ESTABLISHED", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT", model.Template}
	for end := w.now.Add(d); w.now.Before(end); w.step() {
		if w.rand.IntN(1000) >= perSecond {
			continue
		}
		r := w.connection(w.rand.IntN(3000), states[w.rand.IntN(len(states))])
		if _, ok := n.table[r.Identity()]; ok && w.rand.IntN(4) == 0 {
			n.end(r.Identity())
		} else {
			n.put(r)
		}
	}
}

// differ says in how many connections two differ, times left aside: they only run.
func differ(a, b *node) (n int) {
	for id, r := range a.table {
		if b.table[id] != r {
			n++
		}
	}
	for id := range b.table {
		if _, ok := a.table[id]; !ok {
			n++
		}
	}
	return n
}
