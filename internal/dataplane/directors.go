// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"net"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// localServer is the server of a service that is this host, whatever its weight: who sends to it has seen to that.
func localServer(w model.ServiceWant) (model.ServerWant, bool) {
	i := slices.IndexFunc(w.Servers, func(s model.ServerWant) bool { return s.Local && s.Leaving == 0 })
	if i < 0 {
		return model.ServerWant{}, false
	}
	return w.Servers[i], true
}

// mayBeDirector: what comes from this server to its service comes from another director: it holds the service's
// address. Behind a router nobody knows its MAC.
func mayBeDirector(w model.ServerWant) bool {
	return w.Forwarding == model.DR && !w.Local && w.MAC != (model.MAC{}) && w.Next == w.Key.Address
}

// applyDirectors tells the path from whom other directors' packets come, and who of its services is this host.
func (d *Dataplane) applyDirectors(wants []model.ServiceWant) error {
	directors := map[pathDirectorKey]uint64{}
	for _, want := range wants {
		service, local := d.tables.services[want.Key], d.hereOf(want)
		for _, server := range want.Servers {
			if local != 0 && mayBeDirector(server) {
				directors[pathDirectorKey{Service: service.value.Id, Mac: server.MAC}] = local
			}
		}
	}
	err := applyMap(d.path.Directors, d.tables.directors, directors, func(k pathDirectorKey) string { return net.HardwareAddr(k.Mac[:]).String() })
	if err != nil {
		return fmt.Errorf("director %w", err)
	}
	return nil
}

// hereOf is the number by which the path finds the server that is this host; 0: there is none in the maps.
func (d *Dataplane) hereOf(want model.ServiceWant) uint64 {
	local, ok := localServer(want)
	service := d.tables.services[want.Key]
	if !ok || service == nil || service.servers[local.Key] == nil {
		return 0
	}
	server := service.servers[local.Key]
	return uint64(server.value.Generation)<<32 | uint64(server.id)
}
