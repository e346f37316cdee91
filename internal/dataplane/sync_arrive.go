// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// arriveAttempts is how often a connection is looked at that another CPU has in hand.
const arriveAttempts = 3

// Insert makes what is here as another director told. What is served here already is left alone; what is new is
// taken all the same: after a takeover the last news of the master before may still be under way. What is refused for its
// service or server comes in with that, unless it has ended.
func (d *Dataplane) Insert(records []model.Record) (out model.Arrived, err error) {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	return d.insert(records, time.Now())
}

// insert is Insert; the caller has the lock.
func (d *Dataplane) insert(records []model.Record, now time.Time) (out model.Arrived, err error) {
	dir, err := d.directoryNow()
	if err != nil {
		return out, err
	}
	var all []syncerArrival
	for _, r := range records {
		a, why, err := d.arrival(dir, r)
		if err != nil {
			return out, err
		}
		d.syncer.unbound.note(r, why, now)
		if why != 0 {
			out.Refuse(why)
			continue
		}
		all = append(all, a)
	}
	err = d.arrive(all, func(a syncerArrival) { count(&out, syncerArrived(a.Outcome)) })
	return out, err
}

// End ends connections that another director has forgotten, but for those that are served here.
func (d *Dataplane) End(ids []model.Identity) (out model.Arrived, err error) {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	d.syncer.unbound.forget(ids)
	var all []syncerArrival
	for _, id := range ids {
		var a syncerArrival
		a.setFlow(flowOfIdentity(id))
		all = append(all, a)
	}
	err = d.arrive(all, func(a syncerArrival) { count(&out, syncerArrived(a.Outcome)) })
	return out, err
}

// flowOfIdentity is the key of its entry.
func flowOfIdentity(id model.Identity) pathFlow {
	f := toFlow(model.Flow{Protocol: id.Protocol, Client: id.Client, Virtual: id.Virtual})
	if id.Template {
		f.Protocol |= uint8(pathLimitTEMPLATE_MARK)
	}
	return f
}

func (a *syncerArrival) setFlow(f pathFlow) {
	a.Flow.Source, a.Flow.SourcePort = f.Source, f.SourcePort
	a.Flow.Destination, a.Flow.DestinationPort = f.Destination, f.DestinationPort
	a.Flow.Protocol = f.Protocol
}

func (a *syncerArrival) flow() pathFlow {
	return pathFlow{
		Source: a.Flow.Source, SourcePort: a.Flow.SourcePort,
		Destination: a.Flow.Destination, DestinationPort: a.Flow.DestinationPort, Protocol: a.Flow.Protocol,
	}
}

// arrive hands connections to the program, those again that were in another CPU's hands, and says what became of each.
func (d *Dataplane) arrive(all []syncerArrival, became func(syncerArrival)) error {
	p, err := d.syncParts()
	if err != nil {
		return err
	}
	for attempt := 1; len(all) > 0; attempt++ {
		var busy []syncerArrival
		for some := range slices.Chunk(all, int(pathLimitMAX_ARRIVALS)) {
			if err := p.arriveSome(some); err != nil {
				return err
			}
			for _, a := range some {
				if syncerArrived(a.Outcome) == syncerArrivedARRIVED_BUSY && attempt < arriveAttempts {
					busy = append(busy, a)
				} else {
					became(a)
				}
			}
		}
		all = busy
	}
	return nil
}

// arriveSome writes down what became of each.
func (p *syncerParts) arriveSome(some []syncerArrival) error {
	if err := putFirst(p.Arrivals, some); err != nil {
		return err
	}
	slice := syncerArriveSlice{Count: uint32(len(some))}
	frame := unsafe.Slice((*byte)(unsafe.Pointer(&slice)), unsafe.Sizeof(slice))
	if _, err := p.Arrive.Run(&ebpf.RunOptions{Data: frame}); err != nil {
		return fmt.Errorf("take connections of another director: %w", err)
	}
	became, err := readFirst[syncerArrival](p.Arrivals, slice.Count)
	if err != nil {
		return fmt.Errorf("read what became of connections: %w", err)
	}
	copy(some, became)
	return nil
}

// count counts one by what became of it.
func count(out *model.Arrived, what syncerArrived) {
	switch what {
	case syncerArrivedARRIVED_NEW:
		out.New++
	case syncerArrivedARRIVED_CHANGED:
		out.Changed++
	case syncerArrivedARRIVED_ENDED:
		out.Ended++
	case syncerArrivedARRIVED_UNKNOWN:
		out.Unknown++
	case syncerArrivedARRIVED_OURS:
		out.Ours++
	case syncerArrivedARRIVED_NO_SERVER:
		out.Refuse(model.RefusedServer)
	case syncerArrivedARRIVED_CLASH:
		out.Refuse(model.RefusedClash)
	case syncerArrivedARRIVED_FULL:
		out.Refuse(model.RefusedFull)
	default:
		out.Refuse(model.RefusedBusy)
	}
}
