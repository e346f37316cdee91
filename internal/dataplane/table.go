// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"

	"github.com/cilium/ebpf"
)

const (
	bucketSlots   = uint32(pathLimitBUCKET_SLOTS)
	bucketEntries = uint64(bucketSlots - 1) // the first slot is the bucket's own
	defaultConns  = 1 << 20
)

// table is the shape of the connection table (bpf/table.h): how many buckets it has, and the seed by
// which flows are spread over them.
type table struct {
	buckets uint32
	seed    [10]uint32
}

// tableFor has room for conns entries when it is four fifths full: until then all but three of a million
// flows find a place in one of their two buckets.
func tableFor(conns uint32, seed [10]uint32) table {
	slots := (uint64(conns)*5 + 3) / 4
	return table{max(2, uint32((slots+bucketEntries-1)/bucketEntries)), seed}
}

// name is that of its map and pin: while connections move, two tables lie side by side.
func (t table) name() string { return fmt.Sprintf("%s%d", tablePrefix, t.buckets) }

const tablePrefix = "conns_"

// set gives map and constants of a program this shape.
func (t table) set(spec *ebpf.CollectionSpec) error {
	t.shape(spec.Maps["conns"])
	return setConstants(spec, map[string]any{"table_buckets": t.buckets, "table_seed": t.seed})
}

// setBefore makes the program look for connections in a table of this shape as well.
func (t table) setBefore(spec *ebpf.CollectionSpec) error {
	t.shape(spec.Maps["conns_before"])
	return setConstants(spec, map[string]any{"table_buckets_before": t.buckets, "table_moves": true})
}

func (t table) shape(m *ebpf.MapSpec) {
	m.Name, m.MaxEntries = t.name(), t.buckets*bucketSlots
}

func setConstants(spec *ebpf.CollectionSpec, values map[string]any) error {
	for name, value := range values {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// table is the shape of the one in use.
func (d *Dataplane) table() table { return d.tableOf(d.about.note.Conns) }

// tableOf is the shape of one for so many connections. All have the same seed.
func (d *Dataplane) tableOf(conns uint32) table { return tableFor(conns, d.about.note.Seed) }

// Usage is how many entries the connection table had at the last round of the sweep, and how many it
// was made for; a NAT connection has two.
func (d *Dataplane) Usage() (used, size uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used, uint64(d.about.note.Conns)
}

// Kept is the size that the table was to get when the daemon started, and why it did not; "": it did.
func (d *Dataplane) Kept() (size uint64, why string) { return uint64(d.kept.size), d.kept.why }
