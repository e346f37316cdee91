// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/dataplane"
)

func kernel(h host) []api.Finding {
	if errors.Is(h.Host.Refused, dataplane.ErrKernel) {
		return found(api.LevelError, h.Host.Refused.Error(), "the path uses what older kernels have not",
			"apt-get install linux-image-amd64 && reboot # Linux 6.1 or newer")
	}
	if h.Host.RT {
		return found(api.LevelWarning, fmt.Sprintf("Linux %s is a real-time kernel (PREEMPT_RT)", h.Host.Release),
			"one packet may interrupt another one on its CPU there, and weir, which keeps what it knows of a packet with the CPU, was never tried on it",
			"apt-get install linux-image-amd64 && reboot # a kernel without PREEMPT_RT")
	}
	return fine("Linux %s", h.Host.Release)
}

func types(h host) []api.Finding {
	if h.Host.BTF != nil {
		return found(api.LevelWarning, "the kernel's types cannot be read: "+firstLine(h.Host.BTF),
			"weir was never tried on a kernel without BTF",
			"ls -l /sys/kernel/btf/vmlinux # boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of distributions are")
	}
	return fine("the kernel has BTF")
}

// needed are the capabilities without which something does not work at all.
var needed = []struct {
	name string
	bit  int
	why  string
}{
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, "programs cannot be attached, addresses and neighbours not set"},
	{"CAP_BPF", unix.CAP_BPF, "programs and maps cannot be loaded"},
	{"CAP_NET_RAW", unix.CAP_NET_RAW, "virtual addresses cannot be announced"},
}

func capabilities(h host) []api.Finding {
	whose, fix := "this process", "sudo weir doctor"
	if h.Process.Pid != 0 {
		whose = fmt.Sprintf("the daemon (pid %d)", h.Process.Pid)
		fix = "systemctl edit weir # AmbientCapabilities= and CapabilityBoundingSet= name all that `weir run` needs"
	}
	var out []api.Finding
	for _, n := range needed {
		if !h.has(n.bit) {
			out = append(out, found(api.LevelError, whose+" has no "+n.name, n.why, fix)...)
		}
	}
	if h.Spec != nil && len(h.Spec.VirtualRouters)+len(h.Spec.BFD) > 0 && !h.has(unix.CAP_SYS_NICE) {
		out = append(out, found(api.LevelWarning, whose+" has no CAP_SYS_NICE",
			"the threads that send adverts of virtual routers, and packets of BFD, do not run before others: where this host is busy they are late, and another director takes over", fix)...)
	}
	if len(out) == 0 && !h.has(unix.CAP_PERFMON) {
		out = found(api.LevelNote, whose+" has no CAP_PERFMON",
			"the verifier then adds barriers against speculation, and a packet costs 100 to 450 ns more; Linux before 6.12.5 refuses the path without it",
			"systemctl edit weir # AmbientCapabilities=CAP_PERFMON, CapabilityBoundingSet=CAP_PERFMON")
	}
	return orFine(out, "%s has all that it needs", whose)
}

// has: CAP_SYS_ADMIN counts as those that were taken out of it.
func (h host) has(bit int) bool {
	have := h.Process.Capabilities
	if have&(1<<unix.CAP_SYS_ADMIN) != 0 && (bit == unix.CAP_BPF || bit == unix.CAP_PERFMON) {
		return true
	}
	return have&(1<<bit) != 0
}

func program(h host) []api.Finding {
	switch {
	case h.Host.Refused != nil && !errors.Is(h.Host.Refused, dataplane.ErrKernel):
		return found(api.LevelNote, "the path was not tried: "+h.Host.Refused.Error(),
			"whether this kernel takes it is known only then", "sudo weir doctor")
	case h.Host.Refused != nil:
		return fine("the path was not tried, the kernel is too old")
	case h.Host.Load != nil:
		return found(api.LevelError, "the kernel refuses the path: "+firstLine(h.Host.Load),
			"no packet can be balanced here", "weir version # a bug, unless the text above names a way out: report it with the output of weir run")
	}
	return fine("the kernel takes the path")
}

// firstLine: the verifier's log is long.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func bpffs(h host) []api.Finding {
	const fix = "mount -t bpf bpf /sys/fs/bpf # and in /etc/fstab: bpf /sys/fs/bpf bpf mode=0700 0 0"
	switch {
	case h.Host.Mounted:
		return fine("%s is on a bpffs", h.Host.BPFFS)
	case h.has(unix.CAP_SYS_ADMIN):
		return found(api.LevelNote, h.Host.BPFFS+" is not on a bpffs", "weir mounts one when it starts", fix)
	}
	return found(api.LevelError, h.Host.BPFFS+" is not on a bpffs",
		"what outlives the daemon is pinned there, and without CAP_SYS_ADMIN it cannot mount one", fix)
}

func pins(h host) []api.Finding {
	p, dir := h.Host.Pins, h.Host.BPFFS
	switch {
	case !p.There:
		return fine("nothing is pinned in %s", dir)
	case !p.Fit && p.Pid != 0:
		return found(api.LevelNote, fmt.Sprintf("the maps in %s have another layout than this version's", dir),
			fmt.Sprintf("the daemon that holds them (pid %d) is of another version", p.Pid), "weir status # compare its version with `weir version`")
	case !p.Fit:
		return found(api.LevelError, fmt.Sprintf("the maps in %s have another layout than this version's", dir),
			"another version of weir wrote them", "weir run # it says whether it can take them over")
	case p.Pid == 0:
		return found(api.LevelWarning, fmt.Sprintf("the program pinned in %s works without a daemon", dir),
			"packets flow, but nobody follows neighbours and servers, or forgets connections", "weir run -c "+orDefault(p.Config))
	}
	return fine("pinned in %s, held by pid %d", dir, p.Pid)
}

// orDefault is the path of a configuration.
func orDefault(config string) string {
	if config == "" {
		return "/etc/weir/weir.yaml"
	}
	return config
}

// leastFiles is what the API, the rings and the scripts of a daemon use at the most.
const leastFiles = 1024

func files(h host) []api.Finding {
	n := h.Process.Files
	if n >= leastFiles {
		return fine("%d files may be open", n)
	}
	fix := "ulimit -n 4096"
	if h.Process.Pid != 0 {
		fix = fmt.Sprintf("prlimit --pid %d --nofile=4096:4096 # and LimitNOFILE=4096 in its unit", h.Process.Pid)
	}
	return found(api.LevelWarning, fmt.Sprintf("only %d files may be open", n),
		fmt.Sprintf("with fewer than %d the daemon may run out of them, and stops answering", leastFiles), fix)
}

func clock(h host) []api.Finding {
	if h.Process.Synchronised {
		return fine("the clock is synchronised")
	}
	return found(api.LevelWarning, "the clock is not synchronised",
		"logs of several hosts cannot be compared, and what is signed may be refused", "timedatectl set-ntp true")
}
