// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// Explanation is what becomes of a flow, with the names of things.
type Explanation struct {
	model.Explanation
	Service    string // its name; "": there is none
	Connection *Known
	New        *Way
	Stray      *Way
	Servers    []Candidate // in the order of the configuration, those last that are leaving
}

// Known is the connection of a flow.
type Known struct {
	model.Known
	Packet Way
}

// Way is what becomes of a packet.
type Way struct {
	model.Way
	Interface string // towards the server; "": there is none
}

// Candidate is a server, as the scheduler saw it.
type Candidate struct {
	model.Candidate
	Reason string // why it gets no new connections; "": it can
}

// Explain adds to what the maps say of a flow what only the configuration and the network know.
func Explain(in Input, e model.Explanation) Explanation {
	out := Explanation{Explanation: e, New: in.way(e.New), Stray: in.way(e.Stray)}
	if known := e.Connection; known != nil {
		out.Connection = &Known{*known, *in.way(&known.Packet)}
	}
	if e.Service == nil {
		if out.New != nil { // else it is an answer, or a connection whose service is just being removed
			out.New.Reason = noService(in, e)
		}
		return out
	}
	for _, service := range in.Spec.Services {
		if service.Key == *e.Service {
			out.Service = service.Name
			out.Servers = candidates(in, service, e.Servers)
		}
	}
	return out
}

func (in Input) way(w *model.Way) *Way {
	if w == nil {
		return nil
	}
	link, _ := wayOut(in.Seen.Network, model.ServerWant{Link: w.Hop.Link, VLAN: w.Hop.VLAN})
	return &Way{*w, link.Name}
}

// candidates brings servers into the order of the configuration, and says more of those that are passed over.
func candidates(in Input, service model.Service, list []model.Candidate) (out []Candidate) {
	wants := serverWants(in.Desired.Dataplane)
	lines := append(servers(in, service, wants), leaving(in, service, wants)...)
	for _, c := range list {
		out = append(out, Candidate{c, passedOver(c, lines)})
	}
	place := func(c Candidate) int {
		i := slices.IndexFunc(lines, func(s Server) bool { return s.Key == c.Key })
		if i < 0 {
			return len(lines) // it was just removed
		}
		return i
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return place(a) - place(b) })
	return out
}

// stateOf is the state of a server that is passed over.
var stateOf = map[model.Passed]State{
	model.PassedFull: Full, model.PassedUnreachable: Unreachable, model.PassedLeaving: Leaving,
}

func passedOver(c model.Candidate, lines []Server) string {
	for _, line := range lines {
		if line.Key == c.Key && c.Passed != 0 && (line.State == Down || line.State == Waiting || line.State == Standby) {
			return string(line.State) + ": " + line.Reason
		}
		if line.Key == c.Key && c.Passed == model.PassedWeight && line.State == Quiesced {
			return line.Reason
		}
		if line.Key == c.Key && line.State == stateOf[c.Passed] && line.Reason != "" {
			return c.Passed.String() + ": " + line.Reason
		}
	}
	return c.Passed.String()
}

// othersAtMost is how many services of the same address are named.
const othersAtMost = 4

// noService says why none has a flow.
func noService(in Input, e model.Explanation) string {
	var owners Owners
	names := map[model.ServiceKey]string{}
	for _, service := range in.Spec.Services {
		owners.add(service.Name, service.Keys())
		names[service.Key] = service.Name
	}
	address := e.Flow.Virtual.Addr()
	if owner, configured := owners.Of(Connection{Protocol: e.Flow.Protocol, Virtual: e.Flow.Virtual}); configured {
		if why := leftAlone(in, owner.By, e.Flow); why != "" {
			return fmt.Sprintf("service %s (%s) leaves it alone: %s", owner.Name, owner.By, why)
		}
		return fmt.Sprintf("service %s (%s) is not in the maps; `weir status` says why", owner.Name, owner.By)
	}
	if len(e.Others) == 0 {
		return fmt.Sprintf("no service has the address %s", address)
	}
	var others []string
	for _, key := range e.Others[:min(len(e.Others), othersAtMost)] {
		others = append(others, strings.TrimSpace(names[key]+" "+fmt.Sprintf("(%s)", key)))
	}
	text := strings.Join(others, ", ")
	if more := len(e.Others) - len(others); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s has no service at %s port %d; it has %s", address, e.Flow.Protocol, e.Flow.Virtual.Port(), text)
}

// leftAlone says why a service of any destination does not have a flow; "": it should.
func leftAlone(in Input, by model.ServiceKey, f model.Flow) string {
	switch {
	case !by.IsAnyDestination():
		return ""
	case slices.Contains(in.Desired.Dataplane.Own, f.Virtual.Addr()):
		return fmt.Sprintf("%s is an address of this host", f.Virtual.Addr())
	case hasServer(in.Desired.Dataplane, f.Virtual.Addr()):
		return fmt.Sprintf("%s is a server's own address", f.Virtual.Addr())
	case hasServer(in.Desired.Dataplane, f.Client.Addr()):
		return fmt.Sprintf("%s is a server, not a client", f.Client.Addr())
	}
	return ""
}

// hasServer: one of a service, be it leaving, has the address.
func hasServer(want model.DataplaneWant, a model.Addr) bool {
	return slices.ContainsFunc(want.Services, func(s model.ServiceWant) bool {
		return slices.ContainsFunc(s.Servers, func(w model.ServerWant) bool { return w.Key.Address == a })
	})
}
