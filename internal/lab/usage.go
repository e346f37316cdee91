// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Usage is what a director has used of the CPUs by some moment. What the kernel does before and
// after the program, such as a driver's work, is not in it.
type Usage struct {
	Program time.Duration // in the XDP programs, while CountRunTime is on
	Packets uint64        // so often they have run, while it is on
	Daemon  time.Duration // of the daemon, in user space and in the kernel
}

// Since is what was used after an earlier moment.
func (u Usage) Since(before Usage) Usage {
	return Usage{u.Program - before.Program, u.Packets - before.Packets, u.Daemon - before.Daemon}
}

// CountRunTime has the kernel count how long BPF programs run, all of the machine, until it is
// closed. It costs each run two looks at the clock.
func CountRunTime() (io.Closer, error) {
	c, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return nil, fmt.Errorf("count run time of BPF programs: %w", err)
	}
	return c, nil
}

// Usage is what the director's daemon and its programs have used by now.
func (d *Director) Usage() (u Usage, err error) {
	if d.daemon == nil {
		return u, fmt.Errorf("%s: %w", d.Name, errNoDaemon)
	}
	if u.Daemon, err = cpuTime(d.PID()); err != nil {
		return u, fmt.Errorf("%s: %w", d.Name, err)
	}
	pins, err := filepath.Glob(filepath.Join(d.BPFFS, "links", "*"))
	if err != nil {
		return u, err
	}
	counted := map[ebpf.ProgramID]bool{} // one program may be on several interfaces
	for _, pin := range pins {
		if err := u.add(pin, counted); err != nil {
			return u, fmt.Errorf("%s: program at %s: %w", d.Name, filepath.Base(pin), err)
		}
	}
	return u, nil
}

// cpuTime is the process's CPU clock, see clock_getcpuclockid(3): unlike the ticks of
// /proc/PID/stat it tells a tenth of a percent.
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of linux/posix-timers_types.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// add adds the program of a pinned link, unless it was counted.
func (u *Usage) add(pin string, counted map[ebpf.ProgramID]bool) error {
	p, id, err := programAt(pin)
	if err != nil {
		return err
	}
	defer p.Close()
	if counted[id] {
		return nil
	}
	counted[id] = true
	stats, err := p.Stats()
	if err != nil {
		return err
	}
	u.Program += stats.Runtime
	u.Packets += stats.RunCount
	return nil
}

func programAt(pin string) (*ebpf.Program, ebpf.ProgramID, error) {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return nil, 0, err
	}
	info, err := l.Info()
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, 0, err
	}
	p, err := ebpf.NewProgramFromID(info.Program)
	return p, info.Program, err
}
