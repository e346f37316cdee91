// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

const xdpPass = 2

var (
	decapClient = packet.MAC{2, 0, 0, 0, 0, 1}
	decapHost   = packet.MAC{2, 0, 0, 0, 0, 2}
	decapVIP4   = netip.MustParseAddr("192.0.2.10")
	decapVIP6   = netip.MustParseAddr("2001:db8::10")
	decapWant   = dataplane.DecapWant{
		Tunnels: []netip.Addr{netip.MustParseAddr("198.51.100.11"), netip.MustParseAddr("2001:db8:1::11")},
		VIPs:    []netip.Addr{decapVIP4, decapVIP6},
	}
)

// decapBed is the loaded program and its counters.
type decapBed struct {
	t       *testing.T
	dir     string
	program dataplane.DecapProgram
}

func newDecapBed(t *testing.T) decapBed {
	dir := decapFS(t)
	program, err := dataplane.LoadDecap(dir, decapWant)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return decapBed{t, dir, program}
}

func decapFS(t *testing.T) string {
	dataplane.NeedRoot(t)
	dir := t.TempDir() + "/bpf"
	t.Cleanup(func() {
		if err := dataplane.DetachDecap(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// counts are the counters that are not zero, by name.
func (b decapBed) counts() map[string]uint64 {
	b.t.Helper()
	state, err := dataplane.ReadDecap(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, v := range state.Verdicts {
		out[v.Name] = v.Count
	}
	return out
}

// expect sends a frame and looks at the action, the frame that comes out and every counter.
func (b decapBed) expect(verdict string, frame, want []byte) {
	b.t.Helper()
	before := b.counts()
	action, out, err := b.program.Send(frame)
	if err != nil {
		b.t.Fatal(err)
	}
	before[verdict]++
	if after := b.counts(); fmt.Sprint(after) != fmt.Sprint(before) {
		b.t.Errorf("counters are %v, want %v: %s", after, before, show(frame))
	}
	if action != xdpPass {
		b.t.Errorf("action is %d, want XDP_PASS: %s", action, show(frame))
	}
	if !bytes.Equal(out, want) {
		b.t.Errorf("out:  %s\nwant: %s", show(out), show(want))
	}
}

func show(frame []byte) string {
	layers, err := packet.Parse(frame)
	return fmt.Sprintf("%v %v %x", layers, err, frame)
}

// tunnel is a packet in a packet. Zero fields are filled in by frame.
type tunnel struct {
	outer, inner packet.Layer
}

func ethernet() packet.Layer { return packet.Ethernet{Source: decapClient, Destination: decapHost} }

func outer4() packet.IPv4 {
	return packet.IPv4{Source: netip.MustParseAddr("198.51.100.1"), Destination: decapWant.Tunnels[0], TTL: 64}
}

func outer6() packet.IPv6 {
	return packet.IPv6{Source: netip.MustParseAddr("2001:db8:1::1"), Destination: decapWant.Tunnels[1], HopLimit: 64}
}

func inner4() packet.IPv4 {
	return packet.IPv4{Source: netip.MustParseAddr("203.0.113.7"), Destination: decapVIP4, TTL: 63, ID: 7}
}

func inner6() packet.IPv6 {
	return packet.IPv6{Source: netip.MustParseAddr("2001:db8:7::7"), Destination: decapVIP6, HopLimit: 63}
}

func (t tunnel) frame() []byte { return packet.Build(ethernet(), t.outer, t.inner, udp(), hello()) }
func (t tunnel) naked() []byte { return packet.Build(ethernet(), t.inner, udp(), hello()) }
func udp() packet.Layer        { return packet.UDP{Source: 40000, Destination: 53} }
func hello() packet.Layer      { return packet.Payload("hello") }

// mixes are the four families of a tunnel.
func mixes() map[string]tunnel {
	return map[string]tunnel{
		"4 in 4": {outer4(), inner4()},
		"6 in 4": {outer4(), inner6()},
		"4 in 6": {outer6(), inner4()},
		"6 in 6": {outer6(), inner6()},
	}
}

func TestOuterHeaderIsTakenOff(t *testing.T) {
	b := newDecapBed(t)
	for name, mix := range mixes() {
		t.Run(name, func(t *testing.T) {
			b.t = t
			b.expect("decapsulated", mix.frame(), mix.naked())
			padding := make([]byte, 9)
			b.expect("decapsulated", append(mix.frame(), padding...), append(mix.naked(), padding...))
		})
	}
}

func TestTruncatedTunnelIsNeverDecapsulated(t *testing.T) {
	b := newDecapBed(t)
	for name, mix := range mixes() {
		t.Run(name, func(t *testing.T) {
			b.t = t
			whole := mix.frame()
			outer := 14 + 20
			if strings.HasSuffix(name, "6") {
				outer = 14 + 40
			}
			for length := 14; length < len(whole); length++ { // the kernel refuses to test shorter ones
				verdict := "malformed"
				if length < outer {
					verdict = "passed" // nobody can tell that it is a tunnel
				}
				b.expect(verdict, whole[:length], whole[:length])
			}
		})
	}
}

func TestWhatIsNotOursPassesUntouched(t *testing.T) {
	stranger4, stranger6 := netip.MustParseAddr("198.51.100.99"), netip.MustParseAddr("2001:db8:1::99")
	foreignOuter4, foreignOuter6 := outer4(), outer6()
	foreignOuter4.Destination, foreignOuter6.Destination = stranger4, stranger6
	foreignInner4, foreignInner6 := inner4(), inner6()
	foreignInner4.Destination, foreignInner6.Destination = stranger4, stranger6
	fragment, last := outer4(), outer4()
	fragment.Flags, last.Offset = packet.MoreFragments, 100

	b := newDecapBed(t)
	for _, c := range []struct {
		name    string
		frame   []byte
		verdict string
	}{
		{"foreign outer destination 4", tunnel{foreignOuter4, inner4()}.frame(), "passed"},
		{"foreign outer destination 6", tunnel{foreignOuter6, inner4()}.frame(), "passed"},
		{"foreign inner destination 4 in 4", tunnel{outer4(), foreignInner4}.frame(), "refused"},
		{"foreign inner destination 6 in 4", tunnel{outer4(), foreignInner6}.frame(), "refused"},
		{"foreign inner destination 4 in 6", tunnel{outer6(), foreignInner4}.frame(), "refused"},
		{"foreign inner destination 6 in 6", tunnel{outer6(), foreignInner6}.frame(), "refused"},
		{"tunnel in a tunnel", packet.Build(ethernet(), outer4(), outer4(), inner4(), udp()), "refused"},
		{"first fragment", tunnel{fragment, inner4()}.frame(), "fragment"},
		{"last fragment", tunnel{last, inner4()}.frame(), "fragment"},
		{"no tunnel", packet.Build(ethernet(), outer4(), udp(), hello()), "passed"},
		{"no tunnel, for the VIP", packet.Build(ethernet(), inner6(), udp(), hello()), "passed"},
		{"ARP", first(packet.GratuitousARP(decapClient, decapVIP4)), "passed"},
		{"tagged", retype(tunnel{outer4(), inner4()}.frame(), 0x8100), "passed"},
		{"outer version 6", poke(mixes()["4 in 4"], 14, 0x65), "malformed"},
		{"outer header length 16", poke(mixes()["4 in 4"], 14, 0x44), "malformed"},
		{"outer header longer than the packet", lie(outer4(), 19), "malformed"},
		{"outer length longer than the frame", lie(outer4(), 2000), "malformed"},
		{"inner version 6 in IPIP", poke(mixes()["4 in 4"], 34, 0x65), "malformed"},
		{"inner version 4 in IPv6 in IPv4", poke(mixes()["6 in 4"], 34, 0x45), "malformed"},
		{"inner header length 16", poke(mixes()["4 in 4"], 34, 0x44), "malformed"},
		{"inner length longer than the outer", poke(mixes()["4 in 4"], 36, 0xff), "malformed"},
		{"inner length shorter than its header", poke(mixes()["4 in 4"], 37, 19), "malformed"},
		{"inner payload longer than the outer", poke(mixes()["6 in 6"], 54+4, 0xff), "malformed"},
		{"nothing inside", packet.Build(ethernet(), packet.IPv4{Source: decapVIP4, Destination: decapWant.Tunnels[0], TTL: 9, Protocol: packet.ProtocolIPv4}), "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			b.expect(c.verdict, c.frame, c.frame)
		})
	}
}

func first(frame, _ []byte) []byte { return frame }

// retype gives a frame another ethertype.
func retype(frame []byte, ethertype uint16) []byte {
	frame[12], frame[13] = byte(ethertype>>8), byte(ethertype)
	return frame
}

// poke changes one byte of a tunnel's frame.
func poke(t tunnel, offset int, value byte) []byte {
	frame := t.frame()
	frame[offset] = value
	return frame
}

// lie builds a tunnel whose outer length is wrong.
func lie(outer packet.IPv4, length uint16) []byte {
	outer.Length = length
	return tunnel{outer, inner4()}.frame()
}

func TestOuterOptionsAreTakenOffToo(t *testing.T) {
	b := newDecapBed(t)
	outer := outer4()
	outer.Options = make([]byte, 40)
	b.expect("decapsulated", tunnel{outer, inner4()}.frame(), tunnel{outer, inner4()}.naked())
}

func TestCongestionIsHandedOn(t *testing.T) {
	const notECT, ect1, ect0, ce = 0, 1, 2, 3
	b := newDecapBed(t)
	for _, c := range []struct{ outer, inner, want uint8 }{
		{ce, ect0, ce}, {ce, ect1, ce}, {ce, ce, ce}, {ce, notECT, notECT},
		{ect0, ect0, ect0}, {notECT, ect0, ect0}, {ect1, notECT, notECT}, {notECT, ce, ce},
	} {
		for name := range mixes() {
			t.Run(fmt.Sprintf("%s outer %d inner %d", name, c.outer, c.inner), func(t *testing.T) {
				b.t = t
				const dscp = 0xb8
				sent := tunnel{withTOS(mixes()[name].outer, c.outer), withTOS(mixes()[name].inner, dscp|c.inner)}
				want := tunnel{nil, withTOS(mixes()[name].inner, dscp|c.want)}
				b.expect("decapsulated", sent.frame(), want.naked())
			})
		}
	}
}

func withTOS(l packet.Layer, tos uint8) packet.Layer {
	switch ip := l.(type) {
	case packet.IPv4:
		ip.TOS = tos
		return ip
	case packet.IPv6:
		ip.TrafficClass = tos
		return ip
	}
	return l
}

// TestRandomFramesAreNeverDecapsulatedForOthers changes bytes of good tunnels: whatever comes out
// stripped must be for a VIP, and whatever is not stripped must be as it came.
func TestRandomFramesAreNeverDecapsulatedForOthers(t *testing.T) {
	b := newDecapBed(t)
	random := rand.New(rand.NewPCG(1, 2))
	for name, mix := range mixes() {
		for range 2000 {
			frame := mix.frame()
			for range 1 + random.IntN(4) {
				frame[random.IntN(len(frame))] = byte(random.Uint32())
			}
			frame = frame[:14+random.IntN(len(frame)-13)]
			action, out, err := b.program.Send(frame)
			if err != nil || action != xdpPass {
				t.Fatalf("%s: action %d, %v: %x", name, action, err, frame)
			}
			if len(out) == len(frame) && !bytes.Equal(out, frame) || len(out) < len(frame) && !forVIP(out) {
				t.Fatalf("%s:\n in  %x\n out %x", name, frame, out)
			}
		}
	}
}

func forVIP(frame []byte) bool {
	return len(frame) >= 34 && bytes.Equal(frame[30:34], decapVIP4.AsSlice()) ||
		len(frame) >= 54 && bytes.Equal(frame[38:54], decapVIP6.AsSlice())
}

func TestEveryDecapVerdictHasAText(t *testing.T) {
	for name, count := range newDecapBed(t).counts() {
		if name == "" || count != 0 {
			t.Errorf("%q counts %d", name, count)
		}
	}
}

func TestAttachedDecapOutlivesAttaching(t *testing.T) {
	dir := decapFS(t)
	lo := model.Link{Name: "lo", Index: 1}
	want := decapWant
	want.Interfaces = []model.Link{lo}
	inNamespace(t, func() error { return attachTwice(t, dir, want) })
	if err := dataplane.DetachDecap(dir); err != nil {
		t.Fatal(err)
	}
	if state, err := dataplane.ReadDecap(dir); err != nil || fmt.Sprint(state) != fmt.Sprint(dataplane.Decap{}) {
		t.Errorf("after detaching: %v, %v", state, err)
	}
}

// inNamespace calls f on a thread with a network namespace of its own, which goes with the thread.
func inNamespace(t *testing.T, f func() error) {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// attachTwice runs in a namespace: its loopback interface has no other program.
func attachTwice(t *testing.T, dir string, want dataplane.DecapWant) error {
	for range 2 {
		if err := dataplane.AttachDecap(dir, want); err != nil {
			return err
		}
		state, err := dataplane.ReadDecap(dir)
		if err != nil {
			return err
		}
		state.Verdicts = nil
		if got, want := fmt.Sprint(state), "{[{1 generic}] [198.51.100.11 2001:db8:1::11] [192.0.2.10 2001:db8::10] []}"; got != want {
			t.Errorf("attached is %s, want %s", got, want)
		}
	}
	other := dataplane.AttachDecap(decapFS(t), want)
	if other == nil || !strings.Contains(other.Error(), "program") {
		t.Errorf("a second one on the same interface: %v", other)
	}
	want.Interfaces = nil
	want.VIPs = want.VIPs[:1]
	if err := dataplane.AttachDecap(dir, want); err != nil {
		return err
	}
	state, err := dataplane.ReadDecap(dir)
	if len(state.Interfaces) != 0 || len(state.VIPs) != 1 {
		t.Errorf("after attaching to none: %v", state)
	}
	return err
}
