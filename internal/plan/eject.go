// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// How long a server is out by its signs: at first, and at most. Each time in a row is twice as long. It has to be
// longer than a sign lasts, or it would come back to the same one.
const (
	firstEjection   = 30 * time.Second
	longestEjection = 8 * time.Minute
)

// eject takes servers out for a while whose clients get no answers, if the service has that count. Their connections
// live on: those may be answered. One that votes against all others says more about its clients, so it counts only
// while another server takes connections, and nothing speaks against it. It costs no quorum: that is a matter of checks.
func (p *pool) eject(service model.Service, seen model.Seen, now time.Time) {
	if service.Passive != model.PassiveVote {
		return
	}
	p.ejections = map[model.ServerKey]model.Ejection{}
	trusted := p.trusted(service, seen, now)
	for i, server := range service.Servers {
		want := &p.wants[i]
		begins := trusted && want.Weight > 0 && p.verdicts[i] != model.HealthDown && !server.Sorry
		e, known := ejectionOf(model.ServiceServer{Service: service.Key, Server: server.Key}, seen, begins, now)
		if !known {
			continue
		}
		if e.Out = begins && now.Before(e.Until); e.Out {
			want.Weight, want.Absent, want.Leaving = 0, true, model.Drain
			p.step = earlier(p.step, e.Until)
		}
		p.ejections[server.Key] = e
	}
}

// trusted tells whether a server takes connections that nothing speaks against.
func (p *pool) trusted(service model.Service, seen model.Seen, now time.Time) bool {
	for i, server := range service.Servers {
		here := model.ServiceServer{Service: service.Key, Server: server.Key}
		_, bad := seen.Signs[here]
		out := now.Before(seen.Ejections[here].Until) || p.verdicts[i] == model.HealthDown
		if !bad && !out && !server.Sorry && p.wants[i].Weight > 0 && reachable(p.wants[i]) {
			return true
		}
	}
	return false
}

// ejectionOf is what is known of a server, or begins now. Signs of one that is out are old.
func ejectionOf(server model.ServiceServer, seen model.Seen, begins bool, now time.Time) (model.Ejection, bool) {
	e, known := seen.Ejections[server]
	sign, bad := seen.Signs[server]
	switch length := e.Until.Sub(e.Since); {
	case known && now.Before(e.Until):
		return e, true
	case bad && begins:
		times := 0
		if known && now.Before(e.Until.Add(length)) {
			times = e.Times + 1
		}
		return model.Ejection{Since: now, Until: now.Add(ejectedFor(times)), Times: times, Sign: sign}, true
	default:
		return e, known && now.Before(e.Until.Add(length))
	}
}

func ejectedFor(times int) time.Duration {
	return min(firstEjection<<min(times, 16), longestEjection)
}
