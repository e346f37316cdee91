// SPDX-License-Identifier: Apache-2.0

// Package plan is the policy on the way down: Make turns what is wanted (Spec) and what was seen
// into what the kernel shall hold (Desired). It is pure; it reads no file, no clock and no kernel.
// Read this file first, then interfaces.go (and vlan.go), servers.go (and pool.go, health.go, sorry.go, quorum.go,
// eject.go, slow_start.go, maintenance.go, pathmtu.go, leaving.go), vrrp.go, routes.go, track.go, bfd.go, sync.go, detours.go, claims.go, and problems.go.
package plan

import (
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Make returns what should be, and when that may change although nothing else happens; the zero
// time means never.
func Make(spec model.Spec, seen model.Seen, now time.Time) (model.Desired, time.Time) {
	network, all := seen.Network, WithLeft(spec, seen.Left)
	ways := ways(spec)
	detours := detours(spec, ways, seen, now)
	interfaces := interfaces(all, network)
	resting := resting(all, seen, now)
	pools := pools(all, seen, resting, now)
	standings := standings(all, pools)
	bfd := sessions(spec, network)
	routers, sync := virtualRouters(spec, seen, standings, interfaces, bfd), syncing(spec, network)
	unready, ready := unready(spec, seen, now)
	restrain(routers, unready)
	leased := spec.Leased()
	mastered, handed := handed(spec, mastered(routers, seen.VRRP), seen, now)
	holding, balancing := handover(mastered, seen)
	desired := model.Desired{
		Address: model.AddressWant{
			VIPs:       append(vips(spec, network), routerVIPs(spec, holding)...),
			Routers:    holding,
			Routes:     routerRoutes(spec, holding),
			Closed:     closed(spec),
			Neighbours: neighbours(all, network),
			Forward4:   forward(all, interfaces, is4),
			Forward6:   forward(all, interfaces, is6),
			OwnARP:     ownARP(routers),
			RxVLANOff:  rxVLANOff(interfaces),
			Detours:    detours,
			Aliases:    ranges(spec.Aliases, ways),
		},
		Dataplane: model.DataplaneWant{
			Revision:   spec.Revision,
			Interfaces: interfaces,
			Services:   services(all, pools),
			Routers:    balancing,
			Ceased:     ceased(seen, balancing),
			Own:        own(spec, network),
			Leased:     leased,
			Detours:    detours,
		},
		Standings: standings,
		Ramps:     ofServers(all, pools, func(p pool) map[model.ServerKey]time.Time { return p.ramps }),
		Ejections: ofServers(all, pools, func(p pool) map[model.ServerKey]model.Ejection { return p.ejections }),
		Resting:   resting,
		VRRP:      routers,
		BFD:       bfd,
		Sync:      sync,
		Problems: slices.Concat(problems(spec, network), routerProblems(spec, routers, seen.VRRP, network), routeProblems(seen.Unrouted), bfdProblems(bfd, seen.BFD), syncProblems(sync, seen.Sync),
			claimProblems(spec, seen.Claims), maintenanceProblems(spec, seen.Maintenance)),
	}
	lingering, heard := lingering(seen.Ceased, now)
	retire(desired.Dataplane.Services, leased, balancing, lingering, spec.Sync.IPVS.Interface != "")
	virtualMACs(interfaces, routers, balancing)
	narrow(desired.Dataplane.Services, seen, now)
	dismiss(desired.Dataplane.Services, spec, seen.Left, now)
	next := earlier(earlier(nextForgotten(seen, now), nextDeadline(spec, seen.Left, now)), earlier(ready, nextTold(spec, seen, now)))
	next = earlier(next, handed)
	return desired, earlier(earlier(next, heard), earlier(nextStep(pools), nextMaintenance(spec, now)))
}
