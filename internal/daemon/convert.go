// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/notify"
	"github.com/weir-lb/weir/internal/report"
)

// fromCounters turns what the maps counted into what a report is made of.
func fromCounters(c dataplane.Counters) (map[model.ServiceKey]report.Counts, map[model.ServiceServer]report.ServerReading) {
	services := map[model.ServiceKey]report.Counts{}
	for key, counts := range c.Services {
		services[key] = report.Counts(counts)
	}
	servers := map[model.ServiceServer]report.ServerReading{}
	for key, s := range c.Servers {
		servers[model.ServiceServer(key)] = report.ServerReading{
			Active: s.Active, Inactive: s.Inactive, HalfOpen: s.HalfOpen, Persistent: s.Persistent, Full: s.Full,
			Counts: report.Counts(s.Counts),
		}
	}
	return services, servers
}

// fromCounted is what fromSigns is, with how many connections have begun.
func fromCounted(c dataplane.Counters) map[model.ServiceServer]model.Sign {
	read := map[model.ServiceServer]dataplane.Signs{}
	for key, s := range c.Servers {
		read[key] = s.Signs
	}
	out := fromSigns(read)
	for key, sign := range out {
		sign.Begun = c.Servers[key].Connections
		out[key] = sign
	}
	return out
}

// fromSigns is what became of connections whose beginning the path can see answered, which UDP's is not. Where a service
// has many ports, clients may ask for any that nobody listens at, and a refusal is no sign.
func fromSigns(read map[model.ServiceServer]dataplane.Signs) map[model.ServiceServer]model.Sign {
	out := map[model.ServiceServer]model.Sign{}
	for key, s := range read {
		if key.Service.Protocol != model.UDP && !key.Service.HasManyPorts() {
			out[key] = model.Sign{Answered: s.Answered, Refused: s.Refused, Row: s.Row}
		}
	}
	return out
}

func fromNotices(counts []notify.Count) []report.NoticeCount {
	var out []report.NoticeCount
	for _, c := range counts {
		out = append(out, report.NoticeCount(c))
	}
	return out
}
