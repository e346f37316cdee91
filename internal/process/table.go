// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// young is in how many looks the name of a process is read that was not there before: it has the one of its parent
// until it runs a program of its own.
const young = 3

// mostNew is how many numbers of new processes are tried, before all that there are is the shorter list.
const mostNew = 4096

// named is a process as /proc has it.
type named struct {
	name    string // comm: 15 bytes at most
	command string // its words, each ended by NUL, as far as anybody asks
}

// is tells whether a process is one of those that are tracked.
func (p *named) is(t model.TrackProcess) bool {
	if t.Command != "" {
		return strings.HasPrefix(p.command, t.Command)
	}
	return p.name == t.Name
}

// table finds processes. To list all of a host with thousands takes it long, for the kernel makes an inode of each. But
// it numbers them in turn, and says which number was the last: so those that are new have numbers between that one and the
// last one of before.
type table struct {
	root    string
	tracked []model.TrackProcess
	longest int // of the commands that are asked for; 0: none are
	found   map[int]*named
	last    []int // the last number that there was in looks of before, the oldest first
	buffer  []byte
}

func newTable(root string) *table { return &table{root: root} }

// read says whose names matter.
func (t *table) read(tracked []model.TrackProcess) {
	t.longest = 0
	for _, one := range tracked {
		t.longest = max(t.longest, len(one.Command))
	}
	const name = 64 // more than any has, and /proc/loadavg
	t.tracked, t.buffer, t.last = tracked, make([]byte, max(name, t.longest)), nil
}

// look returns those that are tracked, by pid. A full one lists all.
func (t *table) look(full bool) (map[int]*named, error) {
	if err := t.visible(); err != nil {
		return nil, err
	}
	last, pids := t.lastPID(), []int(nil)
	switch fresh, ok := t.fresh(last); {
	case full || !ok:
		all, err := t.list()
		if err != nil {
			return nil, err
		}
		pids = all
	default:
		pids = slices.AppendSeq(fresh, maps.Keys(t.found))
	}
	if t.last = append(t.last, last); len(t.last) > young {
		t.last = t.last[1:]
	}
	t.found = map[int]*named{}
	for _, pid := range pids {
		p := &named{}
		if t.readNames(pid, p) == nil && t.isTracked(p) { // or it has ended meanwhile
			t.found[pid] = p
		}
	}
	return t.found, nil
}

// fresh are the numbers of those that have begun in the last looks. False: that is not known, or they are too many.
func (t *table) fresh(last int) (out []int, ok bool) {
	if last == 0 || len(t.last) == 0 {
		return nil, false
	}
	first, begunAnew := t.last[0], !slices.IsSorted(append(slices.Clone(t.last), last))
	if begunAnew || last-first > mostNew {
		return nil, false
	}
	for pid := first + 1; pid <= last; pid++ {
		out = append(out, pid)
	}
	return out, true
}

// lastPID is the number of the process or thread that was made last; 0: nobody says.
func (t *table) lastPID() int {
	text, err := t.readFile(filepath.Join(t.root, "loadavg"))
	words := strings.Fields(string(text))
	if err != nil || len(words) == 0 {
		return 0
	}
	last, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return 0
	}
	return last
}

func (t *table) isTracked(p *named) bool {
	for _, one := range t.tracked {
		if p.is(one) {
			return true
		}
	}
	return false
}

// visible says why others' processes cannot be seen. The first one is there always.
func (t *table) visible() error {
	err := t.readNames(1, &named{})
	if err == nil {
		return nil
	}
	return fmt.Errorf("processes of others are hidden: %w (ProtectProc= of the unit, or hidepid= of /proc)", err)
}

// list returns the pids of all.
func (t *table) list() (out []int, err error) {
	dir, err := os.Open(t.root)
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	if err := errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			out = append(out, pid)
		}
	}
	return out, nil
}

func (t *table) readNames(pid int, into *named) error {
	dir := filepath.Join(t.root, strconv.Itoa(pid))
	name, err := t.readFile(dir + "/comm")
	if err != nil {
		return err
	}
	into.name = string(bytes.TrimSuffix(name, []byte("\n")))
	if t.longest == 0 {
		return nil
	}
	command, err := t.readFile(dir + "/cmdline")
	if err != nil {
		return err
	}
	if n := len(command); n > 0 && n < t.longest && command[n-1] != 0 { // one that was written anew
		command = append(command, 0)
	}
	into.command = string(command)
	return nil
}

// readFile reads the beginning of a file. It is called thousands of times in a row, so it does without all that
// os.ReadFile has to find out.
func (t *table) readFile(path string) ([]byte, error) {
	file, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(file)
	n, err := unix.Read(file, t.buffer)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return t.buffer[:n], nil
}
