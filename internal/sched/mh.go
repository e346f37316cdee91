// SPDX-License-Identifier: Apache-2.0

package sched

import "math/bits"

// mh is Maglev hashing: the client's address names an index of the consistent hash (MakeHash), and that
// a server. Unlike in IPVS a server of weight 0 has no part of it: its clients go to others.
type mh struct {
	port     bool // mh-port: the client's port counts, too
	fallback bool // mh-fallback: in place of a server that is full another one has the connection
}

func (m mh) Pick(t Table, ask Ask) (Slot, bool) {
	if len(t.Hash) == 0 {
		return Slot{}, false
	}
	at := m.index(t, ask)
	slot, ok := t.slot(t.Hash[at], ask)
	for i := 1; !ok && m.fallback && i <= len(t.Hash); i++ {
		slot, ok = t.slot(t.Hash[(at+i)%len(t.Hash)], ask)
	}
	return slot, ok
}

func (m mh) Explain(t Table, ask Ask) Choice {
	slot, found := m.Pick(t, ask)
	return ask.explainNamed(slot, found, named{
		table: t.Hash, at: m.index(t, ask), noun: "index", nouns: "indexes", of: ask.client(m.port), fallback: m.fallback,
		flag: "mh-fallback",
	})
}

func (m mh) index(t Table, ask Ask) int {
	mixed := uint64(ask.clientKey(m.port)) * 0x9e3779b97f4a7c15
	at, _ := bits.Mul64(mixed>>32<<32, uint64(len(t.Hash)))
	return int(at)
}
