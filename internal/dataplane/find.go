// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// flowSeed is that of the consistent hash, flow_seed in bpf/hashed.h: it is no secret, and never another one.
var flowSeed = [10]uint32{
	0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89, 0x452821e6, 0x38d01377,
}

func toFlow(f model.Flow) pathFlow {
	return pathFlow{
		Source: toAddr(f.Client.Addr()), SourcePort: toPort(f.Client.Port()),
		Destination: toAddr(f.Virtual.Addr()), DestinationPort: toPort(f.Virtual.Port()), Protocol: uint8(f.Protocol),
	}
}

// flowOf is the key of an entry.
func flowOf(e pathConn) pathFlow {
	return pathFlow{
		Source: e.Source, SourcePort: e.SourcePort, Destination: e.Destination, DestinationPort: e.DestinationPort,
		Protocol: e.Protocol,
	}
}

// hashFlow is flow_hash of bpf/table.h.
func hashFlow(f pathFlow, seed [10]uint32) uint64 {
	var sum uint64
	for i, word := range *(*[5]uint64)(unsafe.Pointer(&f)) {
		sum += uint64(uint32(word)+seed[2*i]) * uint64(uint32(word>>32)+seed[2*i+1])
	}
	sum = (sum ^ sum>>32) * 0x9e3779b97f4a7c15
	return sum ^ sum>>32
}

// scale makes of 32 bits a number below n.
func scale(bits, n uint32) uint32 { return uint32(uint64(bits) * uint64(n) >> 32) }

// bucketsOf are the two in which a flow may be, as place_among of bpf/table.h has them.
func (t table) bucketsOf(f pathFlow) (home, second uint32) {
	hash := hashFlow(f, t.seed)
	home = scale(uint32(hash>>32), t.buckets)
	return home, (home + 1 + scale(uint32(hash), t.buckets-1)) % t.buckets
}

// entryAt is an entry of the connection table and where it lies.
type entryAt struct {
	position uint32
	conn     pathConn
}

// find returns the entry of a flow; nil: it has none. It looks at all slots of both buckets, which are few.
func (d *Dataplane) find(f pathFlow) (*entryAt, error) {
	home, second := d.table().bucketsOf(f)
	for _, bucket := range []uint32{home, second} {
		for slot := uint32(1); slot < bucketSlots; slot++ {
			at := entryAt{position: bucket*bucketSlots + slot}
			if err := d.path.Conns.Lookup(at.position, &at.conn); err != nil {
				return nil, fmt.Errorf("read connections: %w", err)
			}
			if word(at.conn.Word).isLive() && flowOf(at.conn) == f {
				return &at, nil
			}
		}
	}
	return nil, nil
}

// forwardOf is the connection to which a way back belongs: forward_at of bpf/conn.h; nil: it is an orphan, or
// no way back.
func (d *Dataplane) forwardOf(back *entryAt) (*entryAt, error) {
	if !word(back.conn.Word).has(pathConnFlagCONN_REVERSE) {
		return nil, nil
	}
	at := entryAt{position: back.conn.Pair}
	err := d.path.Conns.Lookup(at.position, &at.conn)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, fmt.Errorf("read connections: %w", err)
	}
	isPair := err == nil && word(at.conn.Word).isForward() && pathForwarding(at.conn.Forwarding) == pathForwardingFORWARDING_NAT
	if !isPair || at.conn.Pair != back.position {
		return nil, nil
	}
	return &at, nil
}

// question is what a flow answers, if somebody asked; nil: nobody did: bpf/question.h.
func (d *Dataplane) question(f pathFlow) (*entryAt, error) {
	var q pathQuestion
	err := d.path.Questions.Lookup(&f, &q)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read questions: %w", err)
	}
	if idle(q.Back.HopSeen, d.now(), d.hz) > time.Duration(pathLimitQUESTION_SECONDS)*time.Second {
		return nil, nil
	}
	return &entryAt{conn: q.Conn}, nil
}
