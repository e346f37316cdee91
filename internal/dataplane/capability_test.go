// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// unitCapabilities are all that the daemon has as a systemd unit on a kernel of today. Without
// CAP_PERFMON the verifier forbids what could leak a kernel address, and adds barriers against
// speculation.
var unitCapabilities = []int{unix.CAP_NET_ADMIN, unix.CAP_BPF, unix.CAP_NET_RAW, unix.CAP_SYS_NICE}

// loadCapabilities are what the path needs on a kernel. Linux up to 6.12.4 takes any write of less
// than 8 bytes over a spilled register for an attempt to corrupt a spilled pointer, although it is a
// number that is overwritten ("bpf: Fix narrow scalar spill onto 64-bit spilled scalar slots",
// b0e66977dc07, in 6.13 and 6.12.5); clang spills so, and CAP_PERFMON is what it then takes. Releases
// of distributions tell no patch level, so 6.12 is taken for a new one.
func loadCapabilities(release string) []int {
	if olderThan(release, 6, 12) {
		return append(slices.Clone(unitCapabilities), unix.CAP_PERFMON)
	}
	return unitCapabilities
}

func olderThan(release string, major, minor int) bool {
	var a, b int
	n, err := fmt.Sscanf(release, "%d.%d", &a, &b)
	return err == nil && n == 2 && (a < major || a == major && b < minor)
}

// asUnit runs f as the daemon runs as a systemd unit on this kernel.
func asUnit(t *testing.T, f func()) {
	t.Helper()
	release, err := kernelRelease()
	if err != nil {
		t.Fatal(err)
	}
	withCapabilities(t, loadCapabilities(release), f)
}

// withCapabilities runs f with these capabilities on a thread of its own, which ends with it: what
// was given up is not given back.
func withCapabilities(t *testing.T, keep []int, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		var err error
		defer func() { done <- err }() // also when f ends the goroutine by t.Fatal
		runtime.LockOSThread()
		if err = keepCapabilities(keep...); err == nil {
			f()
		}
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func keepCapabilities(keep ...int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, c := range keep {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	return unix.Capset(&header, &data[0])
}

// mountForUnit mounts what a process with the unit's capabilities may not.
func mountForUnit(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bpf")
	if err := MountBPFFS(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := UnmountBPFFS(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestPathLoadsWithTheUnitsCapabilities(t *testing.T) {
	NeedRoot(t)
	dir := filepath.Join(mountForUnit(t), "weir")
	asUnit(t, func() {
		if err := openOnce(dir); err != nil {
			t.Errorf("%v", err)
		}
	})
}

// TestVerifierHasRoomForTheUnit: without CAP_PERFMON the verifier follows what a CPU may guess, too, more than twice as much as
// for root; and there are larger programs than the path as it usually is.
func TestVerifierHasRoomForTheUnit(t *testing.T) {
	NeedRoot(t)
	moving := func() (*ebpf.CollectionSpec, error) {
		spec, err := loadPath()
		return spec, errors.Join(err, setConstants(spec, map[string]any{"table_moves": true}))
	}
	for name, load := range map[string]func() (*ebpf.CollectionSpec, error){
		"path": loadPath, "path while the table moves": moving, "traced path": loadTraced,
	} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range spec.Maps {
			m.Pinning = ebpf.PinNone
		}
		asUnit(t, func() {
			programs, err := ebpf.NewCollection(spec)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			defer programs.Close()
			info, err := programs.Programs["weir"].Info()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			followed, _ := info.VerifiedInstructions()
			t.Logf("%s: the verifier followed %d instructions", name, followed)
			if followed == 0 || followed > MostFollowed {
				t.Errorf("%s: the verifier followed %d instructions, want at most %d", name, followed, MostFollowed)
			}
		})
	}
}

// TestRefusalNamesTheMissingCapability is about kernels that refuse; on others the path loads.
func TestRefusalNamesTheMissingCapability(t *testing.T) {
	NeedRoot(t)
	dir := filepath.Join(mountForUnit(t), "weir")
	withCapabilities(t, unitCapabilities, func() {
		err := openOnce(dir)
		if err == nil {
			t.Log("it loads without CAP_PERFMON")
		} else if !strings.Contains(err.Error(), "CAP_PERFMON") {
			t.Errorf("%v", err)
		}
	})
}

// TestRestartWithTheUnitsCapabilities: maps inside others cannot be opened then, so that tables of
// slots are made anew, never with a version that was used before.
func TestRestartWithTheUnitsCapabilities(t *testing.T) {
	NeedRoot(t)
	dir := filepath.Join(mountForUnit(t), "weir")
	want := model.DataplaneWant{Services: []model.ServiceWant{{
		Key:       model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: model.TCP},
		Scheduler: model.WRR, Serving: true,
		Servers: []model.ServerWant{{Key: model.ServerKey{Address: netip.MustParseAddr("192.0.2.11"), Port: 80}, Forwarding: model.DR, Weight: 1, Link: 1, MTU: 1500}},
	}}}
	versions := map[uint32]bool{}
	asUnit(t, func() {
		for range 3 {
			versions[startAndStop(t, dir, want)] = true
		}
	})
	if len(versions) != 3 {
		t.Errorf("versions of the table after three starts: %v", versions)
	}
	if err := Cleanup(dir); err != nil {
		t.Error(err)
	}
}

func TestMoveWithTheUnitsCapabilities(t *testing.T) {
	NeedRoot(t)
	dir := filepath.Join(mountForUnit(t), "weir")
	asUnit(t, func() {
		for _, size := range []uint32{64, 2000, 100} {
			d, err := Open(Options{BPFFS: dir, MaxConns: size, Log: discard})
			if err != nil {
				t.Errorf("%d: %v", size, err)
				return
			}
			if _, got := d.Usage(); got != uint64(size) {
				_, why := d.Kept()
				t.Errorf("the table is made for %d connections, want %d: %s", got, size, why)
			}
			d.Close()
		}
	})
	if err := Cleanup(dir); err != nil {
		t.Error(err)
	}
}

// startAndStop is a daemon's life; it returns the version of the first service's table.
func startAndStop(t *testing.T, dir string, want model.DataplaneWant) (version uint32) {
	d, err := Open(Options{BPFFS: dir, MaxConns: 64, Log: discard})
	if err != nil {
		t.Errorf("%v", err)
		return 0
	}
	defer d.Close()
	if err := d.Apply(t.Context(), want); err != nil {
		t.Errorf("%v", err)
		return 0
	}
	return d.tables.services[want.Services[0].Key].slots[0].Generation
}

// TestGivenBPFFSStays, and nobody tries to mount one over it.
func TestGivenBPFFSStays(t *testing.T) {
	NeedRoot(t)
	dir := mountForUnit(t)
	withCapabilities(t, unitCapabilities, func() {
		for _, step := range []func(string) error{MountBPFFS, UnmountBPFFS} {
			if err := step(dir); err != nil {
				t.Errorf("%v", err)
			}
		}
		other := filepath.Join(filepath.Dir(dir), "other")
		if err := MountBPFFS(other); err == nil || !strings.Contains(err.Error(), "mount it as root and give it to this user") {
			t.Errorf("where none is: %v", err)
		}
	})
	if !isBPFFS(dir) {
		t.Error("it is gone")
	}
}

func openOnce(dir string) error {
	d, err := Open(Options{BPFFS: dir, MaxConns: 64, Log: discard})
	if err != nil {
		return err
	}
	return d.Discard()
}

func TestCapabilityIsNamedOnlyToWhomItMayHelp(t *testing.T) {
	NeedRoot(t)
	hint := func(keep []int, err error) (out string) {
		withCapabilities(t, keep, func() { out = perfmonHint(err) })
		return out
	}
	for _, tt := range []struct {
		name string
		keep []int
		err  error
		want bool
	}{
		{"refused", unitCapabilities, unix.EACCES, true},
		{"refused, wrapped", unitCapabilities, fmt.Errorf("load: %w", unix.EPERM), true},
		{"another error", unitCapabilities, unix.ENOMEM, false},
		{"refused with it", append(slices.Clone(unitCapabilities), unix.CAP_PERFMON), unix.EACCES, false},
		{"refused as root", []int{unix.CAP_SYS_ADMIN}, unix.EACCES, false},
	} {
		if got := hint(tt.keep, tt.err); strings.Contains(got, "CAP_PERFMON") != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
