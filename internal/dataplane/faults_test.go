// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// TestFaults is every fault that is nothing but packets. What becomes of them is read from the path
// alone: the twin has no part in it.
func TestFaults(t *testing.T) {
	dataplane.NeedRoot(t)
	faults.Test(t, []faults.Fault{icmpErrors(), wrongChecksums(), brokenHeaders(), rareHeaders(), foreignTags(), udpFlood(), martiansAndLoops(), concurrentChanges()})
}

// trial is a path of which every frame's fate is judged, with talks that nobody had before.
type trial struct {
	*testbed
	table
	t *testing.T
}

// trialRoom is the size of its connection table.
const trialRoom = 65536

// inTrial runs each time in a world of its own.
func inTrial(t *testing.T, try func(*trial) map[string]float64) faults.Run {
	return func() (m faults.Measured, err error) {
		whole := t.Run("run", func(t *testing.T) {
			tr := &trial{testbed: newTestbed(t, trialRoom), t: t}
			tr.apply(t, world())
			m.Figures = try(tr)
		})
		if !whole {
			return m, errors.New("the run failed")
		}
		return m, nil
	}
}

// Actions of enum xdp_action by which a frame goes on.
const (
	xdpTX       = 3
	xdpRedirect = 4
)

// send returns a frame as it was sent on, nil if it was not.
func (tr *trial) send(ifindex int, frame []byte) []byte {
	tr.t.Helper()
	var action uint32
	var out []byte
	var err error
	tr.do(func() { action, out, err = tr.path.Send(bytes.Clone(frame), ifindex) })
	if err != nil {
		tr.t.Fatalf("%d bytes on link %d: %v", len(frame), ifindex, err)
	}
	if action != xdpTX && action != xdpRedirect {
		return nil
	}
	return out
}

// ask sends what a client says.
func (tr *trial) ask(layers packet.Layers) []byte { return tr.send(front, packet.Build(layers...)) }

// established begins a connection, and returns with it the frame that its server got first.
func (tr *trial) established(f family, m method, p model.Protocol) (talk, []byte) {
	tr.t.Helper()
	c := tr.talk(f, m.host, webPort(p), p)
	first := tr.ask(c.open())
	if first == nil {
		tr.t.Fatalf("%s ipv%d %s: the connection does not begin", m.name, f, p)
	}
	return c, first
}

// entries are all connections, without what time changes.
func (tr *trial) entries() map[dataplane.Connection]bool {
	tr.t.Helper()
	all := map[dataplane.Connection]bool{}
	err := tr.path.Connections(func(c dataplane.Connection) bool {
		c.Expires = 0
		all[c] = true
		return true
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	return all
}

// changedEntries is how many connections came, went or became others.
func changedEntries(before, after map[dataplane.Connection]bool) float64 {
	n := 0
	for c := range before {
		if !after[c] {
			n++
		}
	}
	for c := range after {
		if !before[c] {
			n++
		}
	}
	return float64(n)
}

// percent is how many of all; none at all would say nothing.
func (tr *trial) percent(n, of int) float64 {
	if of == 0 {
		tr.t.Fatal("nothing was tried")
	}
	return 100 * float64(n) / float64(of)
}

// byForwarding are the ways of one method.
func byForwarding(f model.Forwarding) []method {
	var out []method
	for _, m := range methods {
		if m.forwarding == f {
			out = append(out, m)
		}
	}
	return out
}

// all is a part that must be whole.
func all(name string) faults.Part {
	return faults.Part{Name: name, Unit: "%", Bar: 100, AtLeast: true}
}

// none is a part that must not happen.
func none(name, unit string) faults.Part { return faults.Part{Name: name, Unit: unit} }
