// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// Owners find the services of many connections.
type Owners struct {
	single map[model.ServiceKey]Owner
	ranges []Owner
}

// Owner is a service, and the key by which a connection is its.
type Owner struct {
	Name string
	Key  model.ServiceKey // by which the service is known
	By   model.ServiceKey // one of its keys
}

// Owners are those of this moment.
func (s Snapshot) Owners() Owners {
	var out Owners
	for _, service := range s.Services {
		out.add(service.Name, service.Keys())
	}
	return out
}

// add takes the keys of a service, the one first by which it is known.
func (o *Owners) add(name string, keys []model.ServiceKey) {
	if o.single == nil {
		o.single = map[model.ServiceKey]Owner{}
	}
	for _, by := range keys {
		owner := Owner{name, keys[0], by}
		if by.IsRange() {
			o.ranges = append(o.ranges, owner)
		} else {
			o.single[by] = owner
		}
	}
}

// All are the services, once for each of their keys.
func (o Owners) All() []Owner {
	return append(slices.Collect(maps.Values(o.single)), o.ranges...)
}

// Of finds the service that a connection belongs to, as the path looks it up: that of its very port before
// that of a range, that before the one of all ports, and these before one of any destination. It is false
// when there is none any more.
func (o Owners) Of(c Connection) (Owner, bool) {
	owner, found := o.at(c.Virtual.Addr(), c)
	if !found {
		owner, found = o.at(model.AnyDestination(c.Virtual.Addr()), c)
	}
	return owner, found
}

func (o Owners) at(address netip.Addr, c Connection) (Owner, bool) {
	key := model.ServiceKey{Address: address, Port: c.Virtual.Port(), Protocol: c.Protocol}
	if owner, found := o.single[key]; found {
		return owner, true
	}
	for _, owner := range o.ranges {
		if owner.By.Address == address && owner.By.Protocol == c.Protocol && owner.By.HasPort(key.Port) {
			return owner, true
		}
	}
	key.Port = model.AnyPort
	if owner, found := o.single[key]; found || c.State != model.Template {
		return owner, found
	}
	key.Port = model.FTP // the only service of one port whose templates are for all
	owner, found := o.single[key]
	return owner, found
}
