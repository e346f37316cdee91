// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"net/netip"
)

// VirtualRoute is a route of the master's host. The kernel tells two of them apart by To, Table and Metric.
type VirtualRoute struct {
	To        netip.Prefix
	Via       Addr   // its next hop; zero: who is asked for is on the link
	Interface string // "": that of the virtual router
	Source    Addr   // of what this host itself sends by it; zero: as the kernel chooses
	Metric    uint32 // the lowest of several to one destination is taken; 0: the kernel's own, of IPv6 1024
	Table     uint32
}

// KernelMetric is what it has with the kernel (IP6_RT_PRIO_USER of linux/ipv6_route.h).
func (r VirtualRoute) KernelMetric() uint32 {
	const standard6 = 1024
	if r.Metric == 0 && r.To.Addr().Is6() {
		return standard6
	}
	return r.Metric
}

func (r VirtualRoute) String() string {
	text := routeText(r.To, r.Via, r.Interface, r.Table)
	if r.Source.IsValid() {
		text += " src " + r.Source.String()
	}
	if r.Metric != 0 {
		text += fmt.Sprintf(" metric %d", r.Metric)
	}
	return text
}
