// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

const (
	benchShared = 100_000 // flows whose packets come on two CPUs

	// A flood lasts until whoever came with it has given way again, in each bucket.
	floodRoom    = 1 << 18
	floodSettled = 170_000 // half of the table has no places for more
	floodFlows   = 1 << 20 // all that the wrapper has: those behind are the flood's
	floodTurns   = floodFlows - floodSettled

	endFlows = 100_000

	// Full tables of eighty slices, each of which is a sample. More flows begin than there is room for.
	benchSlices = 80
	sliceRoom   = benchSlices * sliceBuckets * uint32(bucketEntries) * model.RatedPercent / 100
	longestRun  = 4 * time.Millisecond // of the sweep, which nothing on its CPU interrupts
)

// sharedByTwo sends the packets of all flows on two CPUs at once, each flow's on both, and takes the time of the slower
// CPU. Two threads do so by BPF_PROG_RUN, with a wrapper and a frame each, over the same table. Frames that come by
// an interface would take a driver for each CPU, which costs more than all that is measured here.
func (b *bench) sharedByTwo(flows int) result {
	frame := b.c.frame(false, false)
	var wrappers [2]wrapper
	for cpu := range wrappers {
		wrappers[cpu] = b.wrapper(loadedFor{mode: benchBenchModeBENCH_PATH, cpu: cpu}, flows)
		b.run(wrappers[cpu], frame, flows)
	}
	before := b.count(b.verdict())
	r := b.result(fmt.Sprintf("established/%s/%s/%d/2-cpus", b.c.method, b.c.family(), flows), func() float64 {
		took := make(chan float64)
		for cpu, o := range wrappers {
			go b.runOn(cpu, o, frame, took)
		}
		return max(<-took, <-took)
	})
	b.sent(b.verdict(), before, len(wrappers)*b.samples*benchTurns)
	return r
}

// runOn never unlocks its thread, which ends with the goroutine.
func (b *bench) runOn(cpu int, o wrapper, frame []byte, took chan<- float64) {
	var ns float64
	defer func() { took <- ns }() // also when it ends by t.Fatal
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		b.t.Error(err)
		return
	}
	ns = b.run(o, frame, benchTurns)
}

// measureFloods is of SYNs of ever new flows that come to a full table: half of it has connections that are settled,
// the other half such SYNs, one of which gives way to each.
func (r *bencher) measureFloods() (out []result) {
	for _, ipv6 := range []bool{false, true} {
		b := r.open(benchCase{method: "dr", forwarding: model.DR, ipv6: ipv6, room: floodRoom})
		b.establish(floodSettled)
		o := b.path(floodFlows, false)
		flood := func() float64 { return b.runFrom(o, b.c.frame(true, false), floodSettled, floodTurns, func() {}) }
		flood()
		sent, begun := b.count(b.verdict()), b.begun()
		out = append(out, b.result("flood/dr/"+b.c.family(), flood))
		turns := b.samples * floodTurns
		b.sent(b.verdict(), sent, turns)
		if got := b.begun() - begun; got < uint64(turns)/100*98 {
			b.t.Errorf("flood %s: of %d SYNs only %d began a connection", b.c.family(), turns, got)
		}
		b.close()
	}
	return out
}

// begun is how many connections have begun.
func (b *bench) begun() (n uint64) {
	b.t.Helper()
	counters, err := b.d.Counters()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range counters.Services {
		n += s.Connections
	}
	return n
}

// ends is what it takes to end a connection before its time, of all that there are: the program's part of
// weir connections --kill, a run of it for MAX_ENDINGS at a time.
func (b *bench) ends() result {
	all := sample(b.samples, func() float64 {
		b.forget()
		b.establish(endFlows)
		return b.endAll()
	})
	return figure("program", fmt.Sprintf("end/%s/%s/%d", b.c.method, b.c.family(), endFlows), "ns", all)
}

// endAll is nanoseconds a connection.
func (b *bench) endAll() float64 {
	b.t.Helper()
	var all []enderEnding
	err := b.d.eachEntry(func(position uint32, e pathConn) bool {
		if word(e.Word).isForward() {
			all = append(all, enderEnding{Word: e.Word, Position: position})
		}
		return true
	})
	if err != nil {
		b.t.Fatal(err)
	}
	var took time.Duration
	for some := range slices.Chunk(all, int(pathLimitMAX_ENDINGS)) {
		took += b.end(some)
	}
	if n := len(all); n < endFlows/1000*999 {
		b.t.Errorf("end %s %s: there were %d of %d connections", b.c.method, b.c.family(), n, endFlows)
	}
	return float64(took.Nanoseconds()) / float64(len(all))
}

// end runs the program, and returns how long that took: the call of it included, which is little beside.
func (b *bench) end(some []enderEnding) time.Duration {
	b.t.Helper()
	keys := make([]uint32, len(some))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := b.d.ender.endings.BatchUpdate(keys, some, nil); err != nil {
		b.t.Fatal(err)
	}
	begun := time.Now()
	if _, err := b.d.ender.end.Run(&ebpf.RunOptions{Context: uint32(len(some))}); err != nil {
		b.t.Fatal(err)
	}
	return time.Since(begun)
}

// sliceCase is a full table, and who is in it.
type sliceCase struct {
	name string
	benchCase
	tells bool // sync hears who ends
}

// measureSlices is how long the sweep takes for as many buckets as it sweeps at once, all of which are full: while all
// connections live, when all of them have just expired, and when all of them end, by themselves or in pairs.
func (r *bencher) measureSlices() (out []result) {
	for _, c := range []sliceCase{
		{name: "dr", benchCase: benchCase{method: "dr", forwarding: model.DR}},
		{name: "nat", benchCase: benchCase{method: "nat-in", forwarding: model.NAT}},
		{name: "nat/persistence/sync", benchCase: benchCase{method: "nat-in", forwarding: model.NAT, persistent: true}, tells: true},
	} {
		out = append(out, r.measureSlice(c)...)
	}
	for _, f := range out {
		if f.Value > float64(longestRun)/float64(time.Millisecond) {
			r.t.Errorf("%s: half of the sweep's runs take longer than %.2f ms, and may take %s: make them smaller", f.Name, f.Value, longestRun)
		}
	}
	return out
}

func (r *bencher) measureSlice(c sliceCase) []result {
	c.room = sliceRoom
	b := r.open(c.benchCase)
	defer b.close()
	if c.tells {
		b.d.TellEnds(func([]model.Identity) {})
	}
	flows := int(sliceRoom) * 3 / 2
	if c.forwarding == model.NAT {
		flows /= 2
	}
	b.establish(flows)
	name := "sweep/slice/" + c.name
	live := b.sweepAll(name+"/live", func(s pathSweep) bool {
		return s.Marked == 0 && s.Deleted == 0 && s.Seen > sliceBuckets*(uint32(bucketEntries)-1)
	})
	if err := b.d.Age(366 * time.Hour); err != nil {
		b.t.Fatal(err)
	}
	expired := b.sweepAll(name+"/expired", func(s pathSweep) bool { return s.Marked > 0 && s.Deleted == 0 })
	ended := b.sweepAll(name+"/ended", func(s pathSweep) bool { return s.Marked == 0 && s.Deleted > 0 })
	return []result{live, expired, ended}
}

// sweepAll sweeps the whole table, and is how long a slice took. Each must be as it is said to be.
func (b *bench) sweepAll(name string, is func(pathSweep) bool) result {
	b.t.Helper()
	var all []float64
	for first := uint32(0); first < b.d.table().buckets; first += sliceBuckets {
		s := pathSweep{First: first, Buckets: sliceBuckets, Round: b.d.round()}
		b.d.prepare(&s)
		begun := time.Now()
		if _, err := b.d.sweeper.Sweep.Run(&ebpf.RunOptions{Context: &s, ContextOut: &s}); err != nil {
			b.t.Fatal(err)
		}
		all = append(all, float64(time.Since(begun).Microseconds())/1000)
		if !is(s) {
			b.t.Errorf("%s: the slice at bucket %d: %+v", name, first, s)
		}
	}
	slices.Sort(all)
	return figure("sweep", name, "ms", all)
}

// tableBytes is what the table takes for each connection that it is made for. Families do not differ.
func tableBytes() []result {
	c := model.Connections{Size: model.DefaultConnections}
	bytes := float64(c.Memory()) / float64(c.Size)
	const entriesByNAT = 2
	return []result{
		figure("table", "table/bytes/dr", "B", []float64{bytes}),
		figure("table", "table/bytes/nat", "B", []float64{bytes * entriesByNAT}),
	}
}
