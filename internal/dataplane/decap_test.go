// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

const (
	xdpDrop = 1
	xdpPass = 2
)

var (
	decapClient = packet.MAC{2, 0, 0, 0, 0, 1}
	decapHost   = packet.MAC{2, 0, 0, 0, 0, 2}
	decapVIP4   = netip.MustParseAddr("192.0.2.10")
	decapVIP6   = netip.MustParseAddr("2001:db8::10")
	decapWant   = dataplane.DecapWant{
		Tunnels:  []netip.Addr{netip.MustParseAddr("198.51.100.11"), netip.MustParseAddr("2001:db8:1::11")},
		VIPs:     []netip.Addr{decapVIP4, decapVIP6},
		GUEPorts: []uint16{6080, 7000},
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

// expect sends a frame and looks at the action, the frame that comes out and every counter. The twin
// must say the same.
func (b decapBed) expect(verdict string, frame, want []byte) {
	b.t.Helper()
	if twin, out := decapTwin(decapWant, frame); twin != verdict || !bytes.Equal(out, want) {
		b.t.Errorf("the twin says %s, want %s: %s\nout: %s", twin, verdict, show(frame), show(out))
	}
	before := b.counts()
	action, out, err := b.program.Send(frame)
	if err != nil {
		b.t.Fatal(err)
	}
	before[verdict]++
	if after := b.counts(); fmt.Sprint(after) != fmt.Sprint(before) {
		b.t.Errorf("counters are %v, want %v: %s", after, before, show(frame))
	}
	if action != actionOf(verdict) {
		b.t.Errorf("action is %d, want %d: %s", action, actionOf(verdict), show(frame))
	}
	if !bytes.Equal(out, want) {
		b.t.Errorf("out:  %s\nwant: %s", show(out), show(want))
	}
}

func actionOf(verdict string) uint32 {
	if verdict == "bad_checksum" || verdict == "congested" {
		return xdpDrop
	}
	return xdpPass
}

func show(frame []byte) string {
	layers, err := packet.Parse(frame)
	return fmt.Sprintf("%v %v %x", layers, err, frame)
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
		if got, want := fmt.Sprint(state), "{[{1 generic}] [198.51.100.11 2001:db8:1::11] [192.0.2.10 2001:db8::10] [6080 7000] []}"; got != want {
			t.Errorf("attached is %s, want %s", got, want)
		}
	}
	other := dataplane.AttachDecap(decapFS(t), want)
	if other == nil || !strings.Contains(other.Error(), "program") {
		t.Errorf("a second one on the same interface: %v", other)
	}
	want.Interfaces = nil
	want.VIPs, want.GUEPorts = want.VIPs[:1], want.GUEPorts[1:]
	if err := dataplane.AttachDecap(dir, want); err != nil {
		return err
	}
	state, err := dataplane.ReadDecap(dir)
	if len(state.Interfaces) != 0 || len(state.VIPs) != 1 || fmt.Sprint(state.GUEPorts) != "[7000]" {
		t.Errorf("after attaching to none: %v", state)
	}
	return err
}
