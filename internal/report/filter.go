// SPDX-License-Identifier: Apache-2.0

package report

import (
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
)

// Filter says which connections are meant; what is not set is met by any.
type Filter struct {
	Protocol model.Protocol
	State    string
	Client   netip.Prefix
	Server   model.ServerKey // AnyPort: whatever port it has
	Service  func(Connection) bool
}

// Matches tells whether a connection is meant.
func (f Filter) Matches(c Connection) bool {
	return (f.Protocol == 0 || f.Protocol == c.Protocol) &&
		(f.State == "" || f.State == c.State) &&
		(!f.Client.IsValid() || f.Client.Contains(c.Client.Addr())) &&
		(!f.Server.Address.IsValid() || f.Server.Address == c.Server.Addr()) &&
		(f.Server.Port == model.AnyPort || f.Server.Port == c.Server.Port()) &&
		(f.Service == nil || f.Service(c))
}

// Owners are the names of services by their keys, to find the services of many connections.
type Owners map[model.ServiceKey]string

// Owners are those of this moment.
func (s Snapshot) Owners() Owners {
	out := Owners{}
	for _, service := range s.Services {
		out[service.Key] = service.Name
	}
	return out
}

// Of finds the service that a connection belongs to: the one of its very port before the one of all
// ports, as the path looks it up. It is false when there is none any more.
func (o Owners) Of(c Connection) (model.ServiceKey, bool) {
	key := model.ServiceKey{Address: c.Virtual.Addr(), Port: c.Virtual.Port(), Protocol: c.Protocol}
	if _, found := o[key]; found {
		return key, true
	}
	key.Port = model.AnyPort
	if _, found := o[key]; found {
		return key, true
	}
	if c.State != model.Template {
		return key, false
	}
	key.Port = model.FTP // the only service of one port whose templates are for all
	_, found := o[key]
	return key, found
}
