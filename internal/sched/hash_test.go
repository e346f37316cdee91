// SPDX-License-Identifier: Apache-2.0

package sched_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

// addressed are servers of addresses of their own.
func addressed(weights ...int) []model.ServerWant {
	out := servers(weights...)
	for i := range out {
		address := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		if i%2 == 1 {
			address = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i))
		}
		out[i].Key = model.ServerKey{Address: address, Port: 80}
	}
	return out
}

func alike(n, weight int) []int { return slices.Repeat([]int{weight}, n) }

// counted is how many indexes each server has.
func counted(table []int, servers int) []int {
	out := make([]int, servers)
	for _, server := range table {
		out[server]++
	}
	return out
}

func TestHashHasTheSizesOfIPVS(t *testing.T) {
	for n, want := range map[int]int{1: 251, 2: 251, 3: 509, 5: 509, 6: 1021, 100: 16381, 1310: 131071, 4096: 131071} {
		if got := len(sched.MakeHash(model.WLC, addressed(alike(n, 1)...))); got != want {
			t.Errorf("%d servers: %d indexes, want %d", n, got, want)
		}
	}
}

func TestHashIsEmptyWhenNobodyTakesConnections(t *testing.T) {
	for _, weights := range [][]int{nil, {0}, {0, 0, 0}} {
		if got := sched.MakeHash(model.WLC, addressed(weights...)); len(got) != 0 {
			t.Errorf("%v: %d indexes", weights, len(got))
		}
	}
}

// TestHashSharesAreByWeight: within a round of turns.
func TestHashSharesAreByWeight(t *testing.T) {
	for _, weights := range [][]int{
		{1}, {65535}, {1, 1}, {1, 2}, {3, 0, 9}, {7, 11, 13}, {100, 1}, {16, 15, 15}, {10, 20, 30, 40}, {65535, 1, 32768},
		alike(100, 50), slices.Concat(alike(50, 3), alike(50, 1)),
	} {
		table := sched.MakeHash(model.WLC, addressed(weights...))
		sum := 0
		for _, w := range weights {
			sum += w
		}
		for i, got := range counted(table, len(weights)) {
			want := float64(len(table)) * float64(weights[i]) / float64(sum)
			if math.Abs(float64(got)-want) > max(1, 0.02*want) || (got > 0) != (weights[i] > 0) && want >= 1 {
				t.Errorf("%v: server %d has %d of %d indexes, want %.1f", weights, i, got, len(table), want)
			}
		}
	}
}

// TestHashHeedsNoOrder: of two configs with the same servers.
func TestHashHeedsNoOrder(t *testing.T) {
	one := addressed(5, 1, 0, 2, 7, 7, 3)
	other := slices.Clone(one)
	slices.Reverse(other)
	other[0], other[3] = other[3], other[0]
	a, b := sched.MakeHash(model.WLC, one), sched.MakeHash(model.WLC, other)
	for i := range a {
		if one[a[i]].Key != other[b[i]].Key {
			t.Fatalf("index %d has %s, in another order %s", i, one[a[i]].Key, other[b[i]].Key)
		}
	}
}

// TestHashIsTheSameForEver: directors of two releases must agree. These were recorded when it was made.
func TestHashIsTheSameForEver(t *testing.T) {
	table := sched.MakeHash(model.WLC, addressed(2, 1, 3))
	if got, want := fmt.Sprint(table[:24], counted(table, 3)), "[2 0 2 1 2 0 0 2 0 0 2 0 1 2 2 0 2 2 0 2 2 0 2 2] [170 84 255]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestHashKeepsWhoStays: when a server leaves, or comes back, its own indexes change hands, and few others.
func TestHashKeepsWhoStays(t *testing.T) {
	for _, n := range []int{2, 3, 5, 10, 40} {
		before := addressed(alike(n, 1)...)
		was := sched.MakeHash(model.WLC, before)
		for gone := range before {
			after := slices.Clone(before)
			after[gone].Weight = 0
			if moved := moved(was, sched.MakeHash(model.WLC, after), gone); moved > 0.12 {
				t.Errorf("%d servers, %d leaves: %.1f %% of what is not its own moves", n, gone, 100*moved)
			}
		}
	}
}

// moved is the part of the others' indexes that are another one's now.
func moved(was, is []int, gone int) float64 {
	kept, moved := 0, 0
	for i := range was {
		switch was[i] {
		case gone:
		case is[i]:
			kept++
		default:
			moved++
		}
	}
	return float64(moved) / float64(kept+moved)
}

// TestHashOfMHKeepsWhoStaysWhenAServerIsRemoved: its size does not depend on how many there are.
func TestHashOfMHKeepsWhoStaysWhenAServerIsRemoved(t *testing.T) {
	for n := 2; n <= 40; n++ {
		before := addressed(alike(n, 1)...)
		was := sched.MakeHash(model.MH, before)
		is := sched.MakeHash(model.MH, before[:n-1])
		if len(is) != len(was) {
			t.Errorf("%d servers: %d indexes, and %d when one has gone", n, len(was), len(is))
		} else if moved := moved(was, is, n-1); moved > 0.1 {
			t.Errorf("%d servers, the last is removed: %.1f %% of what is not its own moves", n, 100*moved)
		}
	}
}

// TestHashKeepsItsSizeWhileServersLeave: one that is leaving does not count, so that its table does not
// change when it has gone.
func TestHashKeepsItsSizeWhileServersLeave(t *testing.T) {
	want := addressed(1, 1, 1)
	quiesced := slices.Clone(want)
	quiesced[2].Weight = 0
	leaving := slices.Clone(quiesced)
	leaving[2].Leaving = model.Drain
	if got := len(sched.MakeHash(model.WLC, quiesced)); got != 509 {
		t.Errorf("with a server of weight 0: %d indexes, want 509", got)
	}
	down := slices.Clone(leaving)
	down[2].Leaving, down[2].Absent = model.Reset, true
	if !slices.Equal(sched.MakeHash(model.WLC, down), sched.MakeHash(model.WLC, quiesced)) {
		t.Error("a server that is down changes the table as one that was removed")
	}
	if !slices.Equal(sched.MakeHash(model.WLC, leaving), sched.MakeHash(model.WLC, leaving[:2])) {
		t.Error("the table changes when a server that was leaving has gone")
	}
}

// BenchmarkMakeHash is of the largest table, with weights that make turns uneven.
func BenchmarkMakeHash(b *testing.B) {
	servers := addressed(alike(model.MaxServers, 1)...)
	servers[0].Weight = model.MaxWeight
	for b.Loop() {
		sched.MakeHash(model.WLC, servers)
	}
}
