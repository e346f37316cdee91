// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// ErrBusy means that what was asked for can be had by one at a time, and somebody has it.
var ErrBusy = errors.New("busy")

// traceQuery says whose packets are traced.
type traceQuery struct {
	Client   string `query:"client" doc:"Address of a client, with a port or without; left out, or any, it is anybody."`
	Virtual  string `query:"virtual" doc:"Address that it asks for, with a port or without; left out it is any."`
	Protocol string `query:"protocol" doc:"tcp, udp or sctp; left out it is any."`
	Frames   bool   `query:"frames" doc:"With the bytes of each packet."`
}

// traceTimeout is how long a reader may take for a packet: then it is taken for gone, or the path would go
// on looking for it.
const traceTimeout = time.Minute

// trace adds the request that tells of packets as they come, until it is ended.
func (s *Server) trace(routes huma.API) {
	line := huma.SchemaFromType(routes.OpenAPI().Components.Schemas, reflect.TypeFor[api.Trace]())
	op := huma.Operation{
		OperationID: "trace",
		Method:      http.MethodGet,
		Path:        "/v1/trace",
		Summary:     "Packets as they come: what was asked on their way, how they ended, how they were sent on",
		Description: "One JSON object a line, without end. Without a client and a virtual address it tells of packets for services only. There can be one trace at a time.",
		Errors:      []int{http.StatusBadRequest, http.StatusConflict, http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK",
			Content:     map[string]*huma.MediaType{"application/x-ndjson": {Schema: line}},
		}},
	}
	huma.Register(routes, op, func(ctx context.Context, q *traceQuery) (*huma.StreamResponse, error) {
		wanted, err := model.ParseTraceFilter(q.Client, q.Virtual, q.Protocol)
		if err != nil {
			return nil, huma.Error400BadRequest(err.Error())
		}
		return &huma.StreamResponse{Body: func(c huma.Context) { s.streamTrace(routes, c, wanted, q.Frames) }}, nil
	})
}

// streamTrace writes packets as they come. What goes wrong before the first one is an answer of its own.
func (s *Server) streamTrace(routes huma.API, c huma.Context, wanted model.TraceFilter, frames bool) {
	_, w := humago.Unwrap(c)
	control := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	begun, gone := false, false
	begin := func() {
		begun = true
		c.SetHeader("Content-Type", "application/x-ndjson")
		c.SetStatus(http.StatusOK)
		_ = control.Flush() // who does not hear of it is gone at the first packet
	}
	err := s.director.Trace(c.Context(), wanted, begin, func(t report.Trace) error {
		if err := control.SetWriteDeadline(time.Now().Add(traceTimeout)); err != nil {
			return err
		}
		err := errors.Join(lines.Encode(trace(t, frames)), control.Flush())
		gone = err != nil
		return err
	})
	switch {
	case err == nil, gone:
	case begun:
		s.log.Warn("trace broke off", "err", err)
		panic(http.ErrAbortHandler) // net/http's way to cut an answer
	case errors.Is(err, ErrBusy):
		_ = huma.WriteErr(routes, c, http.StatusConflict, err.Error()) // it logs by itself
	default:
		_ = huma.WriteErr(routes, c, http.StatusServiceUnavailable, err.Error())
	}
}

func trace(in report.Trace, frames bool) api.Trace {
	out := api.Trace{
		Time: in.At, Missed: in.Missed, Interface: in.Interface, Packet: in.Packet, Stages: []api.TraceStage{},
		Verdict: in.Verdict, Means: in.Means, Sent: in.Sent,
	}
	for _, stage := range in.Stages {
		out.Stages = append(out.Stages, api.TraceStage(stage))
	}
	if !frames {
		return out
	}
	out.FrameIn = new(api.Frame(in.In))
	if in.Traced.Sent != nil {
		out.FrameSent = new(api.Frame(*in.Traced.Sent))
	}
	return out
}
