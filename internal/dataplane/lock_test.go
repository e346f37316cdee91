// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
)

// TestCopyOfALockKeepsNobodyOut: a process that is being started has one for a moment. One who closes the lock
// lets go of it at once; after one who was killed the next waits for that moment.
func TestCopyOfALockKeepsNobodyOut(t *testing.T) {
	dir := t.TempDir()
	own, copied, err := dataplane.CopiedLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if _, _, err := dataplane.CopiedLock(dir); !errors.Is(err, dataplane.ErrRunning) {
		t.Errorf("while it is held: got %v", err)
	}
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	again, late, err := dataplane.CopiedLock(dir)
	if err != nil {
		t.Fatalf("it was let go of: got %v", err)
	}
	defer late.Close()
	dataplane.KillLock(again) // only the copy has it now
	time.AfterFunc(20*time.Millisecond, func() { late.Close() })
	third, more, err := dataplane.CopiedLock(dir)
	if err != nil {
		t.Fatalf("who had it was killed: got %v", err)
	}
	more.Close()
	third.Close()
}
