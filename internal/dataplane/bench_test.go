// SPDX-License-Identifier: Apache-2.0

package dataplane

// `make bench` runs TestBench alone, with WEIR_BENCH naming where the results go. Each figure here is
// the kernel's own duration of BPF_PROG_RUN, nanoseconds a packet, wrapper included. What the table
// costs beside packets: bench_table_test.go.

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	figures "github.com/weir-lb/weir/bench"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// result is a line of bench/results.json.
type result = figures.Figure

const (
	benchSamples = 7
	unitSamples  = 3  // with the unit's capabilities
	floorSamples = 25 // of which the best is taken
	benchTurns   = 1_000_000
	benchNew     = 100_000 // flows that begin, in one sample
	benchRoom    = 2 << 20 // of the table: a NAT connection takes two places
	loopbackLink = 1       // BPF_PROG_RUN without a context runs on the loopback interface
	xdpAborted   = 0
)

var (
	benchMAC    = model.MAC{2, 0, 0, 0, 0, 1}
	benchRouter = model.MAC{2, 0, 0, 0, 0, 2}
	benchServer = model.MAC{2, 0, 0, 0, 0, 3}
)

// benchCase is one column of the contract's names: method and family.
type benchCase struct {
	method     string
	forwarding model.Forwarding
	ipv6       bool
	answers    bool
	tunnel     model.Tunnel
	scheduler  model.Scheduler // 0: wrr
	servers    int             // 0: one
	persistent bool            // its clients have sixteen connections each
	spreads    bool            // IPv4: one client asks for BENCH_DESTINATIONS
	room       uint32          // of the table; 0: benchRoom
}

func (c benchCase) family() string {
	if c.ipv6 {
		return "ipv6"
	}
	return "ipv4"
}

func benchCases() []benchCase {
	var out []benchCase
	for _, ipv6 := range []bool{false, true} {
		out = append(out,
			benchCase{method: "dr", forwarding: model.DR, ipv6: ipv6},
			benchCase{method: "tun-ipip", forwarding: model.TUN, ipv6: ipv6},
			benchCase{method: "tun-gre", forwarding: model.TUN, ipv6: ipv6, tunnel: model.Tunnel{Type: model.GRE}},
			benchCase{method: "tun-gue", forwarding: model.TUN, ipv6: ipv6, tunnel: model.Tunnel{Type: model.GUE, Port: 6080}},
			benchCase{method: "nat-in", forwarding: model.NAT, ipv6: ipv6},
			benchCase{method: "nat-out", forwarding: model.NAT, ipv6: ipv6, answers: true},
		)
	}
	return out
}

// benchAddresses are client, VIP and server, all of one family.
func (c benchCase) addresses() (client, vip, server netip.Addr) {
	if c.ipv6 {
		return netip.MustParseAddr("2001:db8:c::"), netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("2001:db8:b::11")
	}
	vip = netip.MustParseAddr("192.0.2.10")
	if c.spreads {
		vip = netip.MustParseAddr("192.0.0.0") // and those behind it
	}
	return netip.MustParseAddr("203.0.0.0"), vip, netip.MustParseAddr("198.51.100.11")
}

func (c benchCase) want() model.DataplaneWant {
	_, vip, server := c.addresses()
	if c.spreads {
		vip = netip.IPv4Unspecified()
	}
	source := netip.MustParseAddr("198.51.100.1")
	if c.ipv6 {
		source = netip.MustParseAddr("2001:db8:b::1")
	}
	service := model.ServiceWant{
		Key:       model.ServiceKey{Address: vip, Port: 80, Protocol: model.TCP},
		Scheduler: cmp.Or(c.scheduler, model.WRR),
		Serving:   true,
	}
	if c.persistent {
		service.Persistence.Timeout = model.DefaultPersistence
	}
	port := uint16(80)
	if c.forwarding == model.NAT {
		port = 8080
	}
	for range max(1, c.servers) {
		service.Servers = append(service.Servers, model.ServerWant{
			Key: model.ServerKey{Address: server, Port: port}, Forwarding: c.forwarding, Tunnel: c.tunnel, Weight: 1,
			Link: loopbackLink, Next: server, MAC: benchServer, SourceMAC: benchMAC, Source: source, MTU: 1500,
		})
		server = server.Next()
	}
	return model.DataplaneWant{Revision: 1, Services: []model.ServiceWant{service}}
}

// frame is the segment of flow 0 with these TCP flags, or the server's answer to it.
func (c benchCase) frame(syn, answer bool) []byte {
	client, vip, server := c.addresses()
	// The wrapper keeps these fields such that every flow has the checksums of flow 0.
	tcp := packet.TCP{Source: 1024, Destination: 80, Flags: packet.ACK, Window: ^uint16(1024)}
	if syn {
		tcp.Flags = packet.SYN
	}
	source, destination, from := client, vip, benchRouter
	if answer {
		source, destination, from = server, client, benchServer
		tcp.Source, tcp.Destination = 8080, 1024
	}
	ethernet := packet.Ethernet{Destination: benchMAC, Source: from}
	if c.ipv6 {
		return packet.Build(ethernet, packet.IPv6{Source: source, Destination: destination, HopLimit: 64}, tcp)
	}
	return packet.Build(ethernet, packet.IPv4{Source: source, Destination: destination, TTL: 64, ID: 0xffff}, tcp, packet.Payload(make([]byte, 6)))
}

// bencher measures as whoever it runs as: root, or the unit.
type bencher struct {
	t       *testing.T
	bpffs   string
	samples int
	floors  map[string]floors // of each family whose cases have begun
}

// floors are the least that a balancer, and a tunnel, do to each packet.
type floors struct{ swap, ipip float64 }

// bench is the wrapped path over the maps of a dataplane.
type bench struct {
	t       *testing.T
	d       *Dataplane
	c       benchCase
	samples int
	floors  floors
	loaded  map[loadedFor]*benchObjects
}

// loadedFor tells wrappers apart. To load one takes the verifier seconds without CAP_PERFMON, so each is loaded once.
type loadedFor struct {
	mode    benchBenchMode
	answers bool
	cpu     int // each CPU's has a frame of its own
}

// wrapper goes through so many flows in turn.
type wrapper struct {
	*benchObjects
	program *ebpf.Program // of these
	flows   uint32
}

// discard is for tests whose log nobody reads.
var discard = slog.New(slog.DiscardHandler)

// open opens a dataplane in a directory of the bpffs; close it when it is measured.
func (r *bencher) open(c benchCase) *bench {
	r.t.Helper()
	dir := filepath.Join(r.bpffs, c.method+"-"+c.family())
	d, err := Open(Options{BPFFS: dir, Config: "bench", MaxConns: cmp.Or(c.room, benchRoom), Log: discard})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := d.applyServices(context.Background(), c.want().Services, nil); err != nil {
		r.t.Fatal(err)
	}
	self := model.InterfaceWant{Name: "lo", Index: loopbackLink, MAC: benchMAC, MTU: 1500}
	if err := d.putInterface(self, nil); err != nil {
		r.t.Fatal(err)
	}
	return &bench{t: r.t, d: d, c: c, samples: r.samples, floors: r.floors[c.family()], loaded: map[loadedFor]*benchObjects{}}
}

func (b *bench) close() {
	b.t.Helper()
	for _, o := range b.loaded {
		o.Close()
	}
	if err := b.d.Discard(); err != nil {
		b.t.Error(err)
	}
}

// path is the wrapped path, for clients' packets or for answers to them.
func (b *bench) path(flows int, answers bool) wrapper {
	b.t.Helper()
	return b.wrapper(loadedFor{mode: benchBenchModeBENCH_PATH, answers: answers}, flows)
}

func (b *bench) wrapper(as loadedFor, flows int) wrapper {
	o := b.load(as)
	return wrapper{o, o.Bench, uint32(flows)}
}

// load loads the wrapper in a mode, on the dataplane's maps.
func (b *bench) load(as loadedFor) *benchObjects {
	b.t.Helper()
	if o := b.loaded[as]; o != nil {
		return o
	}
	spec, err := loadBench()
	if err != nil {
		b.t.Fatal(err)
	}
	for name, value := range map[string]any{
		"jiffies_per_second": b.d.hz, "bench_what": uint32(as.mode),
		"bench_ipv6": b.c.ipv6, "bench_answers": as.answers, "bench_grows": b.grows(as.mode), "bench_spreads": b.c.spreads,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.d.table().set(spec); err != nil {
		b.t.Fatal(err)
	}
	objects := new(benchObjects)
	if err := spec.LoadAndAssign(objects, &ebpf.CollectionOptions{MapReplacements: b.d.share(spec)}); err != nil {
		b.t.Fatalf("%+v", err)
	}
	b.loaded[as] = objects
	return objects
}

// grows is how much longer each turn leaves the frame.
func (b *bench) grows(mode benchBenchMode) uint32 {
	tunnel := mode == benchBenchModeBENCH_PATH && b.c.forwarding == model.TUN
	if !tunnel && mode != benchBenchModeBENCH_IPIP {
		return 0
	}
	_, _, server := b.c.addresses()
	return uint32(b.c.tunnel.Overhead(server))
}

// run takes turns with a frame and returns nanoseconds a turn.
func (b *bench) run(o wrapper, frame []byte, turns int) float64 {
	return b.runFrom(o, frame, 0, turns, func() {})
}

// runFrom begins with the flow of a number. A run that a signal has ended is begun anew, with the frame
// as it was at first: so must turn be, and what else before puts back.
func (b *bench) runFrom(o wrapper, frame []byte, first uint32, turns int, before func()) float64 {
	b.t.Helper()
	var original [80]byte
	copy(original[:], frame)
	if err := o.Frame.Put(uint32(0), original); err != nil {
		b.t.Fatal(err)
	}
	start := func() {
		before()
		if err := o.Turn.Put(uint32(0), [3]uint32{first, 0, o.flows}); err != nil {
			b.t.Fatal(err)
		}
	}
	start()
	action, duration, err := o.program.Benchmark(frame, turns, start)
	if err != nil {
		b.t.Fatal(err)
	}
	if action == xdpAborted {
		b.t.Errorf("%s %s: the wrapper does not get along with its frame", b.c.method, b.c.family())
	}
	return float64(duration.Nanoseconds())
}

// forget empties the connection table.
func (b *bench) forget() {
	b.t.Helper()
	const chunk = 1 << 16
	conns := b.d.path.Conns
	keys, values := make([]uint32, chunk), make([]pathConn, chunk)
	for first := uint32(0); first < conns.MaxEntries(); first += chunk {
		n := min(chunk, conns.MaxEntries()-first)
		for i := range n {
			keys[i] = first + i
		}
		if _, err := conns.BatchUpdate(keys[:n], values[:n], nil); err != nil {
			b.t.Fatal(err)
		}
	}
}

// sent checks that all turns left by the verdict that the case is about, or the figure is of
// something else.
func (b *bench) sent(v pathVerdict, before uint64, turns int) {
	b.t.Helper()
	if got := b.count(v) - before; got < uint64(turns) {
		b.t.Errorf("%s %s: %d of %d packets were sent", b.c.method, b.c.family(), got, turns)
	}
}

func (b *bench) count(v pathVerdict) uint64 {
	b.t.Helper()
	verdicts, err := b.d.Verdicts()
	if err != nil {
		b.t.Fatal(err)
	}
	return verdicts[v-1].Count
}

func (b *bench) verdict() pathVerdict {
	switch b.c.method {
	case "dr":
		return pathVerdictVERDICT_DR
	case "tun-ipip", "tun-gre", "tun-gue":
		return pathVerdictVERDICT_TUN
	case "nat-in":
		return pathVerdictVERDICT_NAT_IN
	}
	return pathVerdictVERDICT_NAT_OUT
}

// sample repeats a measurement and sorts what comes of it.
func sample(n int, one func() float64) (all []float64) {
	for range n {
		all = append(all, one())
	}
	slices.Sort(all)
	return all
}

// figure is the median of what was measured, between the extremes.
func figure(group, name, unit string, sorted []float64) result {
	return result{Group: group, Name: name, Value: sorted[len(sorted)/2], Unit: unit, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// result is beside the floors, if they are known already.
func (b *bench) result(name string, one func() float64) result {
	r := figure("program", name, "ns", sample(b.samples, one))
	r.Floor, r.FloorIPIP = b.floors.swap, b.floors.ipip
	r.Ratio, r.RatioIPIP = ratio(r.Value, r.Floor), ratio(r.Value, r.FloorIPIP)
	return r
}

func ratio(value, floor float64) float64 {
	if floor == 0 {
		return 0
	}
	return math.Round(value/floor*100) / 100
}

// best is of what does the same each time: what takes longer than the least is the machine's.
func (b *bench) best(name string, mode benchBenchMode) result {
	o, frame := b.wrapper(loadedFor{mode: mode}, 1), b.c.frame(false, false)
	r := figure("program", name, "ns", sample(floorSamples, func() float64 { return b.run(o, frame, benchTurns) }))
	r.Value = r.Min
	return r
}

// measureFloors is for the first case of a family: all ratios of a run are to the same floors.
func (b *bench) measureFloors() []result {
	swap := b.best("floor/mac-swap/"+b.c.family(), benchBenchModeBENCH_SWAP)
	ipip := b.best("floor/ipip-encap/"+b.c.family(), benchBenchModeBENCH_IPIP)
	pass := b.best("floor/pass/"+b.c.family(), benchBenchModeBENCH_PASS)
	b.floors = floors{swap: swap.Value, ipip: ipip.Value}
	return []result{swap, ipip, pass, b.find()}
}

// establish opens flows, some at a time: of those that are not settled the table takes half as many
// as it has room for.
func (b *bench) establish(flows int) {
	const together = 10_000
	o := b.path(flows, false)
	for first := 0; first < flows; first += together {
		n := min(together, flows-first)
		b.runFrom(o, b.c.frame(true, false), uint32(first), n, func() {})
		for range pathLimitSETTLED_PACKETS {
			b.runFrom(o, b.c.frame(false, false), uint32(first), n, func() {})
		}
	}
}

// established sends each flow's packets in turn. Of a million by NAT, which are two million entries, chance leaves
// one or two without room in both of their buckets: these are told from the
// others, and may not be more.
func (b *bench) established(flows int) result {
	b.forget()
	b.establish(flows)
	o := b.path(flows, b.c.answers)
	frame := b.c.frame(false, b.c.answers)
	before := b.count(b.verdict())
	b.run(o, frame, flows)
	roomless := flows - int(b.count(b.verdict())-before)
	if roomless > flows/100_000 {
		b.t.Errorf("%s %s: %d of %d flows found no room", b.c.method, b.c.family(), roomless, flows)
	}
	b.run(o, frame, max(flows, benchTurns/10)) // warm up
	name := fmt.Sprintf("established/%s/%s/%d", b.c.method, b.c.family(), flows)
	before = b.count(b.verdict())
	r := b.result(name, func() float64 { return b.run(o, frame, benchTurns) })
	b.sent(b.verdict(), before, b.samples*(benchTurns-roomless*(1+benchTurns/flows)))
	return r
}

func (b *bench) fresh(name string) result {
	o := b.path(benchNew, false)
	before := b.count(b.verdict())
	r := b.result(name, func() float64 {
		return b.runFrom(o, b.c.frame(true, false), 0, benchNew, b.forget)
	})
	b.sent(b.verdict(), before, b.samples*benchNew)
	return r
}

// find is what parsing and one look into the connection table cost here: on CPUs that pay for each
// return (retpolines, SRSO) the hash map's calls are most of an established packet.
func (b *bench) find() result {
	b.run(b.path(1, false), b.c.frame(true, false), 1)
	w := b.path(1, false)
	w.program = w.BenchFind
	return b.result("floor/parse-and-find/"+b.c.family(), func() float64 { return b.run(w, b.c.frame(false, false), benchTurns) })
}

// measure is of all methods, with so many flows. It says nothing about others' programs: ratios are to the floors.
func (r *bencher) measure(flows func(benchCase) []int) (out []result) {
	for _, c := range benchCases() {
		out = append(out, r.measureCase(c, flows(c))...)
	}
	return append(append(out, r.measureFloods()...), r.measureSlices()...)
}

func (r *bencher) measureCase(c benchCase, sizes []int) (out []result) {
	b := r.open(c)
	defer b.close()
	if _, known := r.floors[c.family()]; !known {
		out = b.measureFloors()
		r.floors[c.family()] = b.floors
	}
	for _, flows := range sizes {
		out = append(out, b.established(flows))
		if c.method == "dr" && flows == benchShared && runtime.NumCPU() > 1 {
			out = append(out, b.sharedByTwo(flows))
		}
	}
	if !c.answers {
		out = append(out, b.fresh(fmt.Sprintf("new/%s/%s/%d", c.method, c.family(), benchNew)))
	}
	if c.method == "dr" || c.method == "nat-in" {
		out = append(out, b.ends())
	}
	return out
}

// measureSchedulers is what a new connection costs with so many servers to look at, to so many destinations,
// and of clients that are known.
func (r *bencher) measureSchedulers() (out []result) {
	fresh := func(name string, c benchCase) {
		c.method, c.forwarding = "dr", model.DR
		b := r.open(c)
		defer b.close()
		out = append(out, b.fresh("new/dr/ipv4/"+name))
	}
	for _, s := range []model.Scheduler{model.WLC, model.LBLC} {
		for _, servers := range []int{3, 64, 1024} {
			fresh(fmt.Sprintf("%s/%d-servers", s, servers), benchCase{scheduler: s, servers: servers})
		}
	}
	fresh("lblc/10000-destinations", benchCase{scheduler: model.LBLC, servers: 64, spreads: true})
	fresh("wlc/persistence", benchCase{scheduler: model.WLC, servers: 3, persistent: true})
	return out
}

func allSizes(benchCase) []int { return []int{1, 10_000, 100_000, 1_000_000} }

// sizesOfUnit: of tunnels the program is what differs, of which a small table says as much.
func sizesOfUnit(c benchCase) []int {
	if c.forwarding == model.TUN {
		return []int{1, 10_000}
	}
	return allSizes(c)
}

func TestBench(t *testing.T) {
	file := os.Getenv("WEIR_BENCH")
	if file == "" {
		t.Skip("not measured: `make bench` sets WEIR_BENCH")
	}
	before, err := figures.Saved(file)
	if err != nil {
		t.Fatal(err)
	}
	root := &bencher{t: t, bpffs: mountForUnit(t), samples: benchSamples, floors: map[string]floors{}}
	results := append(append(root.measure(allSizes), root.measureSchedulers()...), tableBytes()...)
	show("as root", results, before)
	asUnit(t, func() {
		unit := &bencher{t: t, bpffs: root.bpffs, samples: unitSamples, floors: map[string]floors{}}
		confined := unit.measure(sizesOfUnit)
		for i := range confined {
			confined[i].Name += "/unit"
		}
		show("with the unit's capabilities", confined, before)
		results = append(results, confined...)
	})
	if err := figures.Keep(file, results); err != nil {
		t.Fatal(err)
	}
}

// show prints each figure, and by how much it differs from the last saved one.
func show(title string, results []result, before map[string]float64) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%-44s %8s %8s %8s %-5s %7s %7s %s\n", title, "", "median", "least", "most", "unit", "to swap", "to ipip", "last saved")
	for _, r := range results {
		fmt.Fprintf(&b, "%-44s %8.5g %8.5g %8.5g %-5s %7.2f %7.2f", r.Name, r.Value, r.Min, r.Max, r.Unit, r.Ratio, r.RatioIPIP)
		if last, ok := before[r.Name]; ok {
			fmt.Fprintf(&b, " %+.5g", r.Value-last)
		}
		b.WriteByte('\n')
	}
	fmt.Println(b.String())
}
