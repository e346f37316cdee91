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

// Lists tells whether a connection is meant, and is still one to whoever does not ask otherwise.
func (f Filter) Lists(c Connection) bool {
	return f.Matches(c) && (c.State != model.Kept || f.State == model.Kept)
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
