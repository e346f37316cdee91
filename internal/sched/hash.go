// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// hashSizes are those that IPVS's mh can have (ip_vs_mh.c): primes, so that a permutation of any skip
// comes to each index.
var hashSizes = []int{251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071}

// hashPerServer is how many indexes a server has at least, on average: enough for shares to be right
// within a percent or two, and few enough for a table to be made at each change.
const hashPerServer = 100

// mhSize is what IPVS's mh has by default (CONFIG_IP_VS_MH_TAB_INDEX is 12), and the least that ours has: its
// size stays, and with it nearly every client where it is, as long as no more than 40 servers come and go.
const mhSize = 4093

// MakeHash returns a consistent hash table (Maglev, as IPVS's mh has it): at each index a server, by its
// own index in the list. It is empty when nobody takes connections.
//
// Each server has a permutation of the indexes. In turn, each takes the first of its own that is free
// still: the heaviest one once in each round, others as much more seldom as they are lighter. So when a
// server leaves, its indexes are dealt out, and nearly all others stay with whom they have.
//
// Permutations and turns depend on addresses, ports and weights alone: two directors with the same
// servers have the same table, whatever the order of their configurations.
func MakeHash(s model.Scheduler, servers []model.ServerWant) []int {
	table := make([]int, HashSize(s, servers))
	d := makeDeal(servers, len(table))
	for i := range table {
		table[i] = nobody
	}
	for range table {
		d.next(table)
	}
	return table
}

// nobody has an index that is free.
const nobody = -1

// HashSize is how long the table of a scheduler's servers is. It counts those of weight 0, too, if another one has
// connections: in a table of another size nearly all flows go elsewhere, and that somebody is quiesced, or
// out of reach for a while, is no reason for that.
func HashSize(scheduler model.Scheduler, servers []model.ServerWant) int {
	if !slices.ContainsFunc(servers, func(s model.ServerWant) bool { return s.Weight > 0 }) {
		return 0
	}
	n, least := 0, 0
	for _, s := range servers {
		if s.Leaving == 0 || s.Absent { // one that its checks found down is still the service's
			n++
		}
	}
	if scheduler == model.MH {
		least = mhSize
	}
	for _, size := range hashSizes {
		if size >= max(hashPerServer*n, least) {
			return size
		}
	}
	return hashSizes[len(hashSizes)-1]
}

// deal is a table while it is made.
type deal struct {
	turns []turn // the servers' next ones, a heap: the first is the next of all
	top   uint64 // the largest weight
}

// turn is the next one of a server.
type turn struct {
	server   int // its index in the list
	rank     int // by address and port: who comes first in a round
	weight   uint64
	number   uint64 // of the turn, from 1
	round    uint64
	at, skip int // of its permutation: the index that is next, and the way from one to the next
}

func makeDeal(servers []model.ServerWant, size int) deal {
	var d deal
	for i, s := range servers {
		if s.Weight > 0 {
			at, skip := permutation(s.Key, size)
			d.turns = append(d.turns, turn{server: i, weight: uint64(s.Weight), at: at, skip: skip})
			d.top = max(d.top, uint64(s.Weight))
		}
	}
	slices.SortFunc(d.turns, func(a, b turn) int { return compareKeys(servers[a.server].Key, servers[b.server].Key) })
	for rank := range d.turns {
		d.turns[rank].rank = rank
		d.advance(&d.turns[rank])
	}
	slices.SortFunc(d.turns, turn.compare)
	return d
}

func compareKeys(a, b model.ServerKey) int {
	return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port))
}

// permutation is where a server's indexes begin, and how far it is from one to the next.
func permutation(key model.ServerKey, size int) (at, skip int) {
	address := key.Address.As16()
	sum := sha256.Sum256(binary.BigEndian.AppendUint16(address[:], key.Port))
	n := uint64(size)
	return int(binary.BigEndian.Uint64(sum[:]) % n), 1 + int(binary.BigEndian.Uint64(sum[8:])%(n-1))
}

// advance goes on to a server's next turn. In n rounds it has n times its part of the largest weight.
func (d *deal) advance(t *turn) {
	t.number++
	t.round = (t.number*d.top + t.weight - 1) / t.weight
}

func (t turn) compare(other turn) int {
	return cmp.Or(cmp.Compare(t.round, other.round), cmp.Compare(t.rank, other.rank))
}

// next gives whose turn it is the first index of its own that is free.
func (d *deal) next(table []int) {
	t := &d.turns[0]
	for table[t.at] != nobody {
		t.at = (t.at + t.skip) % len(table)
	}
	table[t.at] = t.server
	d.advance(t)
	d.sink()
}

// sink makes a heap of the turns again, of which the first one has changed.
func (d *deal) sink() {
	for i, t := 0, d.turns; ; {
		least := 2*i + 1
		if least+1 < len(t) && t[least+1].compare(t[least]) < 0 {
			least++
		}
		if least >= len(t) || t[i].compare(t[least]) < 0 {
			return
		}
		t[i], t[least] = t[least], t[i]
		i = least
	}
}
