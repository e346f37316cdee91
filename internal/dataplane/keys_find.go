// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// serviceOf is service_find of bpf/service.h; nil: there is none.
func (d *Dataplane) serviceOf(f model.Flow) (*pathService, error) {
	found, err := d.serviceAt(f.Virtual.Addr(), f)
	if found != nil || err != nil {
		return found, err
	}
	ours, err := d.isHost(f.Virtual.Addr(), pathHostHOST_OURS|pathHostHOST_SERVER)
	if ours || err != nil {
		return nil, err
	}
	servers, err := d.isHost(f.Client.Addr(), pathHostHOST_SERVER)
	if servers || err != nil {
		return nil, err
	}
	return d.serviceAt(model.AnyDestination(f.Virtual.Addr()), f)
}

// serviceAt is the one that an address has for the port of a flow: of this port, of a range, of all ports.
func (d *Dataplane) serviceAt(address netip.Addr, f model.Flow) (*pathService, error) {
	var out pathService
	port, protocol := f.Virtual.Port(), f.Protocol
	single := toServiceKey(model.ServiceKey{Address: address, Port: port, Protocol: protocol})
	part := pathRangeKey{Bits: rangeBits + 16, Address: toAddr(address), Protocol: uint8(protocol), Port: toPort(port)}
	all := toServiceKey(model.ServiceKey{Address: address, Port: model.AnyPort, Protocol: protocol})
	for _, lookup := range []func() error{
		func() error { return d.path.Services.Lookup(&single, &out) },
		func() error { return d.path.Ranges.Lookup(&part, &out) },
		func() error { return d.path.Services.Lookup(&all, &out) },
	} {
		err := lookup()
		if err == nil {
			return &out, nil
		}
		if !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("read services: %w", err)
		}
	}
	return nil, nil
}

// isHost is host_is of bpf/service.h.
func (d *Dataplane) isHost(address netip.Addr, what pathHost) (bool, error) {
	var is uint32
	key := toAddr(address)
	err := d.path.Hosts.Lookup(&key, &is)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read hosts: %w", err)
	}
	return pathHost(is)&what != 0, nil
}

// at are the services that have an address, whatever the port, by the keys by which they are known.
func (k keys) at(address pathAddr) (out []model.ServiceKey) {
	for key, value := range k.single {
		if key.Address == address {
			out = append(out, firstKey(value))
		}
	}
	for key, value := range k.parts {
		if key.Address == address {
			out = append(out, firstKey(value))
		}
	}
	slices.SortFunc(out, model.ServiceKey.Compare)
	return slices.Compact(out)
}
