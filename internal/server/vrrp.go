// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

func virtualRouters(in report.Snapshot) []api.VirtualRouter {
	out := []api.VirtualRouter{}
	for _, r := range in.Routers {
		one := api.VirtualRouter{
			Name:        r.Name,
			Interface:   r.Interface,
			ID:          r.ID,
			Version:     uint8(r.Version),
			AdvertiseMS: r.Advertise.Milliseconds(),
			State:       r.State.String(),
			Since:       r.Since,
			Why:         r.Why,
			Priority:    r.Priority,
			Written:     r.Written,
			Tracked:     r.Tracked,
			Group:       r.Group,
			Addresses:   []string{},
			Silent:      r.Silent,
			Held:        r.Held,
			Conflict:    r.Conflict,
			Mastered:    r.Mastered,
			Sent:        r.Counts.Sent,
			Unsent:      r.Counts.Unsent,
			Received:    r.Counts.Received,
			Discarded:   map[string]uint64{},
		}
		if r.Master.IsValid() {
			one.Master, one.MasterPriority = r.Master.String(), &r.MasterPriority
		}
		if r.Auth.KeyFile != "" {
			one.Auth = r.Auth.Mode.String()
		}
		if r.MAC != (model.MAC{}) {
			one.MAC = net.HardwareAddr(r.MAC[:]).String()
		}
		for _, p := range r.Addresses {
			one.Addresses = append(one.Addresses, p.String())
		}
		for _, route := range r.Routes {
			one.Routes = append(one.Routes, route.String())
		}
		maps.Copy(one.Discarded, r.Counts.Discarded)
		out = append(out, one)
	}
	return out
}

// routersMeant are those that are to be left to another director.
type routersMeant struct {
	Routers []string `query:"router,explode" doc:"Name of a virtual router of which this director is master; it may be given several times. Absent: all of which it is."`
}

// stepDown adds the request by which another director becomes master.
func (s *Server) stepDown(routes huma.API) {
	op := huma.Operation{
		OperationID: "vrrp-step-down",
		Method:      http.MethodPost,
		Path:        "/v1/vrrp/step-down",
		Summary:     "Leave virtual routers to another director",
		Description: "It is answered when this director is master no more.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}
	huma.Register(routes, op, func(ctx context.Context, q *routersMeant) (*answer[api.SteppedDown], error) {
		snapshot, err := s.director.Snapshot(ctx)
		if err != nil {
			return nil, huma.Error503ServiceUnavailable(err.Error())
		}
		names, err := mastersMeant(snapshot.Routers, q.Routers)
		if err != nil {
			return nil, err
		}
		if err := s.director.StepDown(ctx, names); err != nil {
			return nil, huma.Error503ServiceUnavailable(err.Error())
		}
		return &answer[api.SteppedDown]{api.SteppedDown{Routers: names}}, nil
	})
}

// mastersMeant are the named ones, each once, or all of which this director is master.
func mastersMeant(all []report.Router, names []string) (out []string, err error) {
	for _, name := range names {
		i := slices.IndexFunc(all, func(r report.Router) bool { return r.Name == name })
		switch {
		case i < 0:
			return nil, huma.Error404NotFound(fmt.Sprintf("there is no virtual router %q; `weir vrrp` lists them", name))
		case all[i].State != model.VRRPMaster:
			return nil, huma.Error409Conflict(fmt.Sprintf("this director is not master of %s: it is %s", name, standing(all[i])))
		case !slices.Contains(out, name):
			out = append(out, name)
		}
	}
	if len(names) > 0 {
		return out, nil
	}
	for _, r := range all {
		if r.State == model.VRRPMaster {
			out = append(out, r.Name)
		}
	}
	if len(out) == 0 {
		return nil, huma.Error409Conflict("this director is master of no virtual router, so it has nothing to leave to another one; `weir vrrp` shows how they stand")
	}
	return out, nil
}

// standing is a state, and who is master if that is known.
func standing(r report.Router) string {
	text := r.State.String()
	if r.Master.IsValid() {
		text += fmt.Sprintf(", and %s is master, with priority %d", r.Master, r.MasterPriority)
	}
	return text
}
