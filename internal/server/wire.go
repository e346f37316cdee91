// SPDX-License-Identifier: Apache-2.0

package server

import (
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

func (s *Server) status(in report.Snapshot) api.Status {
	out := api.Status{
		Version:     s.version,
		Revision:    in.Revision,
		Applied:     in.Applied,
		Role:        api.Role(in.Role),
		Interfaces:  []api.Interface{},
		Connections: api.Usage(in.Connections),
		Problems:    []api.Problem{},
	}
	for _, i := range in.Interfaces {
		out.Interfaces = append(out.Interfaces, api.Interface(i))
	}
	for _, p := range in.Problems {
		out.Problems = append(out.Problems, api.Problem(p))
	}
	return out
}

func services(in report.Snapshot) []api.Service {
	out := []api.Service{}
	for _, s := range in.Services {
		out = append(out, api.Service{
			Name:      s.Name,
			Address:   s.Key.Where(),
			Addresses: addresses(s),
			Protocol:  s.Key.Protocol.String(),
			Scheduler: s.Scheduler.String(),
			MSS:       s.MSS,
			Servers:   s.Servers,
			Up:        s.Up,
			Sorry:     s.Sorry,
			Active:    s.Active,
			Inactive:  s.Inactive,
			Traffic:   traffic(s.Counts, s.Rates, s.Answers),
		})
	}
	return out
}

// addresses are all of a service that has more than one.
func addresses(s report.Service) (out []string) {
	if len(s.Also) == 0 {
		return nil
	}
	for _, key := range s.Keys() {
		out = append(out, key.Where()+"/"+key.Protocol.String())
	}
	return out
}

func servers(in report.Snapshot) []api.Server {
	out := []api.Server{}
	for _, s := range in.Servers {
		out = append(out, api.Server{
			Service:    s.Service,
			LentBy:     s.LentBy,
			Address:    s.Key.String(),
			Forwarding: forwarding(s),
			Tunnel:     tunnel(s),
			Weight:     s.Weight,
			Effective:  s.Effective,
			Active:     s.Reading.Active,
			Inactive:   s.Reading.Inactive,
			HalfOpen:   s.Reading.HalfOpen,
			Persistent: s.Reading.Persistent,
			State:      string(s.State),
			Reason:     s.Reason,
			Traffic:    traffic(s.Reading.Counts, s.Rates, s.Answers()),
		})
	}
	return out
}

// forwarding is "local" for the host's own addresses, as LVS lists them, whatever was configured.
func forwarding(s report.Server) string {
	if s.Local {
		return "local"
	}
	return s.Forwarding.String()
}

// tunnel is nil where packets go without one.
func tunnel(s report.Server) *api.Tunnel {
	if s.Local || s.Forwarding != model.TUN {
		return nil
	}
	out := &api.Tunnel{Type: s.Tunnel.Type.String(), Port: s.Tunnel.Port, Checksum: s.Tunnel.Checksum}
	if s.Tunnel.Source.IsValid() {
		out.Source = s.Tunnel.Source.String()
	}
	return out
}

// traffic leaves out what cannot be known: answers that do not pass here are not counted as none.
func traffic(c report.Counts, r *report.Rates, answers bool) api.Traffic {
	out := api.Traffic{Connections: c.Connections, PacketsIn: c.PacketsIn, BytesIn: c.BytesIn}
	if r != nil {
		out.Rates = &api.Rates{Connections: r.Connections, PacketsIn: r.PacketsIn, BytesIn: r.BytesIn}
	}
	if !answers {
		return out
	}
	out.PacketsOut, out.BytesOut = &c.PacketsOut, &c.BytesOut
	if r != nil {
		out.Rates.PacketsOut, out.Rates.BytesOut = &r.PacketsOut, &r.BytesOut
	}
	return out
}

func counters(in report.Snapshot) api.Counters {
	out := api.Counters{}
	for _, v := range in.Verdicts {
		out[v.Name] = v.Count
	}
	return out
}

func verdicts(in report.Snapshot) []api.Verdict {
	out := []api.Verdict{}
	for _, v := range in.Verdicts {
		out = append(out, api.Verdict{Name: v.Name, Help: v.Help})
	}
	return out
}

func connection(c report.Connection) api.Connection {
	return api.Connection{
		Protocol: c.Protocol.String(),
		Client:   c.Client.String(),
		Virtual:  c.Virtual.String(),
		Server:   c.Server.String(),
		State:    c.State,
		ExpiresS: int64(c.Expires / time.Second),
	}
}

func connectionTotals(in report.Totals) api.ConnectionTotals {
	out := api.ConnectionTotals{Groups: []api.ConnectionGroup{}}
	for _, g := range in.Groups() {
		out.Connections += in[g]
		out.Groups = append(out.Groups, api.ConnectionGroup{
			Protocol: g.Protocol.String(), State: g.State, Server: g.Server.String(), Connections: in[g],
		})
	}
	return out
}
