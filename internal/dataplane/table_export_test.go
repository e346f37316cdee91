// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// TableSlot is one of the slots of a bucket that flows may have, as it lies in the table.
type TableSlot struct {
	Position uint32
	Tag      byte // 0: nobody finds the entry

	Taken, Settled bool // what the bucket says of it

	Live, Coming, Reverse, Away, Proved bool // what its word says; Proved is CONN_SETTLED

	Source, Destination netip.AddrPort
	Protocol            model.Protocol
	Pair                uint32
	Forwarding          model.Forwarding // of a way back: nothing
}

// TableBucket is a bucket with its slots, from the first one that flows may have.
type TableBucket struct {
	Away  uint32
	Slots []TableSlot
}

// Table is the whole connection table. Packets that come meanwhile make it contradict itself.
func (d *Dataplane) Table() ([]TableBucket, error) {
	entries, err := readElements[pathConn](d.path.Conns)
	if err != nil {
		return nil, err
	}
	buckets, err := readElements[pathBucket](d.path.Conns)
	if err != nil {
		return nil, err
	}
	var out []TableBucket
	for first := 0; first < len(entries); first += int(bucketSlots) {
		out = append(out, tableBucket(uint32(first), buckets[first], entries[first:first+int(bucketSlots)]))
	}
	return out, nil
}

func tableBucket(first uint32, b pathBucket, entries []pathConn) TableBucket {
	var tags [16]byte
	for half, t := range b.Tags {
		binary.LittleEndian.PutUint64(tags[8*half:], t)
	}
	out := TableBucket{Away: b.Away}
	for slot := uint32(1); slot < bucketSlots; slot++ {
		s := tableSlot(entries[slot])
		s.Position, s.Tag = first+slot, tags[slot]
		s.Taken, s.Settled = b.Taken>>slot&1 != 0, b.Settled>>slot&1 != 0
		out.Slots = append(out.Slots, s)
	}
	return out
}

func tableSlot(e pathConn) TableSlot {
	w := word(e.Word)
	return TableSlot{
		Live: w.isLive(), Coming: w.state() == pathConnStateCONN_COMING, Reverse: w.has(pathConnFlagCONN_REVERSE),
		Away: w.has(pathConnFlagCONN_AWAY), Proved: w.has(pathConnFlagCONN_SETTLED),
		Source:      netip.AddrPortFrom(fromAddr(e.Source), fromPort(e.SourcePort)),
		Destination: netip.AddrPortFrom(fromAddr(e.Destination), fromPort(e.DestinationPort)),
		Protocol:    model.Protocol(e.Protocol), Pair: e.Pair, Forwarding: fromForwarding(pathForwarding(e.Forwarding)),
	}
}

// readElements reads all of an array, whatever lies in it.
func readElements[T any](m *ebpf.Map) ([]T, error) {
	out := make([]T, m.MaxEntries())
	keys := make([]uint32, len(out))
	var cursor ebpf.MapBatchCursor
	n, err := m.BatchLookup(&cursor, keys, out, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, err
	}
	if n != len(out) {
		return nil, fmt.Errorf("%d of %d elements were read", n, len(out))
	}
	return out, nil
}

// LiveLong makes connections of the services that are there live for an hour without a packet.
func (d *Dataplane) LiveLong() error {
	const hour = 3600
	for i := range d.path.Timeouts.MaxEntries() {
		var value pathTimeouts
		if err := d.path.Timeouts.Lookup(i, &value); err != nil {
			return err
		}
		for state, seconds := range value.Seconds {
			if seconds != 0 {
				value.Seconds[state] = hour
			}
		}
		if err := d.path.Timeouts.Put(i, &value); err != nil {
			return err
		}
	}
	return nil
}

// ExpireAtOnce makes the time of every connection of a service that is there be over as soon as its
// packet was seen: what a sweep marks, the next one ends, unless a packet comes in between.
func (d *Dataplane) ExpireAtOnce() error {
	all := d.path.Timeouts.MaxEntries()
	keys := make([]uint32, all)
	for i := range keys {
		keys[i] = uint32(i)
	}
	_, err := d.path.Timeouts.BatchUpdate(keys, make([]pathTimeouts, all), nil)
	return err
}
