// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"maps"

	"github.com/weir-lb/weir/internal/connsync/ipvs"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// shareWithLVS has directors of LVS spoken with as it is wanted.
func (d *daemon) shareWithLVS(sync model.SyncWant) {
	want := lvsWant(sync)
	if want.Send {
		d.peers.Also(d.lvs.Tell)
	} else {
		d.peers.Also(nil)
	}
	d.lvs.Follow(want)
}

// lvsWant is nobody where there is a fault.
func lvsWant(sync model.SyncWant) ipvs.Want {
	of := sync.IPVS
	if of.Interface == "" || sync.IPVSFault != "" {
		return ipvs.Want{}
	}
	return ipvs.Want{Send: of.Send, Receive: of.Receive, Link: sync.IPVSLink,
		Config: ipvs.Config{Interface: of.Interface, Group: of.Group, SyncID: of.ID, Most: of.Size, Hops: int(of.TTL), From: of.From}}
}

// lvsFault is what keeps directors of LVS from being spoken with, although the plan knows of no reason.
func (d *daemon) lvsFault(fault string) {
	d.tell(func(s *model.Seen) { s.Sync.IPVSFault = fault })
}

// marksOf are no marks: the configuration has none, so directors of LVS know each service by its address. What is known
// of it here says whether it is told of.
func marksOf(services []model.ServiceWant) ipvs.Marks {
	var out []ipvs.Service
	for _, s := range services {
		out = append(out, ipvs.Service{Keys: s.Keys(), Persistent: s.Persistence != model.Persistence{}, Idle: !s.Serving})
	}
	return ipvs.NewMarks(out)
}

func fromIPVS(c ipvs.Counts) report.SyncCounts {
	return report.SyncCounts{Sent: c.Sent, Unsent: c.Unsent, Received: c.Heard, Lost: c.Overrun, Refused: named(c.Refused),
		Dropped: c.Dropped, Rejected: maps.Clone(c.Rejected)}
}
