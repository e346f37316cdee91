// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// unitCapabilities are all that the daemon has as a systemd unit. Without CAP_PERFMON the verifier
// forbids what could leak a kernel address, and adds barriers against speculation.
var unitCapabilities = []int{unix.CAP_NET_ADMIN, unix.CAP_BPF, unix.CAP_NET_RAW}

// asUnit runs f with the unit's capabilities on a thread of its own, which ends with it: what was
// given up is not given back.
func asUnit(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := keepCapabilities(unitCapabilities...)
		if err == nil {
			f()
		}
		done <- err
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
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root to load BPF programs")
		}
		t.Skip("needs root to load BPF programs")
	}
	dir := filepath.Join(mountForUnit(t), "weir")
	asUnit(t, func() {
		d, err := Open(Options{BPFFS: dir, MaxConns: 64, Log: discard})
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		if err := d.Discard(); err != nil {
			t.Error(err)
		}
	})
}
