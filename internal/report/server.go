// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// serverWants finds what is wanted of a server in the maps.
func serverWants(want model.DataplaneWant) map[model.ServiceServer]model.ServerWant {
	out := map[model.ServiceServer]model.ServerWant{}
	for _, service := range want.Services {
		for _, server := range service.Servers {
			out[model.ServiceServer{Service: service.Key, Server: server.Key}] = server
		}
	}
	return out
}

// servers makes the lines of a service's servers.
func servers(in Input, service model.Service, wants map[model.ServiceServer]model.ServerWant) []Server {
	var out []Server
	lender := lenderOf(in, service)
	for _, server := range service.Servers {
		want := wants[model.ServiceServer{Service: service.Key, Server: server.Key}]
		line := line(in, service, server, want)
		line.State, line.Reason = state(in, service, server, want, line.Reading)
		if server.IsLent() {
			line.LentBy = lender.Name
			line.State, line.Reason = lender.state(in, server, want, wants, line.Reading)
		}
		if line.State == Up {
			line.Reason = remarks(
				unasked(in, service, server),
				askedItself(in, service, server),
				doubt(in, service, server.Key),
				slowly(in, service, server, want),
				weighed(in, service, server),
				unsaid(in, service, server),
				ending(in.Seen.CertificateEnds(service, server), in.Now),
				narrowed(in, want),
			)
		}
		if line.State == Down {
			line.Reason = remarks(line.Reason, unasked(in, service, server))
		}
		line.Effective = effective(line, want)
		if line.State == Up && line.Sorry {
			line.Reason = "no other server takes connections"
		}
		out = append(out, line)
	}
	return out
}

// line is what does not depend on how a server does.
func line(in Input, service model.Service, server model.Server, want model.ServerWant) Server {
	_, rests := in.Desired.Resting[model.ServiceServer{Service: service.Key, Server: server.Key}]
	return Server{
		Rests:      rests,
		Service:    service.Name,
		ServiceKey: service.Key,
		Key:        server.Key,
		Forwarding: server.Forwarding,
		Tunnel:     server.Tunnel,
		Local:      want.Local,
		Sorry:      server.Sorry,
		Weight:     server.Weight,
		Reading:    in.Readings.Servers[model.ServiceServer{Service: service.Key, Server: server.Key}],
		Rates:      known(in.Readings.Rates.Servers, model.ServiceServer{Service: service.Key, Server: server.Key}),
	}
}

// state judges a server by the way towards it first, then by its checks: a weight matters only to who can do
// the work. Of one in maintenance nothing is expected.
func state(in Input, service model.Service, server model.Server, want model.ServerWant, reading ServerReading) (State, string) {
	verdict := in.Seen.Verdict(service, server)
	if rest, rests := in.Desired.Resting[model.ServiceServer{Service: service.Key, Server: server.Key}]; rests {
		return Quiesced, "maintenance: " + resting(rest, verdict, in.Now)
	}
	if reason := unreachable(want, server.Key.Address, in.Seen.Network); reason != "" {
		return Unreachable, reason
	}
	if verdict.State == model.HealthDown && want.Weight > 0 {
		return Panic, "kept by panic, " + down(verdict, in.Now)
	}
	if verdict.State == model.HealthDown {
		return Down, down(verdict, in.Now)
	}
	if server.Weight == 0 {
		return Quiesced, "weight 0"
	}
	if weight, _ := in.Seen.Weight(service, server); weight == 0 {
		return Quiesced, weighed(in, service, server)
	}
	if server.Sorry && want.Weight == 0 {
		return Standby, "sorry server"
	}
	if verdict.State == model.HealthUnknown && want.Weight == 0 {
		return Waiting, cmp.Or(unasked(in, service, server), "its check has no good answer yet")
	}
	if e, out := ejected(in, model.ServiceServer{Service: service.Key, Server: server.Key}); out && want.Weight == 0 {
		return Down, ejection(e, in.Now)
	}
	if standing := in.Desired.Standings[service.Key]; want.Weight == 0 && standing.Quorum != model.QuorumHeld && service.Quorum.Weight > 0 {
		return Standby, quorum(service.Quorum, standing)
	}
	if reading.Full {
		return Full, full(server.Thresholds)
	}
	return Up, ""
}

// effective is nil where the weight is what the config has, or means nothing.
func effective(line Server, want model.ServerWant) *uint16 {
	if line.State != Up && line.State != Full && line.State != Quiesced && line.State != Panic || want.Weight == line.Weight {
		return nil
	}
	return &want.Weight
}

// weighed says what checks made of the weight that the config has, or "".
func weighed(in Input, service model.Service, server model.Server) string {
	weight, advice := in.Seen.Weight(service, server)
	if weight == server.Weight {
		return ""
	}
	return fmt.Sprintf("weight %d of %d: %s", weight, server.Weight, advice.Says)
}

// unsaid tells of a check that says nothing any more, or "".
func unsaid(in Input, service model.Service, server model.Server) string {
	for _, key := range service.Asks(server) {
		if h := in.Seen.Health[key]; h.State == model.HealthUp && h.Reason != "" {
			return h.Reason + ": what it said before counts"
		}
	}
	return ""
}

// ending tells of a certificate that ends soon, or "".
func ending(ends, now time.Time) string {
	const day = 24 * time.Hour
	at := ends.In(now.Location()).Format(time.DateTime)
	switch left := ends.Sub(now); {
	case ends.IsZero():
		return ""
	case left <= 0:
		return "its certificate has ended, " + at
	case left < 2*day:
		return fmt.Sprintf("its certificate ends in %dh, %s", int(left/time.Hour), at)
	default:
		return fmt.Sprintf("its certificate ends in %d days, %s", left/day, at)
	}
}

// unasked says why a check of a server cannot ask, or "": then the server stays as it is, whatever it does.
func unasked(in Input, service model.Service, server model.Server) string {
	for _, key := range service.Asks(server) {
		if way := in.Seen.Blocked[key.Detour]; way.Stops(key.Check) {
			return "its check cannot ask: " + way.Why
		}
		if why := in.Seen.Health[key].Unable; why != "" {
			return "its check cannot ask: " + why
		}
	}
	return ""
}

// askedItself says why a check asks a server itself, although it should go through the service's address, or "".
func askedItself(in Input, service model.Service, server model.Server) string {
	for _, key := range service.Asks(server) {
		if way := in.Seen.Blocked[key.Detour]; way.Why != "" && !way.Stops(key.Check) {
			return "its check asks the server itself: " + way.Why
		}
	}
	return ""
}

// remarks are those that are none "", on one line.
func remarks(of ...string) string {
	return strings.Join(slices.DeleteFunc(of, func(text string) bool { return text == "" }), "; ")
}

// down says since when, what the answer was that decided, and what it is now if that is another one.
func down(h model.Health, now time.Time) string {
	out := "down since " + clock(h.Since, now) + ": " + h.Reason
	if h.Latest != "" {
		out += "; now: " + h.Latest
	}
	return out
}

// resting says since when somebody works on a server, until when and by what, and whether it does its work.
func resting(rest model.Rest, verdict model.Health, now time.Time) string {
	var parts []string
	if !rest.Since.IsZero() {
		parts = append(parts, "since "+clock(rest.Since, now))
	}
	if !rest.Until.IsZero() {
		parts = append(parts, "until "+clock(rest.Until, now))
	}
	out := strings.Join(append(parts, rest.Why), ", ")
	if verdict.State == model.HealthDown {
		out += "; " + down(verdict, now)
	}
	return out
}

// clock is a time on the daemon's clock, with the date where that is not today.
func clock(at, now time.Time) string {
	at = at.In(now.Location())
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

// slowly tells of a server that came back and has not all of its weight yet, or "".
func slowly(in Input, service model.Service, server model.Server, want model.ServerWant) string {
	end, ramps := in.Desired.Ramps[model.ServiceServer{Service: service.Key, Server: server.Key}]
	if !ramps {
		return ""
	}
	whole, _ := in.Seen.Weight(service, server)
	return fmt.Sprintf("slow start: weight %d of %d, all of it at %s", want.Weight, whole, clock(end, in.Now))
}

// quorum says what is missing.
func quorum(q model.Quorum, standing model.Standing) string {
	return fmt.Sprintf("no quorum: the weight of healthy servers is %d, needed is %d", standing.Weight, q.Weight+q.Hysteresis)
}

// full says when a server takes connections again.
func full(t model.Thresholds) string {
	if t.Lower == 0 {
		return fmt.Sprintf("upper threshold %d; open again below three quarters of it", t.Upper)
	}
	return fmt.Sprintf("upper threshold %d; open again below %d", t.Upper, t.Lower)
}

// doubt is what speaks against a server that takes connections, or "".
func doubt(in Input, service model.Service, server model.ServerKey) string {
	sign, bad := in.Seen.Signs[model.ServiceServer{Service: service.Key, Server: server}]
	if !bad || service.Passive == model.PassiveOff {
		return ""
	}
	return sign.String()
}

// ejected tells of a server that is out by its signs.
func ejected(in Input, here model.ServiceServer) (model.Ejection, bool) {
	e := in.Desired.Ejections[here]
	return e, e.Out
}

func ejection(e model.Ejection, now time.Time) string {
	return fmt.Sprintf("down since %s: %s; tried again at %s", clock(e.Since, now), e.Sign, clock(e.Until, now))
}

// narrowed tells of a router that made the way to a server narrower than its interface, or "".
func narrowed(in Input, want model.ServerWant) string {
	path, known := in.Seen.PathMTUs[want.Key.Address]
	if !known || want.Forwarding != model.TUN || want.MTU != path.MTU || !path.Until.After(in.Now) {
		return ""
	}
	return fmt.Sprintf("path MTU %d, told by %s, until %s", path.MTU, path.Router, path.Until.UTC().Format(time.RFC3339))
}

// unreachable says what is missing on the way to a server, or "".
func unreachable(want model.ServerWant, address model.Addr, network model.Network) string {
	if want.Local {
		return ""
	}
	link, found := wayOut(network, want)
	switch {
	case !found:
		return "no route to " + address.String()
	case !link.Up:
		return fmt.Sprintf("no route to %s: %s is down", address, link.Name)
	case want.MAC == model.MAC{}:
		return noAnswer(want.Next, address, link.Name)
	}
	return ""
}

func noAnswer(next, address model.Addr, link string) string {
	protocol := "ARP"
	if next.Is6() {
		protocol = "neighbour solicitation"
	}
	reason := fmt.Sprintf("no answer to %s for %s on %s", protocol, next, link)
	if next != address {
		reason += ", the gateway to " + address.String()
	}
	return reason
}

// wayOut is the interface towards a server: the VLAN device, where its frames are tagged.
func wayOut(network model.Network, want model.ServerWant) (model.Link, bool) {
	for _, link := range network.Links {
		if want.VLAN != 0 && link.Parent == want.Link && link.VLAN == want.VLAN {
			return link, true
		}
	}
	return linkByIndex(network, want.Link)
}

// linkByIndex finds a link. Index 0 is no link's.
func linkByIndex(network model.Network, index int) (model.Link, bool) {
	for _, link := range network.Links {
		if index != 0 && link.Index == index {
			return link, true
		}
	}
	return model.Link{}, false
}
