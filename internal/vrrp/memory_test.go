// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"os"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/netlab"
)

func TestMemoryIsLocked(t *testing.T) {
	netlab.NeedRoot(t)
	if err := lockMemory(); err != nil {
		t.Fatal(err)
	}
	defer unix.Munlockall()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^VmLck:\s+[1-9]`).Match(status) {
		t.Errorf("no memory is locked:\n%s", status)
	}
}
