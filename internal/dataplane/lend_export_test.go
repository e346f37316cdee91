// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sync/errgroup"
)

// Opened is what a path was when it was opened. By it one path serves many tests, each as if it was opened for that
// test alone: the kernel's verifier takes longer for one than most tests do.
type Opened struct {
	note note
	maps map[string]content
}

// content is what a map holds: key → value, as they lie there. Zeros of arrays are left out.
type content map[string]string

// Opened is of a path that was just opened.
func (d *Dataplane) Opened() (*Opened, error) {
	maps, err := d.contents()
	return &Opened{d.about.note, maps}, err
}

// IsOfAnotherTable: the path was resized, and cannot be made what it was.
func (o *Opened) IsOfAnotherTable(d *Dataplane) bool {
	return d.about.note.Conns != o.note.Conns || d.about.note.Next != 0
}

// Renewed is the same in the kernel and knows nothing of what was before, as after Open. The old one is not used any more.
func (d *Dataplane) Renewed(config string, log *slog.Logger) (*Dataplane, error) {
	fresh := &Dataplane{
		log: log, pins: d.pins, lock: d.lock, about: d.about, path: d.path, inner: d.inner, hz: d.hz, shown: d.path.Weir,
		sweeper: d.sweeper, ender: ender{end: d.ender.end, endings: d.ender.endings, settle: d.ender.settle},
		checks:  checks{program: d.checks.program, ways: d.checks.ways, have: map[pathAddr]checksCheckWay{}},
		waiting: newWaiting(d.waiting.cpus), links: map[string]*attached{}, inUse: map[serviceID]inUse{}, tracing: make(chan struct{}, 1),
	}
	fresh.syncer.programs = d.syncer.programs // nothing in their maps is read before it is written
	fresh.syncer.applied = make(chan struct{}, 1)
	note := &fresh.about.note
	note.Config = [260]byte{}
	copy(note.Config[:len(note.Config)-1], config)
	err := errors.Join(fresh.about.write(), d.events.Close(), d.held.Close(), fresh.openRings())
	if err == nil {
		_, err = fresh.Sweep()
	}
	return fresh, err
}

// openRings leaves behind what nobody has read.
func (d *Dataplane) openRings() (err error) {
	if d.events, err = ringbuf.NewReader(d.path.Events); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if d.held, err = ringbuf.NewReader(d.path.HeldFrames); err != nil {
		return fmt.Errorf("held fragments: %w", err)
	}
	return errors.Join(drain(d.events), drain(d.held))
}

func drain(r *ringbuf.Reader) error {
	if err := r.Flush(); err != nil {
		return err
	}
	var record ringbuf.Record
	for {
		if err := r.ReadInto(&record); errors.Is(err, ringbuf.ErrFlushed) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Wipe makes everything in the kernel what it was.
func (d *Dataplane) Wipe(was *Opened) error {
	if d.shown != d.path.Weir || len(d.tracing) > 0 {
		return errors.New("somebody still traces")
	}
	if err := d.applyInterfaces(nil); err != nil {
		return err
	}
	if links, err := os.ReadDir(d.pins.links()); err != nil || len(links) > 0 {
		return fmt.Errorf("%d links are left: %w", len(links), err)
	}
	var errs []error
	for name, m := range d.allMaps() {
		if err := restore(m, was.maps[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	d.about.note = was.note
	return errors.Join(append(errs, d.about.write())...)
}

// MapNames are those of all maps that have a content, and of the note.
func (d *Dataplane) MapNames() []string {
	names := []string{aboutName}
	for name, m := range d.allMaps() {
		if m.Type() != ebpf.RingBuf {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// allMaps are the maps of all programs, by name.
func (d *Dataplane) allMaps() map[string]*ebpf.Map {
	out := map[string]*ebpf.Map{"endings": d.ender.endings, "farewells": d.sweeper.Farewells, "check_ways": d.checks.ways}
	all := reflect.ValueOf(d.path.pathMaps)
	for i := range all.NumField() {
		out[all.Type().Field(i).Tag.Get("ebpf")] = all.Field(i).Interface().(*ebpf.Map)
	}
	return out
}

// contents are those of all maps, by name.
func (d *Dataplane) contents() (map[string]content, error) {
	out := map[string]content{}
	for name, m := range d.allMaps() {
		c, err := contentOf(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = c
	}
	return out, nil
}

// Differing are the maps of two dataplanes that do not hold the same, by name, and what only one of them knows.
func (d *Dataplane) Differing(other *Dataplane) (names []string, err error) {
	have, e1 := d.contents()
	want, e2 := other.contents()
	for name := range want {
		if !maps.Equal(have[name], want[name]) {
			names = append(names, name)
		}
	}
	ours, theirs := d.about.note, other.about.note
	ours.Seed, ours.Config = theirs.Seed, theirs.Config
	if ours != theirs {
		names = append(names, aboutName)
	}
	one, two := reflect.ValueOf(d).Elem(), reflect.ValueOf(other).Elem()
	for i := range one.NumField() {
		name := one.Type().Field(i).Name
		if name == "syncer" { // loaded when a test wants it first
			continue
		}
		if one.Field(i).IsZero() != two.Field(i).IsZero() {
			names = append(names, "Dataplane."+name)
		}
	}
	slices.Sort(names)
	return names, errors.Join(e1, e2)
}

func contentOf(m *ebpf.Map) (content, error) {
	switch m.Type() {
	case ebpf.RingBuf:
		return nil, nil // its readers know what is in it
	case ebpf.Array, ebpf.PerCPUArray:
		return elementsOf(m)
	case ebpf.ArrayOfMaps:
		return innerOf(m)
	}
	out := content{}
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	each := m.Iterate()
	for each.Next(key, value) {
		out[string(key)] = string(value)
	}
	return out, each.Err()
}

// looksAtOnce bounds how many threads wait for the kernel at once.
const looksAtOnce = 256

// innerOf is which maps lie in a map, by their ids. Before Linux 6.8 each look waits for a grace period of RCU, looks at
// once for one together: one after the other they would take most of a minute.
func innerOf(m *ebpf.Map) (content, error) {
	ids := make([]uint32, m.MaxEntries())
	var group errgroup.Group
	group.SetLimit(looksAtOnce)
	for i := range ids {
		group.Go(func() error {
			return ignoreMissing(m.Lookup(uint32(i), &ids[i]))
		})
	}
	err := group.Wait()
	out := content{}
	for i, id := range ids {
		if id != 0 {
			out[string(binary.NativeEndian.AppendUint32(nil, uint32(i)))] = string(binary.NativeEndian.AppendUint32(nil, id))
		}
	}
	return out, err
}

// elementsOf is the content of an array. The value of one that has some for each CPU is all of them.
func elementsOf(m *ebpf.Map) (content, error) {
	n, err := perElement(m)
	if err != nil {
		return nil, err
	}
	out := content{}
	size := n * int(m.ValueSize())
	keys, zero := make([]uint32, batch), make([]byte, size)
	values, raw := valuesOf(m, batch*n)
	var cursor ebpf.MapBatchCursor
	for read := uint32(0); read < m.MaxEntries(); {
		got, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, err
		}
		for i, key := range keys[:got] {
			if value := raw[i*size : (i+1)*size]; !bytes.Equal(value, zero) {
				out[string(binary.NativeEndian.AppendUint32(nil, key))] = string(value)
			}
		}
		if err != nil {
			break
		}
		read += uint32(got)
	}
	return out, nil
}

// valuesOf has room for some values of a map: a slice of them, and the same as bytes.
func valuesOf(m *ebpf.Map, n int) (values any, raw []byte) {
	size := int(m.ValueSize())
	slice := reflect.MakeSlice(reflect.SliceOf(reflect.ArrayOf(size, reflect.TypeFor[byte]())), n, n)
	return slice.Interface(), unsafe.Slice((*byte)(slice.UnsafePointer()), n*size)
}

// restore makes a map's content what it was.
func restore(m *ebpf.Map, was content) error {
	is, err := contentOf(m)
	if err != nil {
		return err
	}
	// The kernel waits after each table of slots that goes, until no program looks at it any more: once for all
	// that go together.
	group, _ := errgroup.WithContext(context.Background())
	for key := range is {
		if _, kept := was[key]; !kept {
			group.Go(func() error { return remove(m, key) })
		}
	}
	errs := []error{group.Wait()}
	for key, value := range was {
		if is[key] != value {
			errs = append(errs, put(m, key, value))
		}
	}
	return errors.Join(errs...)
}

// remove deletes a key; in an array it becomes zero.
func remove(m *ebpf.Map, key string) error {
	if m.Type() == ebpf.Array || m.Type() == ebpf.PerCPUArray {
		return put(m, key, "")
	}
	return ignoreMissing(m.Delete([]byte(key)))
}

// put writes a value as contentOf reads it. What it lacks is zero.
func put(m *ebpf.Map, key, value string) error {
	n, err := perElement(m)
	if err != nil {
		return err
	}
	values, raw := valuesOf(m, n)
	copy(raw, value)
	return m.Put([]byte(key), values)
}

// Spoil writes something into every map but the rings, and the tables of slots, which an Apply makes.
func (d *Dataplane) Spoil() error {
	var errs []error
	for name, m := range d.allMaps() {
		if m.Type() == ebpf.RingBuf || m.Type() == ebpf.ArrayOfMaps {
			continue
		}
		key := make([]byte, m.KeySize())
		if m.MaxEntries() > 1 {
			key[0] = 1 // in an array the second element, in a trie a prefix of one bit
		}
		n, err := perElement(m)
		if err == nil {
			err = put(m, string(key), strings.Repeat("\xa5", n*int(m.ValueSize())))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
