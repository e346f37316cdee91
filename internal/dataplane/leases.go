// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// ErrNoRouter means that no address of that virtual router is in the maps.
var ErrNoRouter = errors.New("no address of this virtual router is in the maps")

// leases are what the maps know of virtual routers: each has a number, by which its lease is found.
type leases struct {
	numbers map[string]uint32
	held    addressCounts // address → number
}

// Renew says that this director is master of a virtual router, and that its addresses are here for so long. Once
// that is over the path answers nobody who asks where they are; a daemon that is dead or hangs need do nothing for it.
func (d *Dataplane) Renew(router string, holds time.Duration) error {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	number := d.leases.numbers[router]
	if number == 0 {
		return fmt.Errorf("lease of %s: %w", router, ErrNoRouter)
	}
	until := now + uint32(holds.Seconds()*float64(d.hz)) + 1
	if until == 0 {
		until = 1 // 0 is nobody's
	}
	return d.putLease(router, number, until)
}

// Release says that the addresses of a virtual router are elsewhere.
func (d *Dataplane) Release(router string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if number := d.leases.numbers[router]; number != 0 {
		return d.putLease(router, number, 0)
	}
	return nil
}

func (d *Dataplane) putLease(router string, number, until uint32) error {
	if err := d.path.Leases.Put(number, until); err != nil {
		return fmt.Errorf("lease of %s: %w", router, err)
	}
	return nil
}

// applyLeases makes the addresses that have a lease those that are wanted. A number that another router had is over first.
func (d *Dataplane) applyLeases(want map[model.Addr]string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases.held == nil {
		held, err := readAddresses(d.path.Leased)
		if err != nil {
			return fmt.Errorf("read leased: %w", err)
		}
		d.leases.held = held
	}
	if err := d.numberRouters(want); err != nil {
		return err
	}
	numbers := addressCounts{}
	for address, router := range want {
		numbers[toAddr(address)] = d.leases.numbers[router]
	}
	if err := applyAddresses(d.path.Leased, d.leases.held, numbers); err != nil {
		d.leases.held = nil // what was remembered of the map may be wrong
		return fmt.Errorf("lease of %w", err)
	}
	return nil
}

// numberRouters gives each virtual router a number of its own; it keeps that as long as it is wanted. What an
// earlier daemon has left keeps its number, too, so that its lease holds until it is renewed.
func (d *Dataplane) numberRouters(want map[model.Addr]string) error {
	before, used := d.leases.numbers, map[uint32]bool{}
	numbers := map[string]uint32{}
	for address, router := range want {
		number := before[router]
		if before == nil {
			number = d.leases.held[toAddr(address)]
		}
		if number != 0 && numbers[router] == 0 && !used[number] {
			numbers[router], used[number] = number, true
		}
	}
	for _, router := range slices.Sorted(maps.Values(want)) {
		if numbers[router] != 0 {
			continue
		}
		number, err := freeNumber(used)
		if err != nil {
			return err
		}
		if err := d.putLease(router, number, 0); err != nil {
			return err
		}
		numbers[router], used[number] = number, true
	}
	d.leases.numbers = numbers
	return nil
}

func freeNumber(used map[uint32]bool) (uint32, error) {
	for number := uint32(1); number < uint32(pathLimitMAX_ROUTERS); number++ {
		if !used[number] {
			return number, nil
		}
	}
	return 0, fmt.Errorf("virtual routers: %w: there are %d already", ErrFull, len(used))
}
