// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	dumpTries = 30
	dumpPause = 5 * time.Millisecond // times the number of tries so far
)

// dump repeats a reading that the kernel interrupted because what it lists changed meanwhile.
// netlink reports that since v1.3.0; until then such lists were silently incomplete.
func dump[T any](read func() ([]T, error)) ([]T, error) {
	for try := 1; ; try++ {
		list, err := read()
		if !errors.Is(err, netlink.ErrDumpInterrupted) || try == dumpTries {
			return list, err
		}
		time.Sleep(time.Duration(try) * dumpPause)
	}
}

func dumpLinks(handle *netlink.Handle) ([]netlink.Link, error) {
	return dump(handle.LinkList)
}

func dumpAddrs(handle *netlink.Handle) ([]netlink.Addr, error) {
	return dump(func() ([]netlink.Addr, error) { return handle.AddrList(nil, netlink.FAMILY_ALL) })
}

func dumpNeighbours(handle *netlink.Handle) ([]netlink.Neigh, error) {
	var out []netlink.Neigh
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := dump(func() ([]netlink.Neigh, error) { return handle.NeighList(0, family) })
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}
