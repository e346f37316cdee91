// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 58.
const (
	splitFlows    = "split"       // new flows of which two CPUs made connections to two servers
	miscounted    = "miscounted"  // packets and connections that counters have too many, or lack
	tornRecords   = "torn"        // packets that left by half of an old way to their server and half of a new one
	astray        = "astray"      // packets that were not sent on, for another reason than a full table or the next one
	busy          = "busy"        // packets whose connection another CPU was just putting in, or ending: senders repeat them
	edited        = "edits"       // of service and servers, in each second of that
	contradicting = "contradicts" // what the audit finds after random opens, closes, resets and expiries
)

// concurrentChanges: both CPUs get the first packet of the same flow at the same moment, while servers and
// weights change a thousand times a second. Then both do at random all that can be done to connections,
// while everything expires at once.
func concurrentChanges() faults.Fault {
	return faults.Fault{
		Number: 58,
		Long:   true,
		Parts: []faults.Part{
			none(splitFlows, "flows"), none(miscounted, "counts"), none(tornRecords, "packets"), none(astray, "packets"),
			{Name: busy, Unit: "%", Bar: 0.1, Timely: true}, // a thread may lose its CPU in the middle, which a driver's does not
			{Name: edited, Unit: "edits/s", Bar: 1000, AtLeast: true, Timely: true},
			none(contradicting, "findings"),
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			needTwoCPUs(t)
			flows, acts := size.Of(20_000, 1_000_000), size.Of(40_000, 1_000_000)
			return inTrial(t, func(tr *trial) map[string]float64 {
				figures := map[string]float64{edited: math.Inf(1)}
				for _, f := range []model.Forwarding{model.DR, model.NAT} {
					tr.sameFlows(f, flows/2, figures)
				}
				for _, f := range everyForwarding {
					figures[contradicting] += tr.anyActs(f, acts/len(everyForwarding))
				}
				return figures
			})
		},
	}
}

// sameFlows sends the first packet of each flow from two CPUs at once.
func (tr *trial) sameFlows(forwarding model.Forwarding, flows int, figures map[string]float64) {
	tr.t.Helper()
	r := race{trial: tr, forwarding: forwarding, went: [2][]byte{make([]byte, flows), make([]byte, flows)}}
	r.become(swinging(forwarding, 0))
	verdicts, counts := tr.verdicts(tr.t), r.counts()
	stop, began := r.edit(), time.Now()
	tr.onTwoCPUs(tr.t, r.run)
	edits, err := stop()
	if err != nil {
		tr.t.Error(err)
	}
	took := time.Since(began)
	tr.t.Logf("%d edits in %v, while %d flows began", edits, took, flows)
	for cpu, ways := range r.ways {
		if edits < flows/flowsAnEdit || ways[0] == 0 || ways[1] == 0 {
			tr.t.Errorf("after %d edits the ways of packets on CPU %d were %v", edits, cpu, ways)
		}
	}
	figures[edited] = min(figures[edited], float64(edits)/took.Seconds())
	ended := tr.ended(verdicts)
	figures[astray] += tr.astrayOf(ended)
	figures[busy] = max(figures[busy], 100*float64(ended[connBusy])/float64(2*flows))
	figures[splitFlows] += float64(r.split())
	figures[tornRecords] += float64(r.torn[0] + r.torn[1])
	figures[miscounted] += r.miscounted(verdicts, counts)
}

// flowsAnEdit is how many flows may begin for each edit, however slow the machine is.
const flowsAnEdit = 1000

// ended is how many packets ended by a verdict since then.
func (tr *trial) ended(before []uint64) map[verdict]uint64 {
	all := map[verdict]uint64{}
	for i, n := range tr.verdicts(tr.t) {
		if n > before[i] {
			all[verdict(tr.names[i])] = n - before[i]
		}
	}
	return all
}

// astrayOf is how many of these were not sent on, but for those that found no room in the table, or their connection
// busy.
func (tr *trial) astrayOf(ended map[verdict]uint64) float64 {
	var all uint64
	for v, n := range ended {
		if v != connFull && v != connBusy && !slices.Contains(sends, v) {
			tr.t.Logf("%d packets ended as %s", n, v)
			all += n
		}
	}
	return float64(all)
}

// race is two CPUs with the same flows.
type race struct {
	*trial
	meeting
	forwarding model.Forwarding

	went [2][]byte // to which server each flow went, by CPU; 0: nowhere
	torn [2]int
	ways [2][2]int // how many packets went by each of the two ways
}

func (r *race) run(cpu int) error {
	defer r.leave(cpu)
	if err := idle(); err != nil {
		return err
	}
	s := stampOf(stampSource, talkTo(4, 10, 80, model.TCP, 20000+uint16(r.forwarding)).open())
	for turn := range r.went[cpu] {
		frame := s.of(uint32(turn))
		r.wait(cpu, turn)
		action, out, err := r.path.Send(frame, front)
		if err != nil {
			return err
		}
		if action != xdpTX && action != xdpRedirect {
			continue
		}
		if r.went[cpu][turn] = out[5] % otherWay; !isWay(action, out) {
			r.torn[cpu]++
		}
		r.ways[cpu][out[5]/otherWay]++
	}
	return nil
}

// otherWay is added to the number of a server in the MAC by which it is reached over the front link.
const otherWay = 100

// swinging is a service with another way to its servers each time, and other weights now and then: a new
// table of slots waits for the kernel's grace period, and there would be few edits.
func swinging(forwarding model.Forwarding, turn int) model.DataplaneWant {
	return changed(small(forwarding), func(s *model.ServiceWant) {
		s.Scheduler = model.WRR
		for i := range s.Servers {
			w := &s.Servers[i]
			w.Weight = uint16(1 + (turn/(swings/3)+i)%3)
			if turn%2 == 1 {
				*w = oneArmed(*w)
				w.MAC[5] += otherWay
			}
		}
	})
}

// swings are so many turns, after which all is as in the beginning.
const swings = 3 * 64

// isWay: all of the frame's way is of the same edit.
func isWay(action uint32, out []byte) bool {
	if out[5] > otherWay {
		return packet.MAC(out[6:]) == packet.MAC(frontMAC) && action == xdpTX
	}
	return packet.MAC(out[6:]) == packet.MAC(backMAC) && action == xdpRedirect
}

// become makes the path serve what the twin does not know of.
func (tr *trial) become(want model.DataplaneWant) {
	tr.t.Helper()
	var err error
	tr.do(func() { err = tr.path.Apply(context.Background(), want) })
	if err != nil {
		tr.t.Fatal(err)
	}
}

// editsAimed is how many edits there are in a second, if the machine lets them: a few more than the bar.
const editsAimed = 1500

// edit edits more than a thousand times a second until it is stopped, and says how often it did: less often when
// the machine has no more to give.
func (r *race) edit() (stop func() (edits int, err error)) {
	var ended sync.WaitGroup
	var edits int
	var failed error
	var end atomic.Bool
	began := time.Now()
	space := r.namespace(r.t)
	wants := make([]model.DataplaneWant, swings) // made before: it takes a third of the time
	for turn := range wants {
		wants[turn] = swinging(r.forwarding, turn)
	}
	ended.Go(func() {
		defer space.Close()
		runtime.LockOSThread() // which ends with the goroutine
		for failed = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); failed == nil && !end.Load(); edits++ {
			// Not time.Sleep, after which another thread would have to wake this one.
			wait := time.Until(began.Add(time.Duration(edits) * time.Second / editsAimed))
			_ = unix.Nanosleep(&unix.Timespec{Nsec: max(0, wait.Nanoseconds())}, nil) // it may end sooner
			failed = r.path.Apply(context.Background(), wants[(edits+1)%swings])
		}
	})
	return func() (int, error) {
		end.Store(true)
		ended.Wait()
		return edits, failed
	}
}

// split is how many flows went to two servers.
func (r *race) split() (n int) {
	for i, one := range r.went[0] {
		if other := r.went[1][i]; one != 0 && other != 0 && one != other {
			n++
		}
	}
	return n
}

// counts are those of the service that is edited.
func (tr *trial) counts() dataplane.Counts {
	tr.t.Helper()
	counters, err := tr.path.Counters()
	if err != nil {
		tr.t.Fatal(err)
	}
	return counters.Services[small(model.DR).Services[0].Key]
}

// miscounted adds up by how much counts are wrong: each packet took one exit, what was sent on was
// counted, each flow began once, and the loads are the connections.
func (r *race) miscounted(verdicts []uint64, before dataplane.Counts) float64 {
	var sent, began, exits int
	for i := range r.went[0] {
		one, other := r.went[0][i] != 0, r.went[1][i] != 0
		for _, went := range []bool{one, other, one || other} {
			if went {
				sent++
			}
		}
		if one || other {
			sent--
			began++
		}
	}
	for i, n := range r.verdicts(r.t) {
		exits += int(n - verdicts[i])
	}
	now := r.counts()
	active, inactive, halfOpen := r.loadsBeyond(r.t)
	wrong := []float64{
		float64(2*len(r.went[0]) - exits), float64(sent) - float64(now.PacketsIn-before.PacketsIn),
		float64(began) - float64(now.Connections-before.Connections), float64(active), float64(inactive), float64(halfOpen),
	}
	sum := 0.0
	for _, w := range wrong {
		sum += math.Abs(w)
	}
	if sum != 0 {
		r.t.Logf("exits, packets, connections, active, inactive, half open are wrong by %v", wrong)
	}
	return sum
}

// anyActs does so many things with connections at random, from both CPUs, and returns what the audit
// finds afterwards.
func (tr *trial) anyActs(forwarding model.Forwarding, acts int) float64 {
	tr.become(smallOfBoth(forwarding))
	if err := tr.path.ExpireAtOnce(); err != nil {
		tr.t.Fatal(err)
	}
	done := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() { tr.expireAll(done) })
	tr.onTwoCPUs(tr.t, func(cpu int) error { return tr.act(acts/2, uint64(cpu)) })
	close(done)
	sweeping.Wait()
	tr.allBegan()
	findings := tr.audit(tr.t)
	for _, f := range findings[:min(20, len(findings))] {
		tr.t.Log(f)
	}
	active, inactive, halfOpen := tr.loadsBeyond(tr.t)
	if active != 0 || inactive != 0 || halfOpen != 0 {
		tr.t.Logf("loads are beyond the connections by %d, %d; half-open ones by %d", active, inactive, halfOpen)
		return float64(len(findings) + 1)
	}
	return float64(len(findings))
}

// allBegan: each service had connections.
func (tr *trial) allBegan() {
	tr.t.Helper()
	counters, err := tr.path.Counters()
	if err != nil {
		tr.t.Fatal(err)
	}
	for key, c := range counters.Services {
		if c.Connections == 0 {
			tr.t.Errorf("service %s had no connection", key)
		}
	}
}

// smallOfBoth is small, and the same in IPv6.
func smallOfBoth(forwarding model.Forwarding) model.DataplaneWant {
	want := small(forwarding)
	for _, p := range []model.Protocol{model.TCP, model.UDP} {
		want.Services = append(want.Services, service(6, 10, 80, p, toServer(6, 1, 80, forwarding), toServer(6, 2, 80, forwarding)))
	}
	return want
}

// expireAll sweeps now and then.
func (tr *trial) expireAll(done <-chan struct{}) {
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticks.C:
			tr.path.Sweep()
		}
	}
}

// act opens, acknowledges, closes and resets, for clients and servers, in TCP and UDP and both families.
func (tr *trial) act(times int, seed uint64) error {
	random := rand.New(rand.NewPCG(58, seed))
	var asks, answers []stamp
	for _, f := range []family{4, 6} {
		c, u := talkTo(f, 10, 80, model.TCP, 20000), talkTo(f, 10, 80, model.UDP, 20000)
		for _, flags := range []packet.TCPFlags{packet.SYN, packet.SYN, packet.ACK, packet.ACK, packet.ACK, packet.FIN | packet.ACK, packet.RST} {
			asks = append(asks, stampOf(stampSource, c.ask(flags)))
		}
		asks = append(asks, stampOf(stampSource, u.open()), stampOf(stampSource, u.more()))
		for host := range byte(2) {
			server := netip.AddrPortFrom(serverAddr(f, 1+host), 80)
			for _, flags := range []packet.TCPFlags{packet.SYN | packet.ACK, packet.ACK, packet.FIN | packet.ACK, packet.RST} {
				answers = append(answers, stampOf(stampDestination, c.answer(server, flags)))
			}
			answers = append(answers, stampOf(stampDestination, u.answer(server, 0)))
		}
	}
	for range times {
		stamps, link := asks, front
		if random.IntN(4) == 0 {
			stamps, link = answers, back
		}
		if _, _, err := tr.path.Send(stamps[random.IntN(len(stamps))].of(anyClient(random)), link); err != nil {
			return err
		}
	}
	return nil
}

// anyClient is often one of few, who get far with their connections, else one of many, who crowd the table.
func anyClient(random *rand.Rand) uint32 {
	if random.IntN(2) == 0 {
		return random.Uint32N(2000)
	}
	return random.Uint32N(200_000)
}
