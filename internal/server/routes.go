// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/report"
)

// Handler is the API. It describes itself at /openapi.json.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	routes := humago.New(mux, description(s.version))
	s.look(routes)
	s.explain(routes)
	s.trace(routes)
	s.listConnections(routes)
	s.countConnections(routes)
	s.killConnections(routes)
	s.testNotice(routes)
	s.stepDown(routes)
	s.reload(routes)
	return http.MaxBytesHandler(refuse(mux), maxBodyBytes)
}

func description(version string) huma.Config {
	c := huma.DefaultConfig("weir", version)
	c.Info.Description = "How a director stands. It answers on a unix socket only."
	c.DocsPath = ""     // its page would load scripts from elsewhere
	c.SchemasPath = ""  // they are in /openapi.json
	c.CreateHooks = nil // they would add $schema to every answer
	c.RejectUnknownQueryParameters = true
	return c
}

type nothing struct{}

type answer[T any] struct {
	Body T `nullable:"false"`
}

// look adds the requests that a snapshot answers.
func (s *Server) look(routes huma.API) {
	get(s, routes, "status", "The whole director at a glance", s.status)
	get(s, routes, "services", "Services, in the order of the configuration", services)
	get(s, routes, "servers", "Servers, service by service", servers)
	get(s, routes, "counters", "Packets by the way in which they left the path", counters)
	get(s, routes, "verdicts", "What the names in the counters mean, in the order of the path", verdicts)
	get(s, routes, "events", "What has happened to servers, services, virtual routers and other directors, the oldest first", events)
	get(s, routes, "vrrp", "Virtual routers, in the order of the configuration", virtualRouters)
	get(s, routes, "bfd", "Neighbours that are watched by BFD, in the order of the configuration", bfd)
	get(s, routes, "sync", "Directors that connections are shared with, in the order of the configuration", peers)
	get(s, routes, "notices", "Who is told what, and how that goes, in the order of the configuration", notices)
}

// get adds GET /v1/name, answered by what wire makes of a snapshot.
func get[T any](s *Server, routes huma.API, name, summary string, wire func(report.Snapshot) T) {
	op := huma.Operation{
		OperationID: name,
		Method:      http.MethodGet,
		Path:        "/v1/" + name,
		Summary:     summary,
		Errors:      []int{http.StatusServiceUnavailable},
	}
	huma.Register(routes, op, func(ctx context.Context, _ *nothing) (*answer[T], error) {
		snapshot, err := s.director.Snapshot(ctx)
		if err != nil {
			return nil, huma.Error503ServiceUnavailable(err.Error())
		}
		return &answer[T]{wire(snapshot)}, nil
	})
}

// reload adds the request that changes the configuration.
func (s *Server) reload(routes huma.API) {
	op := huma.Operation{
		OperationID: "reload",
		Method:      http.MethodPost,
		Path:        "/v1/reload",
		Summary:     "Read the daemon's file again, as SIGHUP does",
		Description: "A file that is refused is answered with its complaints as the detail, and changes nothing.",
		Errors:      []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}
	huma.Register(routes, op, func(ctx context.Context, _ *nothing) (*answer[api.Reloaded], error) {
		revision, err := s.director.Reload(ctx)
		switch {
		case err == nil:
			return &answer[api.Reloaded]{api.Reloaded{Revision: revision}}, nil
		case ctx.Err() != nil:
			return nil, huma.Error503ServiceUnavailable("the daemon stops: " + err.Error())
		}
		return nil, huma.Error422UnprocessableEntity(err.Error())
	})
}
