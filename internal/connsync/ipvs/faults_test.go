// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	injected "github.com/weir-lb/weir/faults" // faults is a name here
)

// TestFaults is the fault that is nothing but what a director of LVS says.
func TestFaults(t *testing.T) {
	injected.Test(t, []injected.Fault{malformedSync()})
}

// Parts of fault 21 of this dialect.
const (
	crashes   = "lvs_crashes"
	entries   = "lvs_entries"   // records that were taken of what is malformed
	uncounted = "lvs_uncounted" // reasons of which not each message, or each entry, was counted
)

// malformedSync: a director of LVS says what is broken in every way that the tests of one message have.
func malformedSync() injected.Fault {
	return injected.Fault{
		Number:  21,
		Divided: true,
		Parts: []injected.Part{
			{Name: crashes, Unit: "crashes"}, {Name: entries, Unit: "connections"}, {Name: uncounted, Unit: "reasons"},
		},
		Prepare: func(t *testing.T, size injected.Size) injected.Run {
			seed := uint64(2100)
			return func() (injected.Measured, error) {
				seed++
				v := victim{newDeafSocket(), rand.New(rand.NewPCG(21, seed)), t}
				return injected.Measured{Figures: v.hears(size.Of(50_000, 1_000_000))}, nil
			}
		},
	}
}

// victim hears of nobody but these, with this id.
type victim struct {
	*Socket
	rand *rand.Rand
	t    *testing.T
}

var believed = netip.MustParseAddr("192.0.2.9")

// newDeafSocket has none of the kernel's: what it hears is given to it.
func newDeafSocket() *Socket {
	s := &Socket{config: Config{SyncID: 7, From: []netip.Addr{believed}}}
	s.marks.Store(&marks)
	return s
}

// hears is so many messages.
func (v victim) hears(messages int) map[string]float64 {
	figures := map[string]float64{crashes: 0, entries: 0, uncounted: 0}
	want := map[Reason]uint64{}
	whole, single := wrongOf(judgedMessages(), func(m judgedMessage) Reason { return m.want }), wrongOf(judgedEntries(), func(e judgedEntry) Reason { return e.want })
	for range messages {
		b, from := messageOf(tcp4, tcp6), believed
		switch v.rand.IntN(4) {
		case 0:
			from = netip.AddrFrom4([4]byte{10, byte(v.rand.Uint32()), byte(v.rand.Uint32()), 1})
			want[ReasonSource]++
		case 1:
			b[1] = 8 + byte(v.rand.IntN(248))
			want[ReasonSyncID]++
		case 2:
			m := whole[v.rand.IntN(len(whole))]
			b = m.b
			want[m.want]++
		case 3:
			var all []entry
			for range 1 + v.rand.IntN(10) {
				e := single[v.rand.IntN(len(single))]
				all = append(all, e.entry)
				want[e.want]++
			}
			b = messageOf(all...)
		}
		if v.crashes(b, from, figures) {
			v.t.Logf("crash by %x from %s", b, from)
			figures[crashes]++
		}
	}
	got := v.tally.read().Refused
	for why := range reasons {
		if got[why] != want[why] {
			v.t.Logf("%s: counted %d times, sent %d times", why, got[why], want[why])
			figures[uncounted]++
		}
	}
	return figures
}

// crashes is whether a message makes the director panic.
func (v victim) crashes(b []byte, from netip.Addr, figures map[string]float64) (crashed bool) {
	defer func() {
		if why := recover(); why != nil {
			v.t.Log(fmt.Sprint(why))
			crashed = true
		}
	}()
	figures[entries] += float64(len(v.hear(b, from)))
	return false
}

// wrongOf are those of a table that are, in the same order each time.
func wrongOf[T any](table map[string]T, want func(T) Reason) (out []T) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if want(table[name]) != Taken {
			out = append(out, table[name])
		}
	}
	return out
}
