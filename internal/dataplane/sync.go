// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// syncer is how connections are told to other directors, and taken from them (bpf/sync.bpf.c): docs/why/connection-sync.md.
// It is loaded when it is needed first: who is alone needs none.
type syncer struct {
	// mu guards what follows, and what lies in the maps, which is one caller's until it has read it.
	mu        sync.Mutex
	programs  *syncerParts // nil: not loaded
	directory *directory   // nil: not read
	unbound   unbound

	applied chan struct{} // full while what waits may have found its place, and nobody has looked

	// changesMu guards where Changes goes on.
	changesMu sync.Mutex
	next      uint32     // bucket
	left      []pathConn // collected, so that their marks are gone, and not handed on yet
}

// syncerParts are the programs and maps that the path has not.
type syncerParts struct {
	Arrive    *ebpf.Program `ebpf:"arrive"`
	Collect   *ebpf.Program `ebpf:"collect"`
	Digest    *ebpf.Program `ebpf:"digest"`
	Arrivals  *ebpf.Map     `ebpf:"arrivals"`
	Collected *ebpf.Map     `ebpf:"collected"`
	Digests   *ebpf.Map     `ebpf:"digests"`
	Wanted    *ebpf.Map     `ebpf:"wanted"`
}

// Close may be called of one that was never loaded.
func (s *syncer) Close() error {
	p := s.programs
	if p == nil {
		return nil
	}
	s.programs = nil
	return errors.Join(p.Arrive.Close(), p.Collect.Close(), p.Digest.Close(), p.Arrivals.Close(), p.Collected.Close(),
		p.Digests.Close(), p.Wanted.Close())
}

// syncParts are loaded by the first who asks; the caller has the lock.
func (d *Dataplane) syncParts() (*syncerParts, error) {
	if d.syncer.programs != nil {
		return d.syncer.programs, nil
	}
	spec, err := loadSyncer()
	if err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	if _, err := setClock(spec); err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	if err := d.table().set(spec); err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	maps := d.share(spec)
	delete(maps, "scratch") // where the kernel lets packets interrupt it, they need theirs
	var parts syncerParts
	if err := spec.LoadAndAssign(&parts, &ebpf.CollectionOptions{MapReplacements: maps}); err != nil {
		return nil, loadError("sync", err)
	}
	d.syncer.programs = &parts
	return &parts, nil
}

// Changes calls yield for each connection that is served here and has begun, or changed, since it was told; until it
// returns false. The one with which it stopped is told again by the next call, which goes on there, so nothing is lost.
func (d *Dataplane) Changes(ctx context.Context, yield func(model.Record) bool) error {
	read, err := d.newsReader()
	if err != nil {
		return err
	}
	s := &d.syncer
	s.changesMu.Lock()
	defer s.changesMu.Unlock()
	buckets := d.table().buckets
	for walked := uint32(0); walked < buckets; {
		if !s.hand(read, yield) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		found, n, err := d.collect(syncerCollectsCOLLECTS_NEWS, s.next, nil)
		if err != nil {
			return err
		}
		s.left = found
		s.next = (s.next + n) % buckets
		walked += n
	}
	s.hand(read, yield)
	return nil
}

// hand hands on what was collected; false: somebody has enough.
func (s *syncer) hand(read func(pathConn) (model.Record, bool), yield func(model.Record) bool) bool {
	for i, e := range s.left {
		if r, ok := read(e); ok && !yield(r) {
			s.left = s.left[i:]
			return false
		}
	}
	s.left = nil
	return true
}

// Slices calls yield for each connection of some slices, or, nil, of all; until it returns false. What is news stays news.
func (d *Dataplane) Slices(ctx context.Context, wanted *[model.Slices]bool, yield func(model.Record) bool) error {
	read, err := d.recorder()
	if err != nil {
		return err
	}
	if wanted == nil {
		wanted = everySlice()
	}
	for first := uint32(0); first < d.table().buckets; {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, n, err := d.collect(syncerCollectsCOLLECTS_WANTED, first, wanted)
		if err != nil {
			return err
		}
		for _, e := range found {
			if r, ok := read(e); ok && !yield(r) {
				return nil
			}
		}
		first += n
	}
	return nil
}

func everySlice() *[model.Slices]bool {
	var all [model.Slices]bool
	for i := range all {
		all[i] = true
	}
	return &all
}

// lookedAt are the buckets that sync reads in one run, which ends nothing.
const lookedAt = 1024

// collect copies entries out, from a bucket on, and says how many buckets it has walked through.
func (d *Dataplane) collect(what syncerCollects, first uint32, wanted *[model.Slices]bool) ([]pathConn, uint32, error) {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	p, err := d.syncParts()
	if err != nil {
		return nil, 0, err
	}
	if err := p.want(wanted); err != nil {
		return nil, 0, err
	}
	c := syncerCollectSlice{First: first, Buckets: min(lookedAt, d.table().buckets-first), What: uint32(what)}
	if _, err := p.Collect.Run(&ebpf.RunOptions{Context: &c, ContextOut: &c}); err != nil {
		return nil, 0, fmt.Errorf("collect connections: %w", err)
	}
	found, err := readFirst[pathConn](p.Collected, c.Count)
	if err != nil {
		return nil, 0, fmt.Errorf("read collected connections: %w", err)
	}
	return found, c.Walked, nil
}

// want writes down which slices are; nil: nobody asks.
func (p *syncerParts) want(wanted *[model.Slices]bool) error {
	if wanted == nil {
		return nil
	}
	var values [model.Slices]uint32
	for i, is := range wanted {
		if is {
			values[i] = 1
		}
	}
	return putFirst(p.Wanted, values[:])
}

// recorder makes records of entries; false: their server is gone.
func (d *Dataplane) recorder() (func(pathConn) (model.Record, bool), error) {
	read, err := d.reader()
	if err != nil {
		return nil, err
	}
	return func(e pathConn) (model.Record, bool) {
		c, w := read(e), word(e.Word)
		closes := c.Protocol != model.UDP // there the flag says that an answer has come, which is no news
		return model.Record{
			Protocol: c.Protocol, Client: c.Client, Virtual: c.Virtual, Server: c.Server, Forwarding: c.Forwarding,
			State:        c.State,
			ClientClosed: closes && w.has(pathConnFlagCONN_FIN_CLIENT),
			ServerClosed: closes && w.has(pathConnFlagCONN_FIN_SERVER),
			Settled:      w.has(pathConnFlagCONN_SETTLED),
			Persistent:   w.has(pathConnFlagCONN_PERSISTENT),
			Left:         c.Expires,
		}, c.Server.IsValid()
	}, nil
}

// newsReader reads the servers again where it meets one that it does not know: what was collected had one just now.
func (d *Dataplane) newsReader() (func(pathConn) (model.Record, bool), error) {
	read, err := d.recorder()
	return func(e pathConn) (model.Record, bool) {
		r, ok := read(e)
		if ok {
			return r, true
		}
		again, err := d.recorder()
		if err != nil {
			return r, false
		}
		read = again
		return read(e)
	}, err
}

// Digests are the sums of the digests of all connections that last (model.Record), by slice, but for those that are
// served here and were not told yet. Two directors that have the same ones know the same. All of the walk is under the
// lock: of what is told or taken in meanwhile a part would count, and sums of two that know the same would differ.
func (d *Dataplane) Digests() (out [model.Slices]uint64, err error) {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	p, err := d.syncParts()
	if err != nil {
		return out, err
	}
	if err := putFirst(p.Digests, out[:]); err != nil {
		return out, err
	}
	buckets := d.table().buckets
	for first := uint32(0); first < buckets; first += lookedAt {
		s := syncerDigestSlice{First: first, Buckets: min(lookedAt, buckets-first)}
		if _, err := p.Digest.Run(&ebpf.RunOptions{Context: &s}); err != nil {
			return out, fmt.Errorf("digest connections: %w", err)
		}
	}
	sums, err := readFirst[uint64](p.Digests, model.Slices)
	if err != nil {
		return out, fmt.Errorf("read digests: %w", err)
	}
	return [model.Slices]uint64(sums), nil
}

// TellEnds has each connection that lasts, is served here and ends by its time, and each that is killed, told to hear,
// which must not wait; nil: to nobody.
func (d *Dataplane) TellEnds(hear func([]model.Identity)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.endsHeard = hear
}

// Hold says whether what lasts, and is not served here, stays until another director says that it ended. Once this one
// serves it, or holds it no more, its time begins anew.
func (d *Dataplane) Hold(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holds = on
}

// identityOf is what an entry is about.
func identityOf(f pathFlow) model.Identity {
	return model.Identity{
		Protocol: model.Protocol(f.Protocol) &^ model.Protocol(pathLimitTEMPLATE_MARK),
		Client:   addrPort(f.Source, f.SourcePort),
		Virtual:  addrPort(f.Destination, f.DestinationPort),
		Template: f.Protocol&uint8(pathLimitTEMPLATE_MARK) != 0,
	}
}
