// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// routerRoutes are the routes of the virtual routers that are held here.
func routerRoutes(spec model.Spec, holding map[string]bool) (out []model.RouteWant) {
	for _, r := range spec.VirtualRouters {
		if !holding[r.Name] {
			continue
		}
		for _, route := range r.Routes {
			route.Interface = cmp.Or(route.Interface, r.Interface)
			out = append(out, model.RouteWant{VirtualRoute: route, Router: r.Name})
		}
	}
	return out
}

// routeProblems are routes of virtual routers that are not there, in the order of their names.
func routeProblems(unrouted map[model.RouteWant]model.RouteTrouble) (out []model.Problem) {
	for want, trouble := range unrouted {
		fix := fmt.Sprintf("correct `routes:` of %s: its next hop must be in a network of its interface; weir tries again by itself", want.Router)
		if trouble.Taken {
			fix = fmt.Sprintf("remove that one (ip route del), or write another `metric:` beside that of %s", want.Router)
		}
		out = append(out, model.Problem{What: fmt.Sprintf("virtual router %s: route %s is not there", want.Router, want.VirtualRoute), Why: trouble.Why, Fix: fix})
	}
	slices.SortFunc(out, func(a, b model.Problem) int { return cmp.Compare(a.What, b.What) })
	return out
}
