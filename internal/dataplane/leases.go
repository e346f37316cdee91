// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// leases are what the maps know of virtual routers: each has a number, by which its lease is found. Who renews one
// waits for nothing but one write into a map: the lock is never held longer, however much Apply has to do.
type leases struct {
	mu      sync.Mutex
	numbers map[string]uint32        // changed by Recall and Apply; nil: those of an earlier daemon are not read yet
	until   map[string]time.Duration // since boot; of routers too whose addresses are not in the maps yet

	held addressCounts // address → number; Apply's alone; nil: not read
}

// Renew says that this director is master of a virtual router, and that its addresses are here for so long. Once
// that is over the path answers nobody who asks where they are; a daemon that is dead or hangs need do nothing for it.
func (d *Dataplane) Renew(router string, holds time.Duration) error {
	now, err := sinceBoot()
	if err != nil {
		return err
	}
	return d.lease(router, now+holds)
}

// Release says that the addresses of a virtual router are elsewhere.
func (d *Dataplane) Release(router string) error { return d.lease(router, 0) }

func (d *Dataplane) lease(router string, until time.Duration) error {
	d.leases.mu.Lock()
	defer d.leases.mu.Unlock()
	if d.leases.until == nil {
		d.leases.until = map[string]time.Duration{}
	}
	d.leases.until[router] = until
	if number := d.leases.numbers[router]; number != 0 {
		return d.putLease(router, number, until)
	}
	return nil
}

func (d *Dataplane) putLease(router string, number uint32, until time.Duration) error {
	if err := d.path.Leases.Put(number, uint64(until)); err != nil {
		return fmt.Errorf("lease of %s: %w", router, err)
	}
	return nil
}

// Recall gives virtual routers the numbers that they had with an earlier daemon, so that a master's word reaches the
// path before the first Apply. What that daemon has left holds until it is renewed.
func (d *Dataplane) Recall(routers map[model.Addr]string) error {
	if err := d.readLeased(); err != nil {
		return err
	}
	numbers, used := map[string]uint32{}, map[uint32]bool{}
	for address, router := range routers {
		number := d.leases.held[toAddr(address)]
		if number != 0 && numbers[router] == 0 && !used[number] {
			numbers[router], used[number] = number, true
		}
	}
	return d.putNumbers(numbers, func(router string) bool {
		_, said := d.leases.until[router]
		return said
	})
}

// readLeased reads which address has which number.
func (d *Dataplane) readLeased() error {
	held, err := readAddresses(d.path.Leased)
	if err != nil {
		return fmt.Errorf("read leased: %w", err)
	}
	d.leases.held = held
	return nil
}

// knowLeases reads again what is not known. Numbers that are known are kept: a master's lease stands by its number,
// whichever of its addresses are in the map.
func (d *Dataplane) knowLeases(want map[model.Addr]string) error {
	switch {
	case d.leases.numbers == nil:
		return d.Recall(want)
	case d.leases.held == nil:
		return d.readLeased()
	}
	return nil
}

// applyLeases makes the addresses that have a lease those that are wanted. A number that another router had is over first.
func (d *Dataplane) applyLeases(want map[model.Addr]string) error {
	if err := d.knowLeases(want); err != nil {
		return err
	}
	numbers, err := d.leases.number(want)
	if err != nil {
		return err
	}
	fresh := func(router string) bool { return d.leases.numbers[router] == 0 }
	if err := d.putNumbers(numbers, fresh); err != nil {
		return err
	}
	addresses := addressCounts{}
	for address, router := range want {
		addresses[toAddr(address)] = numbers[router]
	}
	if err := applyAddresses(d.path.Leased, d.leases.held, addresses); err != nil {
		d.leases.held = nil // what was remembered of the map may be wrong
		return fmt.Errorf("lease of %w", err)
	}
	return nil
}

// number gives each virtual router a number of its own, which it keeps as long as it is wanted.
func (l *leases) number(want map[model.Addr]string) (map[string]uint32, error) {
	numbers, used := map[string]uint32{}, map[uint32]bool{}
	for _, router := range want {
		if number := l.numbers[router]; number != 0 {
			numbers[router], used[number] = number, true
		}
	}
	for _, router := range slices.Sorted(maps.Values(want)) {
		if numbers[router] != 0 {
			continue
		}
		number, err := freeNumber(used)
		if err != nil {
			return nil, err
		}
		numbers[router], used[number] = number, true
	}
	return numbers, nil
}

// putNumbers makes these the numbers of the virtual routers, and of the leases of some what was said until now.
func (d *Dataplane) putNumbers(numbers map[string]uint32, some func(router string) bool) error {
	now, err := sinceBoot()
	if err != nil {
		return err
	}
	l := &d.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	for router, number := range numbers {
		if !some(router) {
			continue
		}
		if err := d.putLease(router, number, l.until[router]); err != nil {
			return err
		}
	}
	// Who is no more wanted is forgotten; who is master before its addresses are wanted is not, while its lease holds.
	maps.DeleteFunc(l.until, func(router string, until time.Duration) bool {
		return numbers[router] == 0 && (l.numbers[router] != 0 || until <= now)
	})
	l.numbers = numbers
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

// Leased says whether the lease of an address holds, that of an earlier daemon for example.
func (d *Dataplane) Leased(address model.Addr) (bool, error) {
	var number uint32
	key := toAddr(address)
	if err := ignoreMissing(d.path.Leased.Lookup(&key, &number)); err != nil || number == 0 {
		return false, err
	}
	var until uint64
	if err := d.path.Leases.Lookup(number, &until); err != nil {
		return false, fmt.Errorf("read lease %d: %w", number, err)
	}
	now, err := sinceBoot()
	return time.Duration(until) > now, err
}

// sinceBoot is the path's clock of leases.
func sinceBoot() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
