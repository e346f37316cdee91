// SPDX-License-Identifier: Apache-2.0

// Package urgent is for those whose packets must not be late, lest others take this host for dead: a thread that runs
// before all else, and a bell that wakes it. It knows no protocol.
package urgent

import "golang.org/x/sys/unix"

// Hurry lets this thread run before all that is not urgent, as keepalived does. Where it may not, it runs as others do,
// and says why. The caller has locked its goroutine to the thread, for good: the thread ends with it.
func Hurry() error {
	attributes := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	return unix.SchedSetAttr(0, attributes, 0)
}
