// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// explainQuery is a flow, in the words of the request.
type explainQuery struct {
	Client   string `query:"client" doc:"Address and port of the client."`
	Virtual  string `query:"virtual" doc:"Address and port that it asks for."`
	Protocol string `query:"protocol" doc:"tcp, which is the default, udp or sctp."`
}

// explain adds the request that says what becomes of a flow.
func (s *Server) explain(routes huma.API) {
	op := huma.Operation{
		OperationID: "explain",
		Method:      http.MethodGet,
		Path:        "/v1/explain",
		Summary:     "What becomes of a client's packets to a service, and why",
		Errors:      []int{http.StatusBadRequest, http.StatusServiceUnavailable},
	}
	huma.Register(routes, op, func(ctx context.Context, q *explainQuery) (*answer[api.Explanation], error) {
		flow, err := model.ParseFlow(q.Client, q.Virtual, q.Protocol)
		if err != nil {
			return nil, huma.Error400BadRequest(err.Error())
		}
		explained, err := s.director.Explain(ctx, flow)
		if err != nil {
			return nil, huma.Error503ServiceUnavailable(err.Error())
		}
		return &answer[api.Explanation]{explanation(explained)}, nil
	})
}

func explanation(in report.Explanation) api.Explanation {
	out := api.Explanation{
		Client:   in.Flow.Client.String(),
		Virtual:  in.Flow.Virtual.String(),
		Protocol: in.Flow.Protocol.String(),
		New:      way(in.New),
		Unknown:  way(in.Stray),
		Servers:  []api.Candidate{},
	}
	if key := in.Explanation.Service; key != nil {
		out.Service = &api.ExplainedService{
			Name: in.Service, Address: key.Where(), Protocol: key.Protocol.String(),
			Scheduler: in.Scheduler.String(),
		}
	}
	if kept := in.Template; kept != nil {
		out.Template = &api.ExplainedTemplate{ExpiresS: int64(kept.Expires / time.Second)}
		if kept.Server != nil {
			out.Template.Server = kept.Server.String()
		}
	}
	if known := in.Connection; known != nil {
		out.Connection = &api.ExplainedConnection{
			State: known.State, ExpiresS: int64(known.Expires / time.Second), Packet: *way(&known.Packet),
		}
		if known.Server.IsValid() {
			out.Connection.Server = known.Server.String()
		}
	}
	for _, c := range in.Servers {
		out.Servers = append(out.Servers, candidate(c))
	}
	return out
}

func way(in *report.Way) *api.Way {
	if in == nil {
		return nil
	}
	out := &api.Way{Verdict: in.Verdict, Means: in.Means, Reason: in.Reason}
	if in.Server == nil {
		return out
	}
	out.Hashed = in.Hashed
	out.Server, out.Forwarding = in.Server.String(), in.Forwarding.String()
	if in.Local {
		out.Forwarding = "local"
		return out
	}
	if in.Hop.Link != 0 {
		out.NextHop = &api.NextHop{Interface: in.Interface, Address: in.Hop.Address.String()}
		if mac := in.Hop.MAC; mac != (model.MAC{}) {
			out.NextHop.Resolved, out.NextHop.MAC = true, net.HardwareAddr(mac[:]).String()
		}
	}
	return out
}

func candidate(c report.Candidate) api.Candidate {
	out := api.Candidate{
		Address: c.Key.String(), Weight: c.Weight, Active: c.Active, Inactive: c.Inactive,
		Compared: c.Compared, PassedOver: c.Reason,
	}
	if c.Share != nil {
		out.Share = new(math.Round(*c.Share*1e4) / 1e4)
	}
	return out
}
