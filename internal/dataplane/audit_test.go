// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"testing"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// audit looks at the whole connection table, while no packet comes, and returns everything by which it
// contradicts itself: none, if all is well.
func (b *testbed) audit(t testing.TB) []string {
	t.Helper()
	buckets, err := b.path.Table()
	if err != nil {
		t.Fatal(err)
	}
	a := auditor{table: newTwinTable(b.path.Hash()), at: map[uint32]dataplane.TableSlot{}, seen: map[flow]uint32{}, away: map[int]uint32{}}
	for _, bucket := range buckets {
		for _, s := range bucket.Slots {
			a.at[s.Position] = s
		}
	}
	for i, bucket := range buckets {
		for _, s := range bucket.Slots {
			a.slot(i, s)
		}
	}
	for i, bucket := range buckets {
		if bucket.Away != a.away[i] {
			a.complain("bucket %d: %d of its flows live elsewhere, it says %d", i, a.away[i], bucket.Away)
		}
	}
	return a.complaints
}

type auditor struct {
	table      *twinTable
	at         map[uint32]dataplane.TableSlot // by position
	seen       map[flow]uint32                // where
	away       map[int]uint32                 // by home
	complaints []string
}

func (a *auditor) complain(format string, args ...any) {
	a.complaints = append(a.complaints, fmt.Sprintf(format, args...))
}

// slot is in a bucket.
func (a *auditor) slot(bucket int, s dataplane.TableSlot) {
	switch {
	case s.Coming:
		a.complain("slot %d: a flow is coming, and nobody brings it", s.Position)
	case s.Taken != s.Live:
		a.complain("slot %d: taken is %v, its entry is live: %v", s.Position, s.Taken, s.Live)
	case (s.Tag != 0) != s.Live:
		a.complain("slot %d: its tag is %d, its entry is live: %v", s.Position, s.Tag, s.Live)
	case s.Settled != a.proved(s):
		a.complain("slot %d: settled is %v, its entry says %v", s.Position, s.Settled, a.proved(s))
	}
	if s.Live {
		a.entry(bucket, s)
	}
}

// proved says whether the connection of an entry has proved itself; its way back does not know.
func (a *auditor) proved(s dataplane.TableSlot) bool {
	if s.Live && s.Reverse {
		return a.at[s.Pair].Live && a.at[s.Pair].Proved
	}
	return s.Live && s.Proved
}

func (a *auditor) entry(bucket int, s dataplane.TableSlot) {
	f := flow{s.Source, s.Destination, s.Protocol}
	if other, twice := a.seen[f]; twice {
		a.complain("slots %d and %d: both have %v", other, s.Position, f)
	}
	a.seen[f] = s.Position
	home, second, _ := a.table.place(f)
	if s.Away {
		a.away[home]++
		home = second
	}
	if bucket != home || s.Tag != a.table.tag(f) {
		a.complain("slot %d: %v, away: %v, with tag %d belongs to bucket %d with tag %d", s.Position, f, s.Away, s.Tag, home, a.table.tag(f))
	}
	if isPair := s.Reverse || s.Forwarding == model.NAT; isPair && !a.paired(s) {
		a.complain("slot %d: the other half of %v is not at %d", s.Position, f, s.Pair)
	}
}

func (a *auditor) paired(s dataplane.TableSlot) bool {
	other := a.at[s.Pair]
	return other.Live && other.Pair == s.Position && other.Reverse != s.Reverse
}

// tag is the byte by which a bucket knows a flow.
func (t *twinTable) tag(f flow) byte {
	if tag := byte(t.hash(f) >> 32); tag >= 2 {
		return tag
	}
	return byte(t.hash(f)>>32) + 2
}

// sound complains about what the audit finds, and about loads that are not the number of connections.
func (b *testbed) sound(t *testing.T) {
	t.Helper()
	for i, complaint := range b.audit(t) {
		if i == 20 {
			t.Fatal("and more")
		}
		t.Error(complaint)
	}
	b.compareLoads(t)
}
