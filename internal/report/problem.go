// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// problems collects what a person must know, the gravest first: what is not applied, where no
// packet is balanced, who gets no server, where there will soon be no room; then the plan's own.
func problems(in Input, s Snapshot) []model.Problem {
	var out []model.Problem
	out = append(out, unapplied(in)...)
	out = append(out, bareInterfaces(s)...)
	out = append(out, starved(in, s)...)
	out = append(out, doubted(in, s)...)
	out = append(out, expiring(in)...)
	out = append(out, unwatched(in)...)
	out = append(out, unshared(in)...)
	out = append(out, crowded(s.Connections)...)
	out = append(out, leftOut(in, s)...)
	out = append(out, resized(in.Spec.Connections, s.Connections, in.Readings.ConnKept)...)
	for _, p := range in.Desired.Problems {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// doubted are servers that take connections, but do not seem to do anything with them.
func doubted(in Input, s Snapshot) (out []model.Problem) {
	services := map[model.ServiceKey]model.Service{}
	for _, service := range in.Spec.Services {
		services[service.Key] = service
	}
	for _, server := range s.Servers {
		why := doubt(in, services[server.ServiceKey], server.Key)
		if why != "" && server.State == Up {
			out = append(out, model.Problem{
				What: fmt.Sprintf("service %s: server %s seems not to serve", server.Service, server.Key),
				Why:  why,
				Fix:  "look at the server, and whether answers find their way to the clients; a flood of SYNs looks the same",
			})
		}
	}
	return out
}

// expiring are servers that show certificates which somebody has to renew soon. There may be thousands with the same one.
func expiring(in Input) []model.Problem {
	n, why := reasons(in, func(in Input, service model.Service, server model.Server) string {
		return ending(in.Seen.CertificateEnds(service, server), in.Now)
	})
	if n == 0 {
		return nil
	}
	return []model.Problem{{
		What: fmt.Sprintf("servers whose certificate has to be renewed: %d", n),
		Why:  why,
		Fix:  "renew it on the servers, and have them read it again",
	}}
}

// unwatched are servers whose checks cannot ask, or ask another way than clients do.
func unwatched(in Input) (out []model.Problem) {
	fix := "remove the cause; weir tries again by itself"
	if len(in.Seen.Blocked) > 0 {
		fix += ". Or have the servers themselves asked: `via: server`"
	}
	if n, why := reasons(in, unasked); n > 0 {
		out = append(out, model.Problem{
			What: fmt.Sprintf("servers that stay as they are, whatever they do: %d", n),
			Why:  why,
			Fix:  fix,
		})
	}
	if n, why := reasons(in, askedItself); n > 0 {
		out = append(out, model.Problem{
			What: fmt.Sprintf("servers that are not asked the way their clients ask them: %d", n),
			Why:  why,
			Fix:  "remove the cause; weir tries again by itself. Or say that this will do: `via: server`",
		})
	}
	return out
}

// reasons are what there is to say of servers, and of how many.
func reasons(in Input, of func(Input, model.Service, model.Server) string) (n int, text string) {
	var all []string
	for _, service := range in.Spec.Services {
		for _, server := range service.Servers {
			if why := of(in, service, server); why != "" {
				all = append(all, fmt.Sprintf("%s of %s: %s", server.Key, service.Name, why))
			}
		}
	}
	return len(all), shorten(all)
}

// unapplied speaks of targets that turned the plan's last wish down. One that is still at work has
// not said why, and is no problem.
func unapplied(in Input) []model.Problem {
	applied, revision := in.Seen.Applied, in.Desired.Dataplane.Revision
	var out []model.Problem
	if applied.Dataplane != "" {
		out = append(out, model.Problem{
			What: fmt.Sprintf("revision %d is not in the maps, packets follow revision %d", revision, applied.Revision),
			Why:  applied.Dataplane,
			Fix:  "remove the cause; weir tries again by itself",
		})
	}
	if applied.Address != "" {
		out = append(out, model.Problem{
			What: "addresses or neighbours of this host are not as they should be",
			Why:  applied.Address,
			Fix:  "remove the cause; weir tries again by itself",
		})
	}
	return out
}

// bareInterfaces are those on which packets pass unbalanced.
func bareInterfaces(s Snapshot) []model.Problem {
	var out []model.Problem
	for _, i := range s.Interfaces {
		atWork := i.Reason == notAttachedYet && s.Applied != s.Revision
		if i.XDP != noProgram || atWork {
			continue
		}
		out = append(out, model.Problem{
			What: "no packet is balanced on " + i.Name,
			Why:  i.Reason,
			Fix:  attachFix(i.Reason),
		})
	}
	return out
}

func attachFix(reason string) string {
	if reason == noSuchInterface {
		return "bring it back, or name another one under interfaces: and run `weir reload`"
	}
	return "remove the cause; weir attaches its program by itself"
}

// starved are services without a server that takes new connections. One that does not serve here
// has another director to do it.
func starved(in Input, s Snapshot) []model.Problem {
	idle := map[model.ServiceKey]bool{}
	for _, want := range in.Desired.Dataplane.Services {
		idle[want.Key] = !want.Serving
	}
	var out []model.Problem
	for i, service := range s.Services {
		standing := in.Desired.Standings[service.Key]
		switch {
		case idle[service.Key]:
			continue
		case standing.Panic:
			out = append(out, panicking(service, in.Spec.Services[i], standing))
			continue
		case standing.Quorum == model.QuorumLost && service.Up > 0:
			out = append(out, model.Problem{What: "service " + service.Name + " has lost its quorum, and goes on",
				Why: quorum(in.Spec.Services[i].Quorum, standing), Fix: lookFix[Down]})
			continue
		case service.Up > 0:
			continue
		}
		why, fix := starvation(s, service)
		what := "service " + service.Name + " takes no connections"
		if sorry := atWork(s, service); sorry != "" {
			what = fmt.Sprintf("service %s has only its %s", service.Name, sorry)
		}
		out = append(out, model.Problem{What: what, Why: why, Fix: fix})
	}
	return out
}

// panicking is a service that keeps servers which are down, and may lead clients to them.
func panicking(service Service, of model.Service, standing model.Standing) model.Problem {
	return model.Problem{
		What: "PANIC: service " + service.Name + " keeps servers that are down",
		Why:  panicked(of, standing),
		Fix:  "look at the servers, and at what `check:` asks them; it ends by itself when enough of them give good answers",
	}
}

// panicked says why.
func panicked(of model.Service, standing model.Standing) string {
	return fmt.Sprintf("of the weight %d of its servers %d is healthy, which is less than %d%%",
		standing.Weight+standing.Down, standing.Weight, of.Panic)
}

// leftOut are servers that are down or cannot be reached while others of their service can: these do their work. Of
// those of a sorry service its own line tells.
func leftOut(in Input, s Snapshot) []model.Problem {
	up := map[model.ServiceKey]bool{}
	for _, service := range s.Services {
		up[service.Key] = service.Up > 0
	}
	var out []model.Problem
	for _, server := range s.Servers {
		if server.LentBy != "" || server.Weight == 0 || !up[server.ServiceKey] || server.State != Unreachable && server.State != Down {
			continue
		}
		fix := lookFix[server.State]
		if _, voted := ejected(in, model.ServiceServer{Service: server.ServiceKey, Server: server.Key}); voted {
			fix = "look at the server, and whether answers find their way to the clients; weir tries it again by itself"
		}
		out = append(out, model.Problem{
			What: fmt.Sprintf("service %s goes on without server %s", server.Service, server.Key),
			Why:  server.Reason,
			Fix:  fix,
		})
	}
	return out
}

// lookFix is where to look for a server that is left out.
var lookFix = map[State]string{
	Unreachable: "look at the server and the way to it (ip route get, ip neigh); weir takes it in again by itself",
	Down:        "look at the server; weir takes it in again by itself when its check gets good answers",
}

// starvation tells why no server of a service takes connections, and what to do.
func starvation(s Snapshot, service Service) (why, fix string) {
	if service.Servers == 0 {
		return "it has no server", "add one under servers: and run `weir reload`"
	}
	var reasons []string
	quiesced, advised, full, down, rests := 0, 0, 0, 0, 0
	for _, server := range s.Servers {
		if server.ServiceKey != service.Key || server.State == Leaving || server.Sorry {
			continue
		}
		if server.State == Quiesced || server.State == Down && server.Weight == 0 {
			quiesced++
		}
		if server.Rests {
			rests++
		} else if server.State == Quiesced && server.Weight > 0 {
			advised++
		}
		if server.State == Full {
			full++
		}
		if (server.State == Down || server.State == Waiting || server.State == Standby) && server.Weight > 0 {
			down++
		}
		reasons = append(reasons, server.Key.String()+": "+server.Reason)
	}
	if quiesced == service.Servers && rests > 0 {
		return shorten(reasons), "end the maintenance, or give a server a weight and run `weir reload`"
	}
	if quiesced == service.Servers && advised > 0 {
		return shorten(reasons), "look at what `check:` asks the servers: some of it says that their weight is 0"
	}
	if quiesced == service.Servers {
		return "the weight of every server is 0", "give a server a weight and run `weir reload`"
	}
	if quiesced+full == service.Servers {
		return shorten(reasons), "add a server, or raise thresholds, and run `weir reload`"
	}
	if quiesced+full+down == service.Servers {
		return shorten(reasons), "look at the servers, and at what `check:` asks them; weir takes them in again by itself"
	}
	return shorten(reasons), "look at the way from this host to the servers: ip route get, ip neigh"
}

// crowded is a table that is full soon; then new connections go without an entry, or are dropped.
func crowded(u Usage) []model.Problem {
	if u.Percent() < HighPercent {
		return nil
	}
	return []model.Problem{{
		What: fmt.Sprintf("connection table: %d %% full", u.Percent()),
		Why:  fmt.Sprintf("%s of %s", model.Grouped(u.Used), model.Grouped(u.Size)),
		Fix:  fmt.Sprintf("raise connections.size (now %d), or look for a flood: `weir connections --count`, `weir counters`", u.Size),
	}}
}

// resized is a table whose size is another one than is wanted: a start changes it, if that can be.
func resized(want model.Connections, u Usage, kept Kept) []model.Problem {
	size := uint64(want.Size)
	if size == u.Size {
		return nil
	}
	if kept.Why != "" && kept.Size == size {
		return []model.Problem{{
			What: fmt.Sprintf("connections.size: %s is not in use, connections stay in the table for %s", model.Grouped(size), model.Grouped(u.Size)),
			Why:  kept.Why,
			Fix:  "remove the cause, or set what fits; then restart weir",
		}}
	}
	return []model.Problem{{
		What: fmt.Sprintf("connections.size: %s is not in use yet", model.Grouped(size)),
		Why:  "the table was made for " + model.Grouped(u.Size),
		Fix:  "restart weir: connections move to the new table",
	}}
}

// maxReasons is how many servers a problem names.
const maxReasons = 3

func shorten(reasons []string) string {
	rest := ""
	if n := len(reasons) - maxReasons; n > 0 {
		reasons, rest = reasons[:maxReasons], fmt.Sprintf("; and %d more", n)
	}
	return strings.Join(reasons, "; ") + rest
}
