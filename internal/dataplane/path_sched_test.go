// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
	"github.com/weir-lb/weir/internal/sched"
)

// TestSchedulersPickAsTheirTwins: any number of servers with any weights, whose connections come, are
// acknowledged, and end, while weights change.
func TestSchedulersPickAsTheirTwins(t *testing.T) {
	t.Parallel()
	for _, s := range foreseeable() {
		t.Run(s.String(), func(t *testing.T) {
			for seed := range uint64(4) {
				flags := model.SchedulerFlags{Port: seed&1 != 0, Fallback: seed&2 == 0}
				pickAtRandom(t, s, flags, rand.New(rand.NewPCG(uint64(s), seed)))
			}
		})
	}
}

// foreseeable are the schedulers that pick the same as their twins: others draw lots.
func foreseeable() []model.Scheduler {
	return slices.DeleteFunc(model.Schedulers(), model.Scheduler.Draws)
}

func pickAtRandom(t *testing.T, s model.Scheduler, flags model.SchedulerFlags, random *rand.Rand) {
	t.Helper()
	b := newTestbed(t, 2048)
	f := []family{4, 6}[random.IntN(2)]
	want := farm(f, s, 1+random.IntN(24))
	want.Services[0].Flags = flags
	var talks []talk
	for turn := range uint16(400) {
		if turn%100 == 0 {
			want = changed(want, func(s *model.ServiceWant) {
				weigh(s.Servers, random)
				limit(s.Servers, random)
			})
			b.apply(t, want)
		}
		flags := packet.SYN
		c := talkTo(f, 10, 80, model.TCP, 20000+turn)
		c.client = netip.AddrPortFrom(somebody(f, random), c.client.Port())
		if len(talks) > 0 && random.IntN(2) == 0 {
			c = talks[random.IntN(len(talks))]
			flags = []packet.TCPFlags{packet.ACK, packet.ACK, packet.FIN | packet.ACK, packet.RST}[random.IntN(4)]
		} else {
			talks = append(talks, c)
		}
		b.frame(t, front, packet.Build(c.ask(flags)...))
	}
	b.compareConnections(t)
}

// somebody is a client's address of which any bits may differ.
func somebody(f family, random *rand.Rand) netip.Addr {
	if f == 4 {
		return netip.AddrFrom4([4]byte{203, 0, byte(random.IntN(256)), byte(random.IntN(256))})
	}
	bytes := clientAddr(f).As16()
	for i := range 4 {
		bytes[4+i*3] = byte(random.IntN(256))
	}
	return netip.AddrFrom16(bytes)
}

// farm is a service with n servers.
func farm(f family, s model.Scheduler, n int) model.DataplaneWant {
	want := model.DataplaneWant{Interfaces: world().Interfaces}
	var servers []model.ServerWant
	for host := range n {
		servers = append(servers, toServer(f, byte(1+host), 80, model.DR))
	}
	web := service(f, 10, 80, model.TCP, servers...)
	web.Scheduler = s
	want.Services = append(want.Services, web)
	return want
}

// limit gives half of the servers thresholds that they reach.
func limit(servers []model.ServerWant, random *rand.Rand) {
	for i := range servers {
		servers[i].Thresholds = model.Thresholds{}
		if random.IntN(2) == 0 {
			continue
		}
		upper := 1 + random.Uint32N(12)
		servers[i].Thresholds = model.Thresholds{Upper: upper, Lower: random.Uint32N(upper + 1)}
	}
}

// weigh gives servers weights as people do: small ones, none, or whatever there is.
func weigh(servers []model.ServerWant, random *rand.Rand) {
	for i := range servers {
		weight := 1 + random.Uint32N(4)
		switch random.IntN(20) {
		case 0, 1, 2:
			weight = 0
		case 3:
			weight = random.Uint32N(1 << 16)
		}
		servers[i].Weight = uint16(weight)
	}
}

// TestDrawnServersAreThoseOfTheTwin: nobody foresees a draw, but of thousands each server gets what its
// twin gives it, within a few percent.
func TestDrawnServersAreThoseOfTheTwin(t *testing.T) {
	t.Parallel()
	const picks = 6000
	b := newTestbed(t, 4*picks)
	want := farm(4, model.TWOS, 4)
	for i, weight := range []uint16{1, 2, 3, 0} {
		want.Services[0].Servers[i].Weight = weight
	}
	b.apply(t, want)
	s := stampOf(stampSource, talkTo(4, 10, 80, model.TCP, 20000).open())
	for turn := range uint32(picks) {
		b.do(func() {
			if _, _, err := b.path.Send(s.of(turn), front); err != nil {
				t.Error(err)
			}
		})
	}
	counters, err := b.path.Counters()
	if err != nil {
		t.Fatal(err)
	}
	twin := drawn(want.Services[0].Servers, picks)
	for i, w := range want.Services[0].Servers {
		got := counters.Servers[model.ServiceServer{Service: want.Services[0].Key, Server: w.Key}].Connections
		if diff := int(got) - twin[i]; diff > picks/50 || diff < -picks/50 {
			t.Errorf("weight %d: %d connections, the twin's has %d", w.Weight, got, twin[i])
		}
	}
}

// drawn is how often the twin picks each server, whose connections stay inactive.
func drawn(servers []model.ServerWant, picks int) []int {
	random := rand.New(rand.NewPCG(1, 2))
	got := make([]int, len(servers))
	ask := sched.Ask{
		Random: random.Uint32N,
		Load:   func(server int) sched.Load { return sched.Load{Inactive: uint64(got[server])} },
	}
	table := sched.Make(model.TWOS, servers)
	for range picks {
		slot, _ := sched.NewTwin(model.TWOS, model.SchedulerFlags{}).Pick(table, ask)
		got[slot.Server]++
	}
	return got
}
