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
			Address:  e.ServiceKey.Where(),
			Protocol: e.ServiceKey.Protocol.String(),
			Reason:   e.Reason,
			Since:    e.Since,
		}
		if e.Server != (model.ServerKey{}) {
			one.Server = e.Server.String()
		}
		out = append(out, one)
	}
	return out
}
