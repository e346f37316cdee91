// SPDX-License-Identifier: Apache-2.0

package address

import (
	"fmt"

	"github.com/weir-lb/weir/internal/model"
)

// Timer is one of the settings by which the kernel notices that a neighbour changed.
type Timer struct {
	Path string // as in Sysctl
	Have string
	Want string // what a Target sets while it keeps neighbours on that link
}

// Timers compares the neighbour timers of the links that lead to hops with what a Target sets.
func Timers(links []model.Link, hops []model.Hop) ([]Timer, error) {
	var out []Timer
	for _, s := range timers(links, hops) {
		have, err := Sysctl(s.path)
		if err != nil {
			return nil, err
		}
		out = append(out, Timer{Path: s.path, Have: have, Want: s.value})
	}
	return out, nil
}

// CountNeighbours counts what the kernel's tables hold now, by family.
func CountNeighbours() (ipv4, ipv6 int, err error) {
	handle, err := open()
	if err != nil {
		return 0, 0, err
	}
	defer handle.Close()
	list, err := dumpNeighbours(handle)
	if err != nil {
		return 0, 0, fmt.Errorf("list neighbours: %w", err)
	}
	for _, n := range list {
		if n.IP.To4() != nil {
			ipv4++
		} else {
			ipv6++
		}
	}
	return ipv4, ipv6, nil
}
