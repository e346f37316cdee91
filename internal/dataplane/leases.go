// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// leases are what the maps know of virtual routers: each has a number, by which its lease is found.
type leases struct {
	numbers map[string]uint32 // nil: those of an earlier daemon are not read yet
	until   map[string]uint32 // in jiffies; of routers too whose addresses are not in the maps yet
	held    addressCounts     // address → number
}

// Renew says that this director is master of a virtual router, and that its addresses are here for so long. Once
// that is over the path answers nobody who asks where they are; a daemon that is dead or hangs need do nothing for it.
func (d *Dataplane) Renew(router string, holds time.Duration) error {
	until := d.now() + uint32(holds.Seconds()*float64(d.hz)) + 1
	if until == 0 {
		until = 1 // 0 is nobody's
	}
	return d.lease(router, until)
}

// Release says that the addresses of a virtual router are elsewhere.
func (d *Dataplane) Release(router string) error { return d.lease(router, 0) }

func (d *Dataplane) lease(router string, until uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases.until == nil {
		d.leases.until = map[string]uint32{}
	}
	d.leases.until[router] = until
	if number := d.leases.numbers[router]; number != 0 {
		return d.putLease(router, number, until)
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
		if err := d.putLease(router, number, d.leases.until[router]); err != nil {
			return err
		}
		numbers[router], used[number] = number, true
	}
	d.leases.numbers = numbers
	maps.DeleteFunc(d.leases.until, func(router string, _ uint32) bool { return numbers[router] == 0 })
	return nil
}

// Leased says whether the lease of an address holds, that of an earlier daemon for example.
func (d *Dataplane) Leased(address model.Addr) (bool, error) {
	var number, until uint32
	key := toAddr(address)
	if err := ignoreMissing(d.path.Leased.Lookup(&key, &number)); err != nil || number == 0 {
		return false, err
	}
	if err := d.path.Leases.Lookup(number, &until); err != nil {
		return false, fmt.Errorf("read lease %d: %w", number, err)
	}
	return until != 0 && int32(until-d.now()) > 0, nil
}

func freeNumber(used map[uint32]bool) (uint32, error) {
	for number := uint32(1); number < uint32(pathLimitMAX_ROUTERS); number++ {
		if !used[number] {
			return number, nil
		}
	}
	return 0, fmt.Errorf("virtual routers: %w: there are %d already", ErrFull, len(used))
}
