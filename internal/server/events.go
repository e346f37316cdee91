// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

func events(in report.Snapshot) []api.Event {
	out := []api.Event{}
	for _, e := range in.Events {
		one := api.Event{
			Time:     e.Time,
			Kind:     string(e.Kind),
			Severity: e.Severity().String(),
			Service:  e.Service,
			Reason:   e.Reason,
			Since:    e.Since,
			Router:   e.Router,
			Priority: e.Priority,
			Group:    e.Group,
		}
		if e.IsOfService() {
			one.Address, one.Protocol = e.ServiceKey.Where(), e.ServiceKey.Protocol.String()
		}
		if e.Peer.IsValid() {
			one.Peer = e.Peer.String()
		}
		if e.Was != model.VRRPInit {
			one.Was = e.Was.String()
		}
		if e.Server != (model.ServerKey{}) {
			one.Server = e.Server.String()
		}
		out = append(out, one)
	}
	return out
}
