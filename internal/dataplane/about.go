// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"structs"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// aboutName is the pin, and the map's name: by it a weir recognises another one's program.
const aboutName = "weir_about"

// note is what lies beside the pinned maps: who owns them, and how they are laid out.
type note struct {
	_          structs.HostLayout
	Format     uint32
	Pid        uint32
	Generation uint32 // the last generation that was given to a service or server
	Layout     [sha256.Size]byte
	Config     [260]byte  // path of the owner's config, zero-terminated
	Conns      uint32     // connections that the table was made for
	Next       uint32     // size of the table that they move to, which every program knows; 0: they do not
	Seed       [10]uint32 // of the table's hash: another one would find nothing
}

func (n note) config() string { return unix.ByteSliceToString(n.Config[:]) }

// owner says which daemon wrote the note.
func (n note) owner() string {
	if n.Pid == 0 {
		return "pid and config unknown"
	}
	return fmt.Sprintf("pid %d, config %s", n.Pid, n.config())
}

// about is the note's map. One goroutine writes it.
type about struct {
	m     *ebpf.Map
	note  note
	fresh bool // there was none before: whatever is pinned is this process's
}

// ErrLayout means that what is pinned was written by a version with other maps.
var ErrLayout = errors.New("pinned maps have another layout")

// openAbout reads the note of dir, or writes a fresh one, for a table of conns connections.
func openAbout(p pins, layout [sha256.Size]byte, config string, conns uint32) (*about, error) {
	fresh := note{Format: pinFormat, Layout: layout, Conns: conns, Seed: newSeed()}
	a, err := readAbout(p)
	if errors.Is(err, os.ErrNotExist) {
		a, err = createAbout(p, fresh)
	}
	if err != nil {
		return nil, err
	}
	if a.note.Format != pinFormat || a.note.Layout != layout {
		a.m.Close()
		return nil, fmt.Errorf("%s: %w: stop the old weir, run `weir cleanup --bpffs %s`, start again; connections are lost by it",
			p.dir, ErrLayout, p.dir)
	}
	a.note.Pid = uint32(os.Getpid())
	a.note.Config = [260]byte{}
	copy(a.note.Config[:len(a.note.Config)-1], config)
	return a, a.write()
}

// newSeed is what nobody outside can guess.
func newSeed() (seed [10]uint32) {
	for i := range seed {
		seed[i] = rand.Uint32()
	}
	return seed
}

func readAbout(p pins) (*about, error) {
	m, err := ebpf.LoadPinnedMap(p.about(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.about(), err)
	}
	a := &about{m: m}
	if m.ValueSize() != uint32(unsafe.Sizeof(note{})) {
		return a, nil // of a format that this version cannot read: 0 is none
	}
	if err := m.Lookup(uint32(0), &a.note); err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", p.about(), err)
	}
	return a, nil
}

// createAbout pins the note only when it is written, so nobody reads half of one.
func createAbout(p pins, n note) (*about, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: aboutName, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(unsafe.Sizeof(note{})), MaxEntries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", aboutName, err)
	}
	a := &about{m: m, note: n, fresh: true}
	if err := a.write(); err != nil {
		return nil, err
	}
	if err := m.Pin(p.about()); err != nil {
		return nil, fmt.Errorf("pin %s: %w", filepath.Base(p.about()), err)
	}
	return a, nil
}

func (a *about) write() error {
	if err := a.m.Put(uint32(0), &a.note); err != nil {
		return fmt.Errorf("write %s: %w", aboutName, err)
	}
	return nil
}

// nextGeneration gives out each number once, over all restarts.
func (a *about) nextGeneration() (uint32, error) {
	a.note.Generation++
	if a.note.Generation == 0 {
		a.note.Generation = 1
	}
	return a.note.Generation, a.write()
}

func (a *about) Close() error {
	if a == nil {
		return nil
	}
	return a.m.Close()
}
