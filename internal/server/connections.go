// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/report"
)

// connectionsQuery says which connections are asked for, and how many.
type connectionsQuery struct {
	ConnectionsFilter
	Limit uint64 `query:"limit" doc:"At most so many; 0 is all."`
}

// connectionErrors are the answers to requests that ask for none there can be.
var connectionErrors = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable}

// listConnections adds the list that may be too long for memory: it is written as it is read.
func (s *Server) listConnections(routes huma.API) {
	list := huma.SchemaFromType(routes.OpenAPI().Components.Schemas, reflect.TypeFor[[]api.Connection]())
	op := huma.Operation{
		OperationID: "connections",
		Method:      http.MethodGet,
		Path:        "/v1/connections",
		Summary:     "Connections, in no order",
		Errors:      connectionErrors,
		Responses: map[string]*huma.Response{"200": {
			Description: "OK",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: list}},
		}},
	}
	huma.Register(routes, op, func(ctx context.Context, q *connectionsQuery) (*huma.StreamResponse, error) {
		wanted, err := s.filter(ctx, q.ConnectionsFilter)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(c huma.Context) { s.stream(routes, c, wanted, q.Limit) }}, nil
	})
}

// countConnections adds the counts of what the list would have, without making it.
func (s *Server) countConnections(routes huma.API) {
	op := huma.Operation{
		OperationID: "connections-count",
		Method:      http.MethodGet,
		Path:        "/v1/connections/count",
		Summary:     "How many connections there are, by protocol, state and server",
		Errors:      connectionErrors,
	}
	huma.Register(routes, op, func(ctx context.Context, q *ConnectionsFilter) (*answer[api.ConnectionTotals], error) {
		wanted, err := s.filter(ctx, *q)
		if err != nil {
			return nil, err
		}
		totals, err := s.count(ctx, wanted)
		if err != nil {
			return nil, err
		}
		return &answer[api.ConnectionTotals]{connectionTotals(totals)}, nil
	})
}

func (s *Server) count(ctx context.Context, wanted report.Filter) (report.Totals, error) {
	owners, err := s.owners(ctx)
	if err != nil {
		return nil, err
	}
	totals := report.Totals{}
	err = s.director.Connections(ctx, func(c report.Connection) bool {
		if wanted.Lists(c) {
			totals.Add(c, owners)
		}
		return true
	})
	if err != nil {
		return nil, huma.Error503ServiceUnavailable(err.Error())
	}
	return totals, nil
}

// connectionsToKill says which connections shall end. Its zero value means none, not all: whoever forgets
// a filter loses nothing.
type connectionsToKill struct {
	ConnectionsFilter
	All bool `query:"all" doc:"Every connection there is; must be given where no other parameter is."`
}

// check: what is meant must have been said, once.
func (q connectionsToKill) check() error {
	filtered := q.ConnectionsFilter != ConnectionsFilter{}
	switch {
	case !filtered && !q.All:
		return huma.Error400BadRequest("every connection would be killed: say which (service, server, client, protocol, state), or all=true")
	case filtered && q.All:
		return huma.Error400BadRequest("all=true is every connection: leave it out, or all others")
	}
	return nil
}

// killConnections adds the request that ends what the list would have.
func (s *Server) killConnections(routes huma.API) {
	op := huma.Operation{
		OperationID: "connections-kill",
		Method:      http.MethodDelete,
		Path:        "/v1/connections",
		Summary:     "Kill connections: those that the list would have, and those in state KEPT",
		Description: "It is answered when they are gone. Clients by TCP hear a reset at their next packet; flows by UDP begin anew.",
		Errors:      connectionErrors,
	}
	huma.Register(routes, op, func(ctx context.Context, q *connectionsToKill) (*answer[api.Killed], error) {
		if err := q.check(); err != nil {
			return nil, err
		}
		wanted, err := s.filter(ctx, q.ConnectionsFilter)
		if err != nil {
			return nil, err
		}
		killed, err := s.director.Kill(ctx, wanted.Matches)
		if err != nil {
			return nil, huma.Error503ServiceUnavailable(fmt.Sprintf("%v; killed before that: %d", err, killed))
		}
		return &answer[api.Killed]{api.Killed{Killed: killed}}, nil
	})
}

// stream writes the wanted connections. An answer that breaks off in the middle is cut, so that
// nobody takes it for the whole list.
func (s *Server) stream(routes huma.API, c huma.Context, wanted report.Filter, limit uint64) {
	c.SetHeader("Content-Type", "application/json")
	out := list{w: bufio.NewWriter(c.BodyWriter())}
	err := s.director.Connections(c.Context(), func(one report.Connection) bool {
		if !wanted.Lists(one) {
			return true
		}
		return out.add(connection(one)) && (limit == 0 || out.length < limit)
	})
	if err != nil && out.length == 0 {
		_ = huma.WriteErr(routes, c, http.StatusServiceUnavailable, err.Error()) // it logs by itself
		return
	}
	if err == nil {
		err = out.close()
	}
	if err != nil {
		s.log.Warn("list of connections broke off", "err", err)
		panic(http.ErrAbortHandler) // net/http's way to cut an answer
	}
}

// list writes a JSON array element by element. After an error it writes no more.
type list struct {
	w      *bufio.Writer
	length uint64
	err    error
}

// add writes one element and tells whether there is any point in another.
func (l *list) add(element any) bool {
	text, err := json.Marshal(element)
	if err != nil {
		l.err = err
		return false
	}
	separator := ",\n"
	if l.length == 0 {
		separator = "["
	}
	_, _ = io.WriteString(l.w, separator) // bufio keeps the error for the next call
	_, l.err = l.w.Write(text)
	l.length++
	return l.err == nil
}

func (l *list) close() error {
	if l.err != nil {
		return l.err
	}
	end := "]\n"
	if l.length == 0 {
		end = "[]\n"
	}
	_, _ = io.WriteString(l.w, end)
	return l.w.Flush()
}
