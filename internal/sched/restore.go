// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
)

// Memory is what schedulers remember of a service between two connections, as it lies in the path's maps.
// Each looks at its own.
type Memory struct {
	Turn uint64 // rr: how many turns there were
	WRR  WRR
	Near map[netip.Addr][]model.ServerKey // lblc: the server of an address; lblcr: its set, who joined last first
}

// WRR is where wrr stands.
type WRR struct {
	Version   uint32 // of the table to which the index belongs
	Index     int    // of the last pick, from 1; 0: before the first
	Threshold uint32 // IPVS's cw; 0: it never picked
}

// Restore returns the twin of s as it is after what m remembers.
func Restore(s model.Scheduler, flags model.SchedulerFlags, m Memory) Twin {
	switch s {
	case model.RR:
		return &rr{position: m.Turn}
	case model.WRR:
		return &wrr{version: m.WRR.Version, index: head + m.WRR.Index, threshold: m.WRR.Threshold}
	case model.LBLC:
		servers := map[netip.Addr]model.ServerKey{}
		for address, near := range m.Near {
			servers[address] = near[0]
		}
		return &lblc{servers: servers}
	case model.LBLCR:
		sets := map[netip.Addr][]model.ServerKey{}
		for address, near := range m.Near {
			sets[address] = near
		}
		return &lblcr{sets: sets}
	}
	return NewTwin(s, flags)
}
