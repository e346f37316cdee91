// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// programOn is the id of the XDP program on an interface; 0: none. A program that was attached
// without a BPF link is seen by netlink alone.
func programOn(index int) (uint32, error) {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return 0, fmt.Errorf("interface %d: %w", index, err)
	}
	if xdp := l.Attrs().Xdp; xdp != nil && xdp.Attached {
		return xdp.ProgId, nil
	}
	return 0, nil
}
