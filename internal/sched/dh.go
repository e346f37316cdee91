// SPDX-License-Identifier: Apache-2.0

package sched

import "github.com/weir-lb/weir/internal/model"

// dh is destination hashing (ip_vs_dh.c): the address that the client asked for names a bucket, and the
// bucket a server. When that takes no connections, they are refused.
type dh struct{}

// MakeDH deals the buckets out, one to each server in turn, whatever its weight. A server is named by its
// index in the list; there are no buckets where there are no servers.
func MakeDH(servers []model.ServerWant) []int {
	list := present(servers)
	if len(list) == 0 {
		return nil
	}
	out := make([]int, buckets)
	for i := range out {
		out[i] = list[i%len(list)]
	}
	return out
}

func (dh) Pick(t Table, ask Ask) (Slot, bool) {
	if len(t.Buckets) == 0 {
		return Slot{}, false
	}
	return t.slot(t.Buckets[dhBucket(ask)], ask)
}

func (d dh) Explain(t Table, ask Ask) Choice {
	slot, found := d.Pick(t, ask)
	return ask.explainNamed(slot, found, named{
		table: t.Buckets, at: dhBucket(ask), noun: "bucket", nouns: "buckets", of: ask.Virtual.Addr().String(),
	})
}

func dhBucket(ask Ask) int { return bucketOf(fold(ask.Virtual.Addr())) }
