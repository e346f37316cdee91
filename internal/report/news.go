// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Told is what people were told, or need not be told any more: who is down, in maintenance or in panic, and since
// when, or has to renew a certificate; which services have had a server; and how virtual routers, and peers,
// stood. A subject without a server is the service.
type Told struct {
	Down   map[model.ServiceServer]time.Time
	Rests  map[model.ServiceServer]Rested
	Panic  map[model.ServiceKey]time.Time
	Ends   map[model.ServiceServer]time.Time // certificates that were warned of
	Served map[model.ServiceKey]bool

	Routers   map[string]RouterTold
	Groups    map[string]model.VRRPState // of virtual routers, in which all of each were together last
	Conflicts map[string]time.Time       // by the name of the virtual router
	Held      map[string]time.Time       // the same
	Silent    map[string]time.Time       // the same
	Peers     map[model.Addr]PeerTold
}

// Rested is a maintenance that was begun.
type Rested struct {
	Since time.Time
	Own   bool // not only with the whole service: it is told, and so is its end
}

// News is what people may want to be told now, and what they have been told then. What was so before the daemon
// began is not news: another one has told it.
func News(told Told, in Input, began time.Time) ([]model.Event, Told) {
	n := news{in: in, began: began, before: told, wants: serverWants(in.Desired.Dataplane),
		now: Told{map[model.ServiceServer]time.Time{}, map[model.ServiceServer]Rested{}, map[model.ServiceKey]time.Time{},
			map[model.ServiceServer]time.Time{}, map[model.ServiceKey]bool{}, map[string]RouterTold{}, map[string]model.VRRPState{}, map[string]time.Time{},
			map[string]time.Time{}, map[string]time.Time{}, map[model.Addr]PeerTold{}}}
	n.routers()
	for _, peer := range in.Desired.Sync.Peers {
		n.peer(peer)
	}
	for _, service := range in.Spec.Services {
		for _, server := range service.Servers {
			if server.IsLent() {
				continue // its own service tells of it
			}
			n.server(service, server)
			n.certificate(service, server)
		}
		n.service(service)
		n.panic(service)
	}
	return n.events, n.now
}

// news are being gathered.
type news struct {
	in     Input
	began  time.Time
	wants  map[model.ServiceServer]model.ServerWant
	before Told
	now    Told
	events []model.Event
}

// down notes that a subject is down, and tells it if that is new.
func (n *news) down(subject model.ServiceServer, since time.Time, e model.Event) {
	begin(n, n.before.Down, n.now.Down, subject, since, e)
}

// begin notes that something is so, and tells it if that is new.
func begin[K comparable](n *news, before, now map[K]time.Time, key K, since time.Time, e model.Event) {
	if known, told := before[key]; told {
		now[key] = known
		return
	}
	now[key] = since
	if !since.Before(n.began) {
		n.events = append(n.events, e)
	}
}

// up tells that a subject is not down any more, if it was.
func (n *news) up(subject model.ServiceServer, e model.Event) {
	if since, told := n.before.Down[subject]; told {
		e.Since = since
		if e.Time.Before(since) {
			e.Time = n.in.Now // it is asked nothing any more, or was not down by its checks
		}
		n.events = append(n.events, e)
	}
}

// keep leaves it as it was: nobody knows.
func (n *news) keep(subject model.ServiceServer) {
	if since, told := n.before.Down[subject]; told {
		n.now.Down[subject] = since
	}
}

func (n *news) server(service model.Service, server model.Server) {
	verdict := n.in.Seen.Verdict(service, server)
	subject := model.ServiceServer{Service: service.Key, Server: server.Key}
	e := model.Event{Time: verdict.Since, Service: service.Name, ServiceKey: service.Key, Server: server.Key}
	rests, over := n.rests(subject, e)
	if rests {
		return
	}
	ejection, out := ejected(n.in, subject)
	switch {
	case verdict.State == model.HealthDown:
		e.Kind, e.Reason = model.ServerDown, verdict.Reason
		n.down(subject, later(verdict.Since, over), e)
	case out:
		e.Time, e.Kind, e.Reason = ejection.Since, model.ServerDown, ejection.Sign.String()
		n.down(subject, later(ejection.Since, over), e)
	case verdict.State == model.HealthUp:
		e.Kind = model.ServerUp
		n.up(subject, e)
	default:
		n.keep(subject)
	}
}

// rests tells when a maintenance begins, and when it is over; of a service once, not of each server. What was down
// before is no matter in it: who is still down then is told of anew.
func (n *news) rests(subject model.ServiceServer, e model.Event) (rests bool, over time.Time) {
	rest, rests := n.in.Desired.Resting[subject]
	before, known := n.before.Rests[subject]
	switch {
	case rests && n.before.Rests == nil: // it was so before this daemon
		n.now.Rests[subject] = Rested{rest.Since, !rest.Whole}
	case rests && known && (before.Own || rest.Whole):
		n.now.Rests[subject] = before
	case rests:
		n.now.Rests[subject] = Rested{n.in.Now, !rest.Whole}
		n.begun(rest, e)
	case before.Own:
		e.Time, e.Kind, e.Since = n.in.Now, model.MaintenanceEnd, before.Since
		n.events = append(n.events, e)
	}
	if known && !rests {
		over = n.in.Now
	}
	return rests, over
}

// begun tells that a maintenance begins, unless it is that of the service, which is told by itself.
func (n *news) begun(rest model.Rest, e model.Event) {
	if e.Time, e.Kind, e.Reason = n.in.Now, model.MaintenanceBegin, resting(rest, model.Health{}, n.in.Now); !rest.Whole {
		n.events = append(n.events, e)
	}
}

func (n *news) service(service model.Service) {
	served := n.before.Served[service.Key]
	subject := model.ServiceServer{Service: service.Key}
	e := model.Event{Time: n.in.Now, Service: service.Name, ServiceKey: service.Key}
	s := n.standing(service)
	n.now.Served[service.Key] = served || s.serves
	rests, over := n.rests(subject, e)
	if rests {
		return
	}
	s.since = later(s.since, over)
	switch {
	case s.serves:
		e.Kind = model.ServiceUp
		n.up(subject, e)
	case s.starves && (served || s.checked):
		e.Kind, e.Reason = model.ServiceDown, n.why(service)
		n.down(subject, s.since, e)
	default:
		n.keep(subject)
	}
}

// panic tells when servers are kept that are down, and when that is over.
func (n *news) panic(service model.Service) {
	standing := n.in.Desired.Standings[service.Key]
	since, told := n.before.Panic[service.Key]
	e := model.Event{Time: n.in.Now, Service: service.Name, ServiceKey: service.Key}
	switch {
	case standing.Panic:
		e.Kind, e.Reason = model.PanicBegin, panicked(service, standing)
		begin(n, n.before.Panic, n.now.Panic, service.Key, n.standing(service).since, e)
	case told:
		e.Kind, e.Since = model.PanicEnd, since
		n.events = append(n.events, e)
	}
}

// certificate tells when one has to be renewed, and when it was. Only who is up shows one.
func (n *news) certificate(service model.Service, server model.Server) {
	subject := model.ServiceServer{Service: service.Key, Server: server.Key}
	since, told := n.before.Ends[subject]
	ends := n.in.Seen.CertificateEnds(service, server)
	e := model.Event{Time: n.in.Now, Service: service.Name, ServiceKey: service.Key, Server: server.Key}
	switch {
	case ends.IsZero() && (!told || !server.Checks.LookAtCertificates()): // who does not look does not see that it was renewed
	case ends.IsZero() && n.allUp(service, server):
		e.Kind, e.Since = model.CertificateRenewed, since
		n.events = append(n.events, e)
	case told:
		n.now.Ends[subject] = since
	default:
		n.now.Ends[subject] = n.in.Now
		if e.Kind, e.Reason = model.CertificateEnds, ending(ends, n.in.Now); n.before.Ends != nil { // else another daemon has told
			n.events = append(n.events, e)
		}
	}
}

func (n *news) allUp(service model.Service, server model.Server) bool {
	return !slices.ContainsFunc(service.Asks(server), func(key model.CheckKey) bool { return n.in.Seen.Health[key].State != model.HealthUp })
}

// standing is how a service stands with its servers, but for the sorry server and those of weight 0.
type standing struct {
	serves  bool // one takes new connections, as far as is known, and there is a quorum if one is asked for
	starves bool // it is known of all, or of too many for a quorum, that they do not
	checked bool // by their checks, not only by the way to them, which is unknown at first
	since   time.Time
}

func (n *news) standing(service model.Service) standing {
	s := n.servers(service)
	switch of := n.in.Desired.Standings[service.Key]; {
	case of.Panic:
		s.starves = false // those that are down are kept, which is told by itself
	case of.Quorum == model.QuorumLost:
		s.serves, s.starves = false, true
	case service.Quorum.Weight > 0 && of.Quorum == model.QuorumUnknown:
		s.serves, s.starves = false, false
	}
	if s.since.IsZero() {
		s.since = n.in.Now // by other things than checks
	}
	return s
}

// servers is what each of them says.
func (n *news) servers(service model.Service) standing {
	meant := n.meant(service)
	s := standing{starves: len(meant) > 0, checked: true}
	for _, server := range meant {
		verdict := n.in.Seen.Verdict(service, server)
		state, _ := n.state(service, server)
		switch asked := len(server.Checks.Of) > 0; {
		case asked && verdict.State == model.HealthDown:
			s.since = later(s.since, verdict.Since)
		case !asked && state == Unreachable:
			s.checked, s.since = false, n.in.Now
		default:
			s.starves = false
			s.serves = s.serves || state == Up && verdict.State == model.HealthUp
		}
	}
	return s
}

// meant are the servers that take connections if all is well.
func (n *news) meant(service model.Service) (out []model.Server) {
	for _, server := range service.Servers {
		_, rests := n.in.Desired.Resting[model.ServiceServer{Service: service.Key, Server: server.Key}]
		if server.Weight > 0 && !server.Sorry && !rests {
			out = append(out, server)
		}
	}
	return out
}

func (n *news) state(service model.Service, server model.Server) (State, string) {
	want := n.wants[model.ServiceServer{Service: service.Key, Server: server.Key}]
	return state(n.in, service, server, want, ServerReading{})
}

// why no server of a service takes connections, or too few.
func (n *news) why(service model.Service) string {
	var reasons []string
	for _, server := range service.Servers {
		if state, reason := n.state(service, server); server.Weight > 0 && !server.Sorry && state != Up && state != Standby {
			reasons = append(reasons, server.Key.String()+": "+reason)
		}
	}
	if standing := n.in.Desired.Standings[service.Key]; standing.Quorum == model.QuorumLost {
		return strings.TrimSuffix(quorum(service.Quorum, standing)+"; "+shorten(reasons), "; ")
	}
	return shorten(reasons)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
