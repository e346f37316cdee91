// SPDX-License-Identifier: Apache-2.0

package sched

import "github.com/weir-lb/weir/internal/model"

// sh is source hashing (ip_vs_sh.c): the client's address names a bucket, and the bucket a server. When
// that takes no connections, they are refused.
type sh struct {
	port     bool // sh-port: the client's port counts, too
	fallback bool // sh-fallback: in place of a server that takes no connections another bucket's has them
}

// MakeSH deals the buckets out to the servers in turn, as many at a time as the weight says, but at
// least one. A server is named by its index in the list.
func MakeSH(servers []model.ServerWant) []int {
	list := present(servers)
	if len(list) == 0 {
		return nil
	}
	out := make([]int, buckets)
	at, dealt := 0, 0
	for i := range out {
		out[i] = list[at]
		if dealt++; dealt >= int(servers[list[at]].Weight) {
			at, dealt = (at+1)%len(list), 0
		}
	}
	return out
}

func (s sh) Pick(t Table, ask Ask) (Slot, bool) {
	if len(t.Buckets) == 0 {
		return Slot{}, false
	}
	home := s.bucket(ask)
	slot, ok := t.slot(t.Buckets[home], ask)
	if ok || !s.fallback {
		return slot, ok
	}
	for i := range buckets {
		bucket := (s.bucket(ask) + (home+i)%buckets) % buckets
		if slot, ok := t.slot(t.Buckets[bucket], ask); ok {
			return slot, true
		}
	}
	return Slot{}, false
}

func (s sh) Explain(t Table, ask Ask) Choice {
	slot, found := s.Pick(t, ask)
	return ask.explainNamed(slot, found, named{
		table: t.Buckets, at: s.bucket(ask), noun: "bucket", nouns: "buckets", of: ask.client(s.port), fallback: s.fallback,
		flag: "sh-fallback",
	})
}

func (s sh) bucket(ask Ask) int { return bucketOf(ask.clientKey(s.port)) }
