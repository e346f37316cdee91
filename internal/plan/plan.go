// SPDX-License-Identifier: Apache-2.0

// Package plan is the policy on the way down: Make turns what is wanted (Spec) and what was seen
// into what the kernel shall hold (Desired). It is pure; it reads no file, no clock and no kernel.
// Read this file first, then interfaces.go (and vlan.go), servers.go (and pathmtu.go), and problems.go.
package plan

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Make returns what should be, and when that may change although nothing else happens; the zero
// time means never.
func Make(spec model.Spec, seen model.Seen, now time.Time) (model.Desired, time.Time) {
	network := seen.Network
	interfaces := interfaces(spec, network)
	desired := model.Desired{
		Address: model.AddressWant{
			VIPs:       vips(spec, network),
			Neighbours: neighbours(spec, network),
			Forward4:   forward(spec, interfaces, is4),
			Forward6:   forward(spec, interfaces, is6),
			RxVLANOff:  rxVLANOff(interfaces),
		},
		Dataplane: model.DataplaneWant{
			Revision:   spec.Revision,
			Interfaces: interfaces,
			Services:   services(spec, network),
		},
		Problems: problems(spec, network),
	}
	narrow(desired.Dataplane.Services, seen, now)
	return desired, nextForgotten(seen, now)
}
