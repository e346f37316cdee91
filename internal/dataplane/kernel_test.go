// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOldKernelsAreToldByTheirRelease(t *testing.T) {
	for release, old := range map[string]bool{
		"2.6.32":             true,
		"5.10.0-32-amd64":    true,
		"6.0.19":             true,
		"6.1.0-13-amd64":     false,
		"6.1":                false,
		"6.1+":               false,
		"6.1-rc3":            false,
		"6.18.0-rc1":         false,
		"6.18-rc1":           false,
		"6.12.9+deb13-arm64": false,
		"7.0.1":              false,
		"10.0.0":             false,
	} {
		err := checkKernel(release)
		if errors.Is(err, ErrKernel) != old || (err != nil) != old {
			t.Errorf("%s: %v, too old: %t", release, err, old)
		}
	}
	if err := checkKernel("plan9"); err == nil || errors.Is(err, ErrKernel) {
		t.Errorf("a release that is no version: %v", err)
	}
}

func TestJiffiesAreThoseOfAKernel(t *testing.T) {
	hz, err := jiffiesPerSecond()
	if err != nil {
		t.Fatal(err)
	}
	switch hz {
	case 100, 250, 300, 1000:
	default:
		t.Errorf("HZ is %d", hz)
	}
}

func TestMissingCapabilitiesAreNamed(t *testing.T) {
	const netAdmin, bpf = 1 << unix.CAP_NET_ADMIN, 1 << unix.CAP_BPF
	for have, want := range map[uint64][]string{
		0: {"CAP_NET_ADMIN", "CAP_BPF"}, netAdmin: {"CAP_BPF"}, bpf: {"CAP_NET_ADMIN"}, netAdmin | bpf: nil,
	} {
		if got := missing(have); !slices.Equal(got, want) {
			t.Errorf("of %#x: %v, want %v", have, got, want)
		}
	}
}
