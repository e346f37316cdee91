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
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/report"
)

// connectionsQuery says which connections are asked for.
type connectionsQuery struct {
	Service string `query:"service" doc:"Those of this service only."`
	Limit   uint64 `query:"limit" doc:"At most so many; 0 is all."`
}

// listConnections adds the list that may be too long for memory: it is written as it is read.
func (s *Server) listConnections(routes huma.API) {
	list := huma.SchemaFromType(routes.OpenAPI().Components.Schemas, reflect.TypeFor[[]api.Connection]())
	op := huma.Operation{
		OperationID: "connections",
		Method:      http.MethodGet,
		Path:        "/v1/connections",
		Summary:     "Connections, in no order",
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: list}},
		}},
	}
	huma.Register(routes, op, func(ctx context.Context, q *connectionsQuery) (*huma.StreamResponse, error) {
		wanted, err := s.filter(ctx, q.Service)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(c huma.Context) { s.stream(routes, c, wanted, q.Limit) }}, nil
	})
}

// filter tells which connections belong to a service; "" is any.
func (s *Server) filter(ctx context.Context, service string) (func(report.Connection) bool, error) {
	if service == "" {
		return func(report.Connection) bool { return true }, nil
	}
	snapshot, err := s.director.Snapshot(ctx)
	if err != nil {
		return nil, huma.Error503ServiceUnavailable(err.Error())
	}
	if !slices.ContainsFunc(snapshot.Services, func(known report.Service) bool { return known.Name == service }) {
		return nil, huma.Error404NotFound(fmt.Sprintf("there is no service %q; `weir services` lists them", service))
	}
	return func(c report.Connection) bool { return snapshot.ServiceOf(c) == service }, nil
}

// stream writes the wanted connections. An answer that breaks off in the middle is cut, so that
// nobody takes it for the whole list.
func (s *Server) stream(routes huma.API, c huma.Context, wanted func(report.Connection) bool, limit uint64) {
	c.SetHeader("Content-Type", "application/json")
	out := list{w: bufio.NewWriter(c.BodyWriter())}
	err := s.director.Connections(c.Context(), func(one report.Connection) bool {
		if !wanted(one) {
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
