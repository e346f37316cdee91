// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// Host is what this kernel has for the path, and what lies under --bpffs.
type Host struct {
	Release string
	RT      bool  // the kernel is PREEMPT_RT
	Refused error // what keeps this process from loading the path, before it is tried
	BTF     error // why the kernel's types cannot be read; nil: they can
	Load    error // why the kernel does not take the path; nil: it does
	BPFFS   string
	Mounted bool // BPFFS is on a bpffs, or would be if it were made
	Pins    Pinned
}

// Pinned are what a daemon left under --bpffs, or keeps there.
type Pinned struct {
	There  bool
	Fit    bool   // this version can take them over
	Config string // of the daemon that wrote them
	Pid    int    // of the daemon that holds them; 0: none does
}

// LookAtHost changes nothing: what it loads goes again.
func LookAtHost(bpffs string) (Host, error) {
	dir, err := filepath.Abs(bpffs)
	if err != nil {
		return Host{}, fmt.Errorf("bpffs: %w", err)
	}
	h := Host{BPFFS: dir, Mounted: isBPFFS(existing(dir)), Refused: checkHost()}
	if h.Release, err = kernelRelease(); err != nil {
		return Host{}, err
	}
	if h.Refused == nil {
		h.Load = tryLoad()
	}
	_, notRT := os.Stat("/sys/kernel/realtime") // made by kernels with PREEMPT_RT alone
	h.RT = notRT == nil
	_, h.BTF = btf.LoadKernelSpec()
	h.Pins, err = lookAtPins(pins{dir})
	return h, err
}

// existing is dir, or the nearest directory above it that is there.
func existing(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// tryLoad shows the path to the verifier. Nothing is pinned, no interface sees it.
func tryLoad() error {
	spec, err := pathSpec()
	if err != nil {
		return err
	}
	if err := tableFor(64, newSeed()).set(spec); err != nil { // few: the table is allocated as a whole
		return err
	}
	if _, err := setClock(spec); err != nil {
		return err
	}
	path, err := ebpf.NewCollection(spec)
	if err != nil {
		return loadError("path", err)
	}
	path.Close()
	return nil
}

// TryChecks shows the program of checks to the verifier, and hands it to who tries it where such programs are put.
func TryChecks(try func(model.Program) error) error {
	spec, err := loadChecks()
	if err != nil {
		return fmt.Errorf("checks: %w", err)
	}
	var objects struct {
		Check *ebpf.Program `ebpf:"check"`
	}
	if err := spec.LoadAndAssign(&objects, nil); err != nil {
		return loadError("checks", err)
	}
	defer objects.Check.Close()
	return try(model.Program{FD: objects.Check.FD()})
}

// lookAtPins reads the note, if there is one.
func lookAtPins(p pins) (Pinned, error) {
	a, err := readAbout(p)
	if errors.Is(err, os.ErrNotExist) {
		return Pinned{}, nil
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return Pinned{}, nil // whoever may not read them learns that from Refused
	}
	if err != nil {
		return Pinned{}, err
	}
	defer a.Close()
	spec, err := pathSpec()
	if err != nil {
		return Pinned{}, err
	}
	out := Pinned{There: true, Config: a.note.config()}
	out.Fit = a.note.Format == pinFormat && a.note.Layout == layoutHash(spec)
	out.Pid, err = holderOf(p.dir)
	return out, err
}

// holderOf is the process that holds the lock on a directory; 0: nobody does. Trying the lock would
// turn a daemon away that starts just then.
func holderOf(dir string) (int, error) {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return 0, fmt.Errorf("lock of %s: %w", dir, err)
	}
	table, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0, fmt.Errorf("lock of %s: %w", dir, err)
	}
	return flockHolder(string(table), stat.Dev, stat.Ino), nil
}

// flockHolder finds a file in proc_locks(5): "1: FLOCK ADVISORY WRITE 4711 00:2b:18 0 EOF".
func flockHolder(table string, device, inode uint64) int {
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(device), unix.Minor(device), inode)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != file {
			continue
		}
		var pid int
		if _, err := fmt.Sscan(fields[4], &pid); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
