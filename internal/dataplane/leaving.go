// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// Remaining is what a server in the maps has.
type Remaining struct {
	Leaving     bool
	Connections uint64
}

// Remaining says of every server in the maps what it has.
func (d *Dataplane) Remaining() (map[model.ServiceServer]Remaining, error) {
	loads, err := readArray[pathLoad](d.path.Loads)
	if err != nil {
		return nil, fmt.Errorf("read loads: %w", err)
	}
	out := map[model.ServiceServer]Remaining{}
	err = d.eachServer(func(service model.ServiceKey, id uint32, server pathServer) {
		load := loads[id]
		out[model.ServiceServer{Service: service, Server: serverKey(server)}] = Remaining{server.Leaving != 0, load.Active + load.Inactive}
	})
	return out, err
}

// Services are those in the maps with their servers, leaving ones too, as far as the maps tell: without
// names and schedulers. So a daemon knows what another one left behind.
func (d *Dataplane) Services() ([]model.Service, error) {
	var out []model.Service
	at := map[model.ServiceKey]int{}
	err := d.eachServer(func(key model.ServiceKey, _ uint32, server pathServer) {
		if _, known := at[key]; !known {
			at[key] = len(out)
			out = append(out, model.Service{Key: key})
		}
		service := &out[at[key]]
		service.Servers = append(service.Servers, fromServer(server))
	})
	return out, err
}

// eachServer calls visit for each server of a service, by id.
func (d *Dataplane) eachServer(visit func(service model.ServiceKey, id uint32, server pathServer)) error {
	servers, err := d.readServers()
	if err != nil {
		return err
	}
	services, err := d.serviceKeys()
	if err != nil {
		return err
	}
	for id, server := range servers {
		service, ok := services[serviceID{server.Service, server.ServiceGeneration}]
		if ok && server.Generation != 0 {
			visit(service, uint32(id), server)
		}
	}
	return nil
}

// serviceID names a service as its servers' records do.
type serviceID struct{ id, generation uint32 }

// serviceKeys are the services in the maps.
func (d *Dataplane) serviceKeys() (map[serviceID]model.ServiceKey, error) {
	keys, err := d.readKeys()
	if err != nil {
		return nil, err
	}
	services := map[serviceID]model.ServiceKey{}
	for id, value := range keys.services() {
		services[id] = firstKey(value)
	}
	return services, nil
}

func serverKey(s pathServer) model.ServerKey {
	return model.ServerKey{Address: fromAddr(s.Address), Port: fromPort(s.Port)}
}

// fromServer is what toServer was told of a server, but for the way to it.
func fromServer(s pathServer) model.Server {
	out := model.Server{Key: serverKey(s), Forwarding: fromForwarding(pathForwarding(s.Forwarding)), Weight: s.Weight}
	for name, tunnel := range toTunnelType {
		if tunnel == pathTunnel(s.Tunnel) {
			out.Tunnel.Type = name
		}
	}
	out.Tunnel.Port = fromPort(s.TunnelPort)
	out.Tunnel.Checksum = pathTunnelFlag(s.TunnelFlags)&pathTunnelFlagTUNNEL_CHECKSUM != 0
	if s.SourceMask != 0 {
		source := fromAddr(s.Source)
		out.Tunnel.Source = netip.PrefixFrom(source, source.BitLen()-bits.OnesCount32(s.SourceMask))
	}
	return out
}

// withoutStrangers leaves out servers that leave, but never were in the maps: nobody has a connection to
// them, and they must not take a place.
func (t *tables) withoutStrangers(wants []model.ServiceWant) []model.ServiceWant {
	wants = slices.Clone(wants)
	for i := range wants {
		entry := t.services[wants[i].Key]
		wants[i].Servers = slices.DeleteFunc(slices.Clone(wants[i].Servers), func(w model.ServerWant) bool {
			return w.Leaving != 0 && !w.Absent && (entry == nil || entry.servers[w.Key] == nil)
		})
	}
	return wants
}
