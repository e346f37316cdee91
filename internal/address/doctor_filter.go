// SPDX-License-Identifier: Apache-2.0

package address

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

var (
	// ErrUntried means that it is not known what the kernel has.
	ErrUntried = errors.New("not tried")
	// ErrNoFilter means that the kernel has not what the filter of checks is made of.
	ErrNoFilter = errors.New("the kernel has no filter for checks")
)

// FilterPriority is that of the filter of checks. Those of others with a smaller number come before it.
const FilterPriority = filterPriority

// TryFilter puts a program where that of checks is put, in a network namespace of its own, and says what the kernel
// has not. The namespace goes with the thread that made it: it is never unlocked.
func TryFilter(program model.Program) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("%w: network namespace: %w", ErrUntried, err)
			return
		}
		result <- tryFilter(program)
	}()
	return <-result
}

func tryFilter(program model.Program) error {
	const lo = 1 // in every new namespace
	handle, err := open()
	if err != nil {
		return err
	}
	defer handle.Close()
	if err := handle.QdiscAdd(clsact(lo)); err != nil {
		return fmt.Errorf("%w: add clsact: %w", ErrNoFilter, err)
	}
	if err := handle.FilterReplace(filter(lo, program.FD)); err != nil {
		return fmt.Errorf("%w: filter on clsact: %w", ErrNoFilter, err)
	}
	return nil
}

// addFilters notes what others have done on interfaces where the filter of checks may have to be.
func addFilters(handle *netlink.Handle, devices map[int]Device) error {
	qdiscs, err := dump(func() ([]netlink.Qdisc, error) { return handle.QdiscList(nil) })
	if err != nil {
		return fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range qdiscs {
		index := q.Attrs().LinkIndex
		d, ok := devices[index]
		switch {
		case !ok:
			continue
		case q.Type() == "ingress":
			d.Ingress = true
		case q.Type() == "clsact":
			if d.Before, err = filterBefore(handle, index); err != nil {
				return fmt.Errorf("%s: %w", d.Name, err)
			}
		}
		devices[index] = d
	}
	return nil
}

// filterBefore names somebody else's filter that sees what leaves before that of checks does; "": there is none.
func filterBefore(handle *netlink.Handle, index int) (string, error) {
	list, err := dump(func() ([]netlink.Filter, error) {
		return handle.FilterList(linkOf(index), netlink.HANDLE_MIN_EGRESS)
	})
	if errors.Is(err, unix.ENODEV) || len(list) == 0 && err == nil {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list filters: %w", err)
	}
	first := slices.MinFunc(list, func(a, b netlink.Filter) int { return cmp.Compare(a.Attrs().Priority, b.Attrs().Priority) })
	if first.Attrs().Priority >= filterPriority {
		return "", nil
	}
	return fmt.Sprintf("%s, pref %d", first.Type(), first.Attrs().Priority), nil
}
