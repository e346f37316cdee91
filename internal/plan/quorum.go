// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/weir-lb/weir/internal/model"

// stand weighs the servers of a service by what their checks found. That one cannot be reached is no verdict: at
// start it passes by itself, and a check finds it out.
func (p *pool) stand(service model.Service, seen model.Seen) (out model.Standing) {
	for i, server := range service.Servers {
		if server.Sorry || server.Weight == 0 {
			continue
		}
		switch verdict := p.verdicts[i]; {
		case p.wants[i].Weight > 0:
			out.Weight += int(p.wants[i].Weight)
		case verdict == model.HealthDown:
			out.Down += int(server.Weight)
		case verdict == model.HealthUnknown:
			out.Open += int(server.Weight)
		}
	}
	out.Quorum = quorum(service, hadQuorum(service, seen), out)
	well := out.Weight + out.Open // as far as is known: at start the first verdict may be a bad one
	out.Panic = out.Down > 0 && well*100 < service.Panic*(well+out.Down)
	return out
}

// quorum has keepalived's thresholds (check/ipwrapper.c, update_quorum_state): between them all stays as it was.
//
//	         weight ≥ quorum + hysteresis
//	unknown ──────────────────────────────► held
//	   │                                    │  ▲
//	   │    0, or < quorum - hysteresis     │  │ ≥ quorum + hysteresis
//	   ▼                                    ▼  │
//	   └──────────────────────────────────► lost
//	     it cannot be had any more
func quorum(service model.Service, was model.QuorumState, now model.Standing) model.QuorumState {
	q := service.Quorum
	switch {
	case q.Weight == 0:
		return model.QuorumUnknown
	case now.Weight >= q.Weight+q.Hysteresis:
		return model.QuorumHeld
	case was == model.QuorumHeld && (now.Weight == 0 || now.Weight < q.Weight-q.Hysteresis):
		return model.QuorumLost
	case was == model.QuorumUnknown && now.Weight+now.Open < q.Weight+q.Hysteresis:
		return model.QuorumLost
	}
	return was
}

// hadQuorum is what the last plan made of it. The first plan of a daemon looks at what another one left: a sorry
// server at work, or others.
func hadQuorum(service model.Service, seen model.Seen) model.QuorumState {
	if standing, known := seen.Standings[service.Key]; known {
		return standing.Quorum
	}
	out := model.QuorumUnknown
	for _, server := range service.Servers {
		switch served := seen.InPool[model.ServiceServer{Service: service.Key, Server: server.Key}]; {
		case served && server.Sorry:
			return model.QuorumLost
		case served:
			out = model.QuorumHeld
		}
	}
	return out
}
