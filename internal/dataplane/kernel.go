// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The oldest kernel that has all of what the path uses (bpf_loop, coarse clocks in XDP, kptr-free
// syscall programs) and that a distribution still keeps.
const (
	leastMajor = 6
	leastMinor = 1
)

// ErrKernel means that this kernel is too old for the path.
var ErrKernel = errors.New("kernel too old")

// ErrPrivilege means that the caller may not load programs.
var ErrPrivilege = errors.New("not allowed to load programs")

// checkKernel tells an old kernel by its release, such as "5.10.0-32-amd64".
func checkKernel(release string) error {
	major, rest, _ := strings.Cut(release, ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, err := strconv.Atoi(major)
	if err != nil {
		return fmt.Errorf("kernel release %q: not a version", release)
	}
	n := leadingNumber(minor)
	if m > leastMajor || m == leastMajor && n >= leastMinor {
		return nil
	}
	return fmt.Errorf("%w: this is Linux %s, weir needs %d.%d or newer", ErrKernel, release, leastMajor, leastMinor)
}

// leadingNumber is 18 of "18-rc1".
func leadingNumber(s string) int {
	digits := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(s)
	}
	n, _ := strconv.Atoi(s[:digits])
	return n
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// checkHost says what keeps this process from loading the path, before anything is touched.
func checkHost() error {
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	if err := checkKernel(release); err != nil {
		return err
	}
	have, err := capabilities()
	if lacking := missing(have); err == nil && len(lacking) > 0 {
		return fmt.Errorf("%w: uid %d has no %s: run it as root, or as the systemd unit does", ErrPrivilege,
			os.Geteuid(), strings.Join(lacking, " and no "))
	}
	return nil
}

// needed are the capabilities without which no kernel loads the path. CAP_PERFMON is not one of
// them: newer kernels do without, see perfmonHint.
var needed = []struct {
	name string
	bit  uint
}{
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN},
	{"CAP_BPF", unix.CAP_BPF},
}

// missing names what is needed and not among these.
func missing(have uint64) []string {
	var out []string
	for _, c := range needed {
		if have&(1<<c.bit) == 0 {
			out = append(out, c.name)
		}
	}
	return out
}

// capabilities are the effective ones of this process, bit by number.
func capabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32, nil
}

// jiffiesPerSecond is the kernel's HZ: the coarse clock moves once a jiffy.
func jiffiesPerSecond() (uint32, error) {
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick); err != nil {
		return 0, fmt.Errorf("resolution of the coarse clock: %w", err)
	}
	if tick.Nano() <= 0 {
		return 0, fmt.Errorf("resolution of the coarse clock: %d ns", tick.Nano())
	}
	return uint32((int64(time.Second) + tick.Nano()/2) / tick.Nano()), nil
}
