// SPDX-License-Identifier: Apache-2.0

package dataplane

// `make bench` runs this file alone, with WEIR_BENCH naming where the results go. Each figure is
// the kernel's own duration of BPF_PROG_RUN, nanoseconds a packet, wrapper included.

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
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
	benchTurns   = 1_000_000
	benchNew     = 100_000 // flows that begin, in one sample
	loopbackLink = 1       // BPF_PROG_RUN without a context runs on the loopback interface
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

// bench is the wrapped path over the maps of a dataplane.
type bench struct {
	t      *testing.T
	d      *Dataplane
	c      benchCase
	loaded []*benchObjects
}

// discard is for tests whose log nobody reads.
var discard = slog.New(slog.DiscardHandler)

// openBench opens a dataplane in a directory of the bpffs; close it when it is measured.
func openBench(t *testing.T, bpffs string, c benchCase) *bench {
	t.Helper()
	dir := filepath.Join(bpffs, c.method+"-"+c.family())
	const room = 2 << 20 // a NAT connection takes two places
	d, err := Open(Options{BPFFS: dir, Config: "bench", MaxConns: room, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.applyServices(context.Background(), c.want().Services, nil); err != nil {
		t.Fatal(err)
	}
	self := model.InterfaceWant{Name: "lo", Index: loopbackLink, MAC: benchMAC, MTU: 1500}
	if err := d.putInterface(self, nil); err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, d: d, c: c}
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

// load loads the wrapper in a mode, on the dataplane's maps.
func (b *bench) load(mode benchBenchMode, flows int, answers bool) *benchObjects {
	b.t.Helper()
	spec, err := loadBench()
	if err != nil {
		b.t.Fatal(err)
	}
	for name, value := range map[string]any{
		"jiffies_per_second": b.d.hz, "bench_what": uint32(mode), "bench_flows": uint32(flows),
		"bench_ipv6": b.c.ipv6, "bench_answers": answers, "bench_grows": b.grows(mode), "bench_spreads": b.c.spreads,
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
	b.loaded = append(b.loaded, objects)
	return objects
}

// grows is how much longer each turn leaves the frame.
func (b *bench) grows(mode benchBenchMode) uint32 {
	if mode != benchBenchModeBENCH_PATH || b.c.forwarding != model.TUN {
		return 0
	}
	_, _, server := b.c.addresses()
	return uint32(b.c.tunnel.Overhead(server))
}

// run takes turns with a frame and returns nanoseconds a turn.
func (b *bench) run(o *benchObjects, frame []byte, turns int) float64 {
	return b.runFrom(o, frame, 0, turns, func() {})
}

// runFrom begins with the flow of a number. A run that a signal has ended is begun anew, with the frame
// as it was at first: so must turn be, and what else before puts back.
func (b *bench) runFrom(o *benchObjects, frame []byte, first uint32, turns int, before func()) float64 {
	b.t.Helper()
	var original [80]byte
	copy(original[:], frame)
	if err := o.Frame.Put(uint32(0), original); err != nil {
		b.t.Fatal(err)
	}
	start := func() {
		before()
		if err := o.Turn.Put(uint32(0), [2]uint32{first}); err != nil {
			b.t.Fatal(err)
		}
	}
	start()
	_, duration, err := o.Bench.Benchmark(frame, turns, start)
	if err != nil {
		b.t.Fatal(err)
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

// samples repeats a measurement and keeps the median beside the extremes.
func samples(one func() float64) (median, least, most float64) {
	var all []float64
	for range benchSamples {
		all = append(all, one())
	}
	slices.Sort(all)
	return all[len(all)/2], all[0], all[len(all)-1]
}

func (b *bench) result(name string, floor float64, one func() float64) result {
	median, least, most := samples(one)
	r := result{Group: "program", Name: name, Value: median, Unit: "ns", Min: least, Max: most, Floor: floor}
	if floor > 0 {
		r.Ratio = math.Round(median/floor*100) / 100
	}
	return r
}

// floor is the MAC swap, pass the empty program.
func (b *bench) floor() (floor, pass result) {
	frame := b.c.frame(false, false)
	swap := b.load(benchBenchModeBENCH_SWAP, 1, false)
	none := b.load(benchBenchModeBENCH_PASS, 1, false)
	floor = b.result("floor/mac-swap/"+b.c.family(), 0, func() float64 { return b.run(swap, frame, benchTurns) })
	pass = b.result("floor/pass/"+b.c.family(), 0, func() float64 { return b.run(none, frame, benchTurns) })
	return floor, pass
}

// establish opens flows, some at a time: of those that are not settled the table takes half as many
// as it has room for.
func (b *bench) establish(flows int) {
	const together = 10_000
	o := b.load(benchBenchModeBENCH_PATH, flows, false)
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
func (b *bench) established(flows int, floor float64) result {
	b.forget()
	b.establish(flows)
	o := b.load(benchBenchModeBENCH_PATH, flows, b.c.answers)
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
	r := b.result(name, floor, func() float64 { return b.run(o, frame, benchTurns) })
	b.sent(b.verdict(), before, benchSamples*(benchTurns-roomless*(1+benchTurns/flows)))
	return r
}

func (b *bench) fresh(name string, floor float64) result {
	o := b.load(benchBenchModeBENCH_PATH, benchNew, false)
	before := b.count(b.verdict())
	r := b.result(name, floor, func() float64 {
		return b.runFrom(o, b.c.frame(true, false), 0, benchNew, b.forget)
	})
	b.sent(b.verdict(), before, benchSamples*benchNew)
	return r
}

// find is what parsing and one look into the connection table cost here: on CPUs that pay for each
// return (retpolines, SRSO) the hash map's calls are most of an established packet.
func (b *bench) find(floor float64) result {
	b.run(b.load(benchBenchModeBENCH_PATH, 1, false), b.c.frame(true, false), 1)
	o := b.load(benchBenchModeBENCH_FIND, 1, false)
	return b.result("floor/parse-and-find/"+b.c.family(), floor, func() float64 { return b.run(o, b.c.frame(false, false), benchTurns) })
}

// measure runs every case, with so many flows. It says nothing about others' programs: ratios are to
// the MAC swap.
func measure(t *testing.T, bpffs string, flows ...int) []result {
	var out []result
	for _, c := range benchCases() {
		out = append(out, measureCase(t, bpffs, c, flows)...)
	}
	return out
}

func measureCase(t *testing.T, bpffs string, c benchCase, sizes []int) []result {
	b := openBench(t, bpffs, c)
	defer b.close()
	var out []result
	floor, pass := b.floor()
	if c.method == "dr" {
		out = append(out, floor, pass, b.find(floor.Value))
	}
	for _, flows := range sizes {
		out = append(out, b.established(flows, floor.Value))
	}
	if !c.answers {
		out = append(out, b.fresh(fmt.Sprintf("new/%s/%s/%d", c.method, c.family(), benchNew), floor.Value))
	}
	return out
}

// measureSchedulers is what a new connection costs with so many servers to look at, to so many destinations,
// and of clients that are known.
func measureSchedulers(t *testing.T, bpffs string) (out []result) {
	fresh := func(name string, c benchCase) {
		c.method, c.forwarding = "dr", model.DR
		b := openBench(t, bpffs, c)
		defer b.close()
		floor, _ := b.floor()
		out = append(out, b.fresh("new/dr/ipv4/"+name, floor.Value))
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

func TestBench(t *testing.T) {
	file := os.Getenv("WEIR_BENCH")
	if file == "" {
		t.Skip("not measured: `make bench` sets WEIR_BENCH")
	}
	before, err := figures.Saved(file)
	if err != nil {
		t.Fatal(err)
	}
	bpffs := mountForUnit(t)
	results := append(measure(t, bpffs, 1, 10_000, 100_000, 1_000_000), measureSchedulers(t, bpffs)...)
	show(t, "as root", results, before)
	asUnit(t, func() { show(t, "with the unit's capabilities", measure(t, bpffs, 1, 10_000), nil) })
	if err := figures.Keep(file, results); err != nil {
		t.Fatal(err)
	}
}

// show prints each figure, and by how much it differs from the last saved one.
func show(t *testing.T, title string, results []result, before map[string]float64) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%-36s %8s %8s %8s %7s %s\n", title, "ns a packet", "median", "least", "most", "ratio", "last saved")
	for _, r := range results {
		fmt.Fprintf(&b, "%-36s %8.1f %8.1f %8.1f %7.2f", r.Name, r.Value, r.Min, r.Max, r.Ratio)
		if last, ok := before[r.Name]; ok {
			fmt.Fprintf(&b, " %+.1f", r.Value-last)
		}
		b.WriteByte('\n')
	}
	fmt.Println(b.String())
}
