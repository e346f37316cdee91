// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lookAtProcess looks at the daemon or, where pid is 0, at this process.
func lookAtProcess(pid int) (Process, error) {
	dir := "/proc/self"
	if pid != 0 {
		dir = fmt.Sprintf("/proc/%d", pid)
	}
	out := Process{Pid: pid}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Process{}, fmt.Errorf("capabilities: %w", err)
	}
	if out.Capabilities, err = effective(string(status)); err != nil {
		return Process{}, fmt.Errorf("capabilities: %s/status: %w", dir, err)
	}
	limits, err := os.ReadFile(dir + "/limits")
	if err != nil {
		return Process{}, fmt.Errorf("limits: %w", err)
	}
	if out.Files, err = openFiles(string(limits)); err != nil {
		return Process{}, fmt.Errorf("limits: %s/limits: %w", dir, err)
	}
	out.Synchronised, err = synchronised()
	return out, err
}

// effective finds "CapEff:\t000001ffffffffff" in proc_pid_status(5).
func effective(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		if text, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		}
	}
	return 0, fmt.Errorf("no line CapEff")
}

// openFiles finds the soft limit in proc_pid_limits(5), "Max open files  1024  4096  files". A Go
// program raises it to the hard one when it starts, so it is what there really is.
func openFiles(limits string) (uint64, error) {
	for line := range strings.Lines(limits) {
		text, ok := strings.CutPrefix(line, "Max open files")
		if !ok {
			continue
		}
		soft := strings.Fields(text)
		if len(soft) == 0 {
			break
		}
		if soft[0] == "unlimited" {
			return math.MaxUint64, nil
		}
		return strconv.ParseUint(soft[0], 10, 64)
	}
	return 0, fmt.Errorf("no line Max open files")
}

// synchronised asks the kernel whether somebody keeps the clock: adjtimex(2), without setting it.
func synchronised() (bool, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, fmt.Errorf("clock: %w", err)
	}
	return t.Status&unix.STA_UNSYNC == 0, nil
}
