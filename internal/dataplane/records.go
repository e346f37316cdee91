// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"
	"fmt"
)

// maxRecords is how many records of servers there is room for.
const maxRecords = uint32(pathLimitMAX_RECORDS)

// noRecord is the first record, which nobody writes: that of a place no server ever had.
const noRecord = 0

// records says which record each server has. A packet may still look at one that was replaced: it
// comes again after all others, which are as many as there are servers.
type records struct {
	of  []uint32 // by server id
	ids ids
}

// readRecords finds which records are in use.
func (d *Dataplane) readRecords() (records, error) {
	current, err := d.currentRecords()
	if err != nil {
		return records{}, err
	}
	r := records{of: make([]uint32, len(current)), ids: newIDs(maxRecords)}
	r.ids.keep(noRecord)
	for id, record := range current {
		r.of[id] = uint32(record)
		r.ids.keep(uint32(record))
	}
	return r, nil
}

// readServers reads the record of each place of a server, by server id.
func (d *Dataplane) readServers() ([]pathServer, error) {
	current, err := d.currentRecords()
	if err != nil {
		return nil, err
	}
	var ids, numbers []uint32
	for id, record := range current {
		if record != noRecord {
			ids, numbers = append(ids, uint32(id)), append(numbers, uint32(record))
		}
	}
	records, err := readSome[pathServer](d.path.Records, numbers)
	if err != nil {
		return nil, fmt.Errorf("read records of servers: %w", err)
	}
	servers := make([]pathServer, len(current))
	for i, id := range ids {
		servers[id] = records[i]
	}
	return servers, nil
}

// currentRecords are the numbers of the servers' records, by server id.
func (d *Dataplane) currentRecords() ([]uint64, error) {
	memory, err := d.path.Servers.Memory()
	if err != nil {
		return nil, fmt.Errorf("map servers: %w", err)
	}
	bytes := make([]byte, maxServers*8)
	if _, err := memory.ReadAt(bytes, 0); err != nil {
		return nil, fmt.Errorf("read servers: %w", err)
	}
	out := make([]uint64, maxServers)
	for id := range out {
		out[id] = binary.NativeEndian.Uint64(bytes[8*id:])
	}
	return out, nil
}

// putRecord gives a server another record. The kernel copies a record word by word, so it is written
// where nobody looks, and then its number is, in one store.
func (d *Dataplane) putRecord(r *records, server uint32, value pathServer) error {
	record, ok := r.ids.take()
	if !ok {
		return fmt.Errorf("%w: %d records of servers are the most", ErrFull, maxRecords)
	}
	if err := d.path.Records.Put(record, &value); err != nil {
		return fmt.Errorf("write its record: %w", err)
	}
	return d.switchRecord(r, server, record)
}

// switchRecord makes another record that of the server. Eight bytes are copied in one store: the
// runtime needs that of copy for its own pointers.
func (d *Dataplane) switchRecord(r *records, server, record uint32) error {
	memory, err := d.path.Servers.Memory()
	if err != nil {
		return fmt.Errorf("map servers: %w", err)
	}
	if _, err := memory.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(record)), int64(server)*8); err != nil {
		return fmt.Errorf("switch its record: %w", err)
	}
	if before := r.of[server]; before != noRecord {
		r.ids.free(before)
	}
	r.of[server] = record
	return nil
}
