// SPDX-License-Identifier: Apache-2.0

package sched_test

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

// loaded is a server with what it has.
type loaded struct {
	weight           uint16
	active, inactive uint64
	full             bool
}

// asked is a table of servers 10.0.0.1, 10.0.0.2 and so on, and a client that asks 192.0.2.10.
func asked(s model.Scheduler, list []loaded) (sched.Table, sched.Ask) {
	var wants []model.ServerWant
	for i, l := range list {
		key := model.ServerKey{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), Port: 80}
		wants = append(wants, model.ServerWant{Key: key, Weight: l.weight})
	}
	table := sched.Make(s, wants)
	table.Version = 7
	return table, sched.Ask{
		Client: netip.MustParseAddrPort("203.0.113.7:40000"), Virtual: netip.MustParseAddrPort("192.0.2.10:80"),
		Load: func(i int) sched.Load { return sched.Load{Active: list[i].active, Inactive: list[i].inactive} },
		Full: func(i int) bool { return list[i].full },
		Name: func(i int) string { return wants[i].Key.String() },
	}
}

func near(hosts ...byte) map[netip.Addr][]model.ServerKey {
	var keys []model.ServerKey
	for _, host := range hosts {
		keys = append(keys, model.ServerKey{Address: netip.AddrFrom4([4]byte{10, 0, 0, host}), Port: 80})
	}
	return map[netip.Addr][]model.ServerKey{netip.MustParseAddr("192.0.2.10"): keys}
}

func TestExplainedInWords(t *testing.T) {
	three := []loaded{{weight: 2, active: 3, inactive: 12}, {weight: 1, active: 3}, {weight: 4, active: 20}}
	equal := []loaded{{weight: 1}, {weight: 2}, {weight: 1, active: 1}}
	full := []loaded{{weight: 1, full: true}, {weight: 2, full: true}}
	busy := []loaded{{weight: 2, active: 5}, {weight: 3, active: 0}}
	for _, row := range []struct {
		scheduler model.Scheduler
		flags     model.SchedulerFlags
		memory    sched.Memory
		servers   []loaded
		picked    int // from 1; 0: nobody
		why       string
		compared  string // of the first server
	}{
		{model.RR, model.SchedulerFlags{}, sched.Memory{Turn: 4}, three, 2, "it is next in turn of 3 servers", "turn 2"},
		{model.RR, model.SchedulerFlags{}, sched.Memory{}, full, 0, "no server takes connections", ""},
		{model.WRR, model.SchedulerFlags{}, sched.Memory{WRR: sched.WRR{Version: 7, Index: 3, Threshold: 3}}, three, 3,
			"it is next in turn of those whose weight reaches the threshold, which goes round and stands at 2: weight 4", "2 >= 2"},
		{model.LC, model.SchedulerFlags{}, sched.Memory{}, three, 2, "active 3 x 256 + inactive 0 = 768 is the least of 3 servers", "3 x 256 + 12 = 780"},
		{model.WLC, model.SchedulerFlags{}, sched.Memory{}, three, 1,
			"(active 3 x 256 + inactive 12) / weight 2 = 390 is the least of 3 servers", "(3 x 256 + 12) / 2 = 390"},
		{model.WLC, model.SchedulerFlags{}, sched.Memory{}, equal, 2,
			"(active 0 x 256 + inactive 0) / weight 2 = 0 is the least of 3 servers; 2 are equal, of which it was added last", "(0 x 256 + 0) / 1 = 0"},
		{model.SED, model.SchedulerFlags{}, sched.Memory{}, []loaded{{weight: 3, active: 1}, {weight: 1}}, 1,
			"(active 1 + 1) / weight 3 = 0.667 is the least of 2 servers", "(1 + 1) / 3 = 0.667"},
		{model.NQ, model.SchedulerFlags{}, sched.Memory{}, equal, 2, "it has no active connection, and of those that have none it was added last", "active 0"},
		{model.NQ, model.SchedulerFlags{}, sched.Memory{}, three, 1,
			"every server has active connections; (active 3 + 1) / weight 2 = 2 is the least of 3 servers", "(3 + 1) / 2 = 2"},
		{model.NQ, model.SchedulerFlags{}, sched.Memory{}, full, 0, "no server takes connections", ""},
		{model.FO, model.SchedulerFlags{}, sched.Memory{}, three, 3, "weight 4 is the highest of 3 servers", "weight 2"},
		{model.OVF, model.SchedulerFlags{}, sched.Memory{}, []loaded{{weight: 2, active: 2}, {weight: 4, active: 5}, {weight: 1}}, 1,
			"weight 2 is the highest of 2 servers with no more active connections than weight", "active 2 <= weight 2"},
		{model.OVF, model.SchedulerFlags{}, sched.Memory{}, three, 0, "every server has more active connections than weight", "active 3 > weight 2"},
		{model.LBLC, model.SchedulerFlags{}, sched.Memory{}, three, 1,
			"no server is remembered of 192.0.2.10, so as wlc: (active 3 x 256 + inactive 12) / weight 2 = 390 is the least of 3 servers", "(3 x 256 + 12) / 2 = 390"},
		{model.LBLC, model.SchedulerFlags{}, sched.Memory{Near: near(3)}, three, 3,
			"192.0.2.10 went there before, and it is not overloaded (active 20 > weight 4, but no other server has fewer than half of its weight)", "(3 x 256 + 12) / 2 = 390"},
		{model.LBLC, model.SchedulerFlags{}, sched.Memory{Near: near(2)}, full, 2,
			"192.0.2.10 went there before, and it is not overloaded (active 0 <= weight 2)", ""},
		{model.LBLC, model.SchedulerFlags{}, sched.Memory{Near: near(1)}, busy, 2,
			"192.0.2.10 went to 10.0.0.1:80 before, which is overloaded (active 5 > weight 2, and another server has fewer than half of its weight); " +
				"so as wlc: (active 0 x 256 + inactive 0) / weight 3 = 0 is the least of 2 servers", "(5 x 256 + 0) / 2 = 640"},
		{model.LBLC, model.SchedulerFlags{}, sched.Memory{Near: near(9)}, busy, 2,
			"192.0.2.10 went to 10.0.0.9:80 before, which takes no connections; so as wlc: (active 0 x 256 + inactive 0) / weight 3 = 0 is the least of 2 servers", "(5 x 256 + 0) / 2 = 640"},
		{model.LBLCR, model.SchedulerFlags{}, sched.Memory{}, busy, 2,
			"no server is remembered of 192.0.2.10, so as wlc: (active 0 x 256 + inactive 0) / weight 3 = 0 is the least of 2 servers", "(5 x 256 + 0) / 2 = 640"},
		{model.LBLCR, model.SchedulerFlags{}, sched.Memory{Near: near(2, 3)}, three, 2,
			"of 2 servers that 192.0.2.10 went to before: (active 3 x 256 + inactive 0) / weight 1 = 768 is the least of 2 servers, " +
				"and it is not overloaded (active 3 > weight 1, but no other server has fewer than half of its weight)", "(3 x 256 + 12) / 2 = 390"},
		{model.LBLCR, model.SchedulerFlags{}, sched.Memory{Near: near(1)}, busy, 2,
			"of 1 server that 192.0.2.10 went to before the least, 10.0.0.1:80, is overloaded (active 5 > weight 2, and another server has fewer than half of its weight); " +
				"so as wlc: (active 0 x 256 + inactive 0) / weight 3 = 0 is the least of 2 servers", "(5 x 256 + 0) / 2 = 640"},
		{model.LBLCR, model.SchedulerFlags{}, sched.Memory{Near: near(8, 9)}, busy, 2,
			"of 2 servers that 192.0.2.10 went to before none takes connections; so as wlc: (active 0 x 256 + inactive 0) / weight 3 = 0 is the least of 2 servers", "(5 x 256 + 0) / 2 = 640"},
		{model.DH, model.SchedulerFlags{}, sched.Memory{}, busy, 2, "bucket 162 of 256, that of 192.0.2.10, is this server's", "128 of 256 buckets"},
		{model.DH, model.SchedulerFlags{}, sched.Memory{}, full, 0, "bucket 162 of 256, that of 192.0.2.10, is that of 10.0.0.2:80, which takes no connections", "128 of 256 buckets"},
		{model.SH, model.SchedulerFlags{}, sched.Memory{}, busy, 1, "bucket 124 of 256, that of 203.0.113.7, is this server's", "102 of 256 buckets"},
		{model.SH, model.SchedulerFlags{Port: true}, sched.Memory{}, busy, 2, "bucket 32 of 256, that of 203.0.113.7:40000, is this server's", "102 of 256 buckets"},
		{model.SH, model.SchedulerFlags{Fallback: true}, sched.Memory{}, []loaded{{weight: 2, full: true}, {weight: 3}}, 2,
			"bucket 124 of 256, that of 203.0.113.7, is that of 10.0.0.1:80, which takes no connections; sh-fallback has others asked", "102 of 256 buckets"},
		{model.SH, model.SchedulerFlags{}, sched.Memory{}, full, 0,
			"bucket 124 of 256, that of 203.0.113.7, is that of 10.0.0.2:80, which takes no connections; without sh-fallback no other one is asked", "85 of 256 buckets"},
		{model.SH, model.SchedulerFlags{Fallback: true}, sched.Memory{}, full, 0,
			"bucket 124 of 256, that of 203.0.113.7, is that of 10.0.0.2:80, and no server takes connections", "85 of 256 buckets"},
		{model.MH, model.SchedulerFlags{}, sched.Memory{}, busy, 1, "index 3712 of 4093, that of 203.0.113.7, is this server's", "1637 of 4093 indexes"},
		{model.MH, model.SchedulerFlags{}, sched.Memory{}, nil, 0, "no server takes connections", ""},
	} {
		table, ask := asked(row.scheduler, row.servers)
		c := sched.Restore(row.scheduler, row.flags, row.memory).Explain(table, ask)
		picked := 0
		if c.Found {
			picked = 1 + c.Slot.Server
		}
		if picked != row.picked || c.Why != row.why || c.Compared[0] != row.compared {
			t.Errorf("%s %v:\n got %d %q, %q\nwant %d %q, %q", row.scheduler, row.servers,
				picked, c.Why, c.Compared[0], row.picked, row.why, row.compared)
		}
	}
}

// TestExplainedIsWhatIsPicked, and the twin stands where it would stand after Pick.
func TestExplainedIsWhatIsPicked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, s := range slices.DeleteFunc(model.Schedulers(), model.Scheduler.Draws) {
		for range 200 {
			table, ask := asked(s, anyServers(random))
			flags := model.SchedulerFlags{Port: random.IntN(2) == 0, Fallback: random.IntN(2) == 0}
			memory := sched.Memory{
				Turn: random.Uint64(), WRR: sched.WRR{Version: 7, Threshold: random.Uint32N(5)}, Near: near(1, 2, 3),
			}
			one, other := sched.Restore(s, flags, memory), sched.Restore(s, flags, memory)
			for range 5 {
				slot, found := one.Pick(table, ask)
				if c := other.Explain(table, ask); c.Slot != slot || c.Found != found || c.Why == "" {
					t.Fatalf("%s: explained is %v %t, picked %v %t", s, c.Slot, c.Found, slot, found)
				}
			}
		}
	}
}

func anyServers(random *rand.Rand) []loaded {
	out := make([]loaded, 1+random.IntN(6))
	for i := range out {
		out[i] = loaded{uint16(random.IntN(4)), random.Uint64N(6), random.Uint64N(300), random.IntN(4) == 0}
	}
	return out
}

// TestSharesAreHowOftenServersAreDrawn within a percent.
func TestSharesAreHowOftenServersAreDrawn(t *testing.T) {
	const draws = 100_000
	random := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		table, ask := asked(model.TWOS, anyServers(random))
		ask.Random = random.Uint32N
		twin := sched.NewTwin(model.TWOS, model.SchedulerFlags{})
		drawn := map[int]float64{}
		for range draws {
			if slot, ok := twin.Pick(table, ask); ok {
				drawn[slot.Server] += 1.0 / draws
			}
		}
		c := twin.Explain(table, ask)
		if c.Found {
			t.Errorf("somebody is named: %v", c.Slot)
		}
		for i := range 6 {
			if math.Abs(c.Shares[i]-drawn[i]) > 0.01 {
				t.Errorf("server %d: its share is said to be %.3f, and is %.3f", i, c.Shares[i], drawn[i])
			}
		}
	}
}
