// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/faults"
)

// cpus are watched for as long as faults are injected: a virtual machine's may stand still for longer than a backup waits
// for its master. A process of its own watches them, which nothing that is measured can delay: a thread on each CPU has
// the highest priority of all, sleeps for a moment, and again, and says when that was late.
type cpus struct {
	mu  sync.Mutex
	all []stood
}

// stood is how long a CPU stood still, and until when since the machine's boot: two processes have no other clock in common
// that nobody sets.
type stood struct{ until, long time.Duration }

const (
	envCPUs   = "WEIR_FAULTS_CPUS" // the process that watches has it
	cpuPace   = 5 * time.Millisecond
	cpuStood  = 200 * time.Millisecond // with adverts each 100 ms a backup misses them for that
	cpuSettle = 50 * time.Millisecond  // what has stood still says so when it goes on
)

// watchCPUs watches until the test is over.
func watchCPUs(t *testing.T) *cpus {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envCPUs+"=1")
	stop, err := cmd.StdinPipe() // it ends with this process, too
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &cpus{}
	go c.read(out)
	t.Cleanup(func() {
		if err := errors.Join(stop.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// read takes in what the other process says: until when a CPU stood still, and for how long.
func (c *cpus) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var s stood
		if _, err := fmt.Sscan(lines.Text(), (*int64)(&s.until), (*int64)(&s.long)); err != nil {
			continue
		}
		c.mu.Lock()
		c.all = append(c.all, s)
		c.mu.Unlock()
	}
}

// longest is how long one stood still at most since then.
func (c *cpus) longest(since time.Duration) (most time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, each := range c.all {
		if each.until > since {
			most = max(most, each.long)
		}
	}
	return most
}

// over is a fault whose runs say nothing, if they miss a bar or cannot go on, while a CPU stood still.
func (c *cpus) over(table ...faults.Fault) []faults.Fault {
	for i := range table {
		prepare := table[i].Prepare
		table[i].Prepare = func(t *testing.T, size faults.Size) faults.Run { return c.watching(prepare(t, size)) }
	}
	return table
}

func (c *cpus) watching(run faults.Run) faults.Run {
	return func() (faults.Measured, error) {
		began := sinceBoot()
		m, err := run()
		time.Sleep(cpuSettle)
		stood := c.longest(began)
		if stood < cpuStood {
			return m, err
		}
		why := fmt.Sprintf("a CPU of this machine stood still for %v", stood.Round(time.Millisecond))
		if err != nil {
			return m, faults.VoidError{Why: why, Err: err}
		}
		m.Disturbed = strings.TrimPrefix(m.Disturbed+", "+why, ", ")
		return m, nil
	}
}

func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// sayStandstills is the other process. It ends when nobody holds its input any more.
func sayStandstills() {
	runtime.GOMAXPROCS(runtime.NumCPU() + 1) // a thread that sleeps keeps its own
	_ = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE)
	for cpu := range runtime.NumCPU() {
		go sayStandstillsOf(cpu)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func sayStandstillsOf(cpu int) {
	runtime.LockOSThread()
	var only unix.CPUSet
	only.Set(cpu)
	highest := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 99}
	if errors.Join(unix.SchedSetaffinity(0, &only), unix.SchedSetAttr(0, &highest, 0)) != nil {
		return // what it would say would not be of the machine
	}
	for {
		began := sinceBoot()
		pace := unix.NsecToTimespec(int64(cpuPace))
		// Not as Go sleeps: to go on, it would have to wait for the rest of this process.
		syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pace)), 0, 0)
		end := sinceBoot()
		if late := end - began - cpuPace; late >= cpuStood {
			fmt.Println(int64(end), int64(late))
		}
	}
}

// TestRunsWhileACPUStandsStillSayNothing: they are void if they fail or miss a bar, and only then.
func TestRunsWhileACPUStandsStillSayNothing(t *testing.T) {
	failed := errors.New("it cannot go on")
	for _, tt := range []struct {
		stood     time.Duration
		err       error
		void      bool
		disturbed string
	}{
		{199 * time.Millisecond, nil, false, ""},
		{199 * time.Millisecond, failed, false, ""},
		{200 * time.Millisecond, nil, false, "a CPU of this machine stood still for 200ms"},
		{650 * time.Millisecond, failed, true, ""},
	} {
		c := &cpus{}
		m, err := c.watching(func() (faults.Measured, error) {
			c.read(strings.NewReader(fmt.Sprintln(int64(sinceBoot()), int64(tt.stood))))
			return faults.Measured{}, tt.err
		})()
		if void := errors.As(err, new(faults.VoidError)); void != tt.void || !errors.Is(err, tt.err) || m.Disturbed != tt.disturbed {
			t.Errorf("%v, %v: %v, and disturbed by %q", tt.stood, tt.err, err, m.Disturbed)
		}
	}
	c := &cpus{}
	c.read(strings.NewReader(fmt.Sprintln(int64(sinceBoot()), int64(time.Second))))
	if got := c.longest(sinceBoot()); got != 0 {
		t.Errorf("before it began, a CPU stood still for %v", got)
	}
}
