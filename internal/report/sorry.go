// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// lender is the sorry service of another one.
type lender struct {
	model.Service
	servers map[model.ServerKey]model.Server
}

// lenderOf is without a name where a service has none.
func lenderOf(in Input, service model.Service) (out lender) {
	i := slices.IndexFunc(service.Servers, model.Server.IsLent)
	if i < 0 {
		return out
	}
	out.servers = map[model.ServerKey]model.Server{}
	for _, other := range in.Spec.Services {
		if other.Key == service.Servers[i].LentBy {
			out.Service = other
		}
	}
	for _, server := range out.Servers {
		out.servers[server.Key] = server
	}
	return out
}

// state is how a server does that is lent: well or not as with its own service. Whether it is at work, and full by
// its connections, is a matter of the other one.
func (l lender) state(in Input, lent model.Server, want model.ServerWant, wants map[model.ServiceServer]model.ServerWant, reading ServerReading) (State, string) {
	server := l.own(lent)
	state, reason := state(in, l.Service, server, wants[model.ServiceServer{Service: l.Key, Server: server.Key}], ServerReading{})
	switch {
	case state != Up && state != Panic:
		return state, reason
	case want.Weight == 0:
		return Standby, "of the sorry service " + l.Name
	case reading.Full:
		return Full, full(lent.Thresholds)
	}
	return state, reason
}

// own is the server as its own service has it.
func (l lender) own(lent model.Server) model.Server {
	for _, key := range lent.LenderKeys() {
		if server, ok := l.servers[key]; ok {
			return server
		}
	}
	return lent
}

// atWork names what takes a service's connections in place of its servers; "": nothing does.
func atWork(s Snapshot, service Service) string {
	n := 0
	for _, server := range s.Servers {
		switch takes := server.State == Up || server.State == Panic; {
		case server.ServiceKey != service.Key || !server.Sorry || !takes:
		case server.LentBy == "":
			return "sorry server, " + server.Key.String()
		default:
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("sorry service, %s (1 server)", service.Sorry)
	}
	return fmt.Sprintf("sorry service, %s (%d servers)", service.Sorry, n)
}
