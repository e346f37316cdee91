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

// tableFor has room for conns entries when it is four fifths full: until then all but one of a million
// flows find a place in one of their two buckets.
func tableFor(conns uint32, seed [10]uint32) table {
	slots := (uint64(conns)*5 + 3) / 4
	return table{max(2, uint32((slots+bucketEntries-1)/bucketEntries)), seed}
}

// set gives maps and constants of a program this shape.
func (t table) set(spec *ebpf.CollectionSpec) error {
	spec.Maps["conns"].MaxEntries = t.buckets * bucketSlots
	for name, value := range map[string]any{"table_buckets": t.buckets, "table_seed": t.seed} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// table is the shape of the one in use: a daemon takes over the one that it finds.
func (d *Dataplane) table() table { return tableFor(d.about.note.Conns, d.about.note.Seed) }

// Usage is how many entries the connection table had at the last round of the sweep, and how many it
// was made for; a NAT connection has two.
func (d *Dataplane) Usage() (used, size uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used, uint64(d.about.note.Conns)
}
