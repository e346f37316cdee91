// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/weir-lb/weir/internal/model"
)

// failedPause is the least time between two attempts at a neighbour that does not answer. The
// kernel gives one up about every five seconds.
const failedPause = 5 * time.Second

// kept is a neighbour that the kernel keeps resolved for us.
type kept struct {
	asked time.Time // when we last asked the kernel again; zero: not yet, so the first failure is not waited for
	again bool      // the kernel gave it up, or could not be asked: ask once more
}

// due says when the kernel is to be asked again; zero: it is at it.
func (k kept) due() time.Time {
	if !k.again {
		return time.Time{}
	}
	return k.asked.Add(failedPause)
}

// applyNeighbours asks the kernel to keep the wanted neighbours, and no longer those that weir
// asked for earlier.
func (t *Target) applyNeighbours(handle *netlink.Handle, hops []model.Hop) error {
	there, err := staticOrManaged(handle)
	if err != nil {
		return err
	}
	wanted := make(map[model.Hop]kept, len(hops))
	var missing []model.Hop
	for _, hop := range hops {
		wanted[hop] = t.neighbours[hop]
		if !there[hop] {
			missing = append(missing, hop)
		}
	}
	t.neighbours = wanted // before any is removed, lest hear takes it for a loss
	return errors.Join(t.addNeighbours(handle, missing), t.removeNeighbours())
}

// staticOrManaged returns the neighbours that need nothing from us: the operator wrote them down,
// or the kernel keeps them resolved already.
func staticOrManaged(handle *netlink.Handle) (map[model.Hop]bool, error) {
	list, err := dumpNeighbours(handle)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	out := map[model.Hop]bool{}
	for _, n := range list {
		hop, ok := toHop(n)
		if ok && (n.State&netlink.NUD_PERMANENT != 0 || n.FlagsExt&netlink.NTF_EXT_MANAGED != 0) {
			out[hop] = true
		}
	}
	return out, nil
}

func (t *Target) addNeighbours(handle *netlink.Handle, hops []model.Hop) error {
	changes := make([]change, len(hops))
	for i, hop := range hops {
		changes[i] = change{Kind: neighbourChange, Index: hop.Link, Address: hop.Address}
	}
	if err := t.journal.record(changes...); err != nil {
		return err
	}
	var errs []error
	for _, hop := range hops {
		errs = append(errs, setNeighbour(handle, hop))
	}
	return errors.Join(errs...)
}

func (t *Target) removeNeighbours() error {
	return t.journal.restore(func(c change) bool {
		_, ok := t.neighbours[model.Hop{Link: c.Index, Address: c.Address}]
		return c.Kind == neighbourChange && !ok
	})
}

// setNeighbour asks the kernel to resolve a neighbour now and to keep it resolved (Linux 5.16).
func setNeighbour(handle *netlink.Handle, hop model.Hop) error {
	err := handle.NeighSet(&netlink.Neigh{
		LinkIndex: hop.Link,
		IP:        hop.Address.AsSlice(),
		FlagsExt:  netlink.NTF_EXT_MANAGED,
	})
	if err != nil {
		return fmt.Errorf("keep neighbour %s on interface %d: %w", hop.Address, hop.Link, err)
	}
	return nil
}

// setDueNeighbours asks again for those that the kernel gave up.
func (t *Target) setDueNeighbours(handle *netlink.Handle, now time.Time) error {
	var errs []error
	for hop, k := range t.neighbours {
		if due := k.due(); !due.IsZero() && !due.After(now) {
			err := setNeighbour(handle, hop)
			t.neighbours[hop] = kept{asked: now, again: err != nil && !isAway(err)} // a link that comes up lets all be asked
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// retryNeighbour: the kernel had no answer and would take half a minute to ask again.
func (t *Target) retryNeighbour(hop model.Hop) {
	if k, ok := t.neighbours[hop]; ok {
		k.again = true
		t.neighbours[hop] = k
	}
}

// resetNeighbours: the kernel lost them, and will not ask again of itself.
func (t *Target) resetNeighbours(match func(model.Hop) bool) {
	for hop := range t.neighbours {
		if match(hop) {
			t.neighbours[hop] = kept{again: true}
		}
	}
}
