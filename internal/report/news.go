// SPDX-License-Identifier: Apache-2.0

package report

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// News is what happened from one plan to the next that people may want to be told. The first Input of a daemon
// has no services. What was so before the daemon began is not news: another one has told it.
func News(before, now Input, began time.Time) (out []model.Event) {
	was := serviceByKey(before.Spec)
	wantsBefore, wants := serverWants(before.Desired.Dataplane), serverWants(now.Desired.Dataplane)
	for _, service := range now.Spec.Services {
		for _, server := range service.Servers {
			out = append(out, serverNews(before, now, service, server, began)...)
		}
		old, known := was[service.Key]
		event := model.Event{Time: now.Now, Kind: model.ServiceDown, Service: service.Name, ServiceKey: service.Key}
		down, why := starves(now, service, wants)
		wasDown, _ := starves(before, old, wantsBefore)
		switch {
		case down && !wasDown && known:
			event.Reason = why
			out = append(out, event)
		case wasDown && !down:
			event.Kind = model.ServiceUp
			out = append(out, event)
		}
	}
	return out
}

func serviceByKey(spec model.Spec) map[model.ServiceKey]model.Service {
	out := map[model.ServiceKey]model.Service{}
	for _, service := range spec.Services {
		out[service.Key] = service
	}
	return out
}

// serverNews is about one server: that its checks found it down, or up again.
func serverNews(before, now Input, service model.Service, server model.Server, began time.Time) []model.Event {
	was, is := before.Seen.Verdict(server), now.Seen.Verdict(server)
	event := model.Event{Time: is.Since, Service: service.Name, ServiceKey: service.Key, Server: server.Key}
	switch {
	case is.State == was.State || is.Since.Before(began):
		return nil
	case is.State == model.HealthDown:
		event.Kind, event.Reason = model.ServerDown, is.Reason
	case is.State == model.HealthUp && was.State == model.HealthDown:
		event.Kind, event.Since = model.ServerUp, was.Since
	default:
		return nil
	}
	return []model.Event{event}
}

// starves tells whether all servers that should take new connections of a service are known not to do so, and
// why. One that waits for its first answer is not known to. One without a check is judged by the way to it.
func starves(in Input, service model.Service, wants map[model.ServiceServer]model.ServerWant) (bool, string) {
	var reasons []string
	for _, server := range service.Servers {
		if server.Weight == 0 || server.Sorry {
			continue
		}
		want := wants[model.ServiceServer{Service: service.Key, Server: server.Key}]
		state, reason := state(in, server, want, ServerReading{})
		fails := state == Unreachable
		if len(server.Checks.Of) > 0 {
			fails = in.Seen.Verdict(server).State == model.HealthDown
		}
		if !fails {
			return false, ""
		}
		reasons = append(reasons, server.Key.String()+": "+reason)
	}
	return len(reasons) > 0, shorten(reasons)
}
