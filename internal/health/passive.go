// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Passive watches servers without asking them: by what becomes of their clients' connections. It is told what was
// counted of each since it was added, every PassiveTick, and has no clock.
type Passive struct {
	servers map[model.ServiceServer]*moments
}

// PassiveTick is how far apart the moments are at which a Passive is told counts.
const PassiveTick = 2 * time.Second

// ticks of a window, and the newest one: what has just begun may still be answered.
const ticks = int(model.SignWindow/PassiveTick) + 1

// moments is what was counted of a server at the last moments, the newest first.
type moments struct {
	at      [ticks + 1]model.Sign
	known   int
	refused uint64 // at the last look

	burst    int    // so many ticks on its sign lasts
	answered uint64 // when it began
}

// Tick takes the counts of this moment, and returns the bad signs of all servers that have some.
func (p *Passive) Tick(counts map[model.ServiceServer]model.Sign) map[model.ServiceServer]model.Sign {
	before, bad := p.servers, map[model.ServiceServer]model.Sign{}
	p.servers = map[model.ServiceServer]*moments{}
	for server, now := range counts {
		h := before[server]
		if h == nil || now.Begun < h.at[0].Begun { // somebody else of the same name
			h = &moments{}
		}
		h.add(now)
		p.servers[server] = h
		if sign := cmp.Or(h.lasting(), h.sign()); sign.IsBad() {
			bad[server] = sign
		}
	}
	return bad
}

// badRow is so many refusals in a row: a server that died refuses all who come.
const badRow = 3

// Burst takes the counts of a moment between the others, and returns the bad signs of all servers that refuse
// whoever comes. Such a sign lasts as long as any, unless somebody is answered. Who has refused nobody since the last
// look shows nothing new.
func (p *Passive) Burst(counts map[model.ServiceServer]model.Sign) map[model.ServiceServer]model.Sign {
	bad := map[model.ServiceServer]model.Sign{}
	for server, now := range counts {
		h := p.servers[server]
		if h == nil {
			continue
		}
		if now.Row >= badRow && now.Refused != h.refused {
			h.burst, h.answered = ticks, now.Answered
			bad[server] = model.Sign{Burst: true}
		}
		h.refused = now.Refused
	}
	return bad
}

func (h *moments) add(now model.Sign) {
	h.refused = now.Refused
	copy(h.at[1:], h.at[:ticks])
	h.at[0] = now
	h.known = min(h.known+1, len(h.at))
}

// lasting is the sign of a burst, if it is one still.
func (h *moments) lasting() (none model.Sign) {
	if h.burst = max(h.burst-1, 0); h.burst == 0 || h.at[0].Answered != h.answered {
		h.burst = 0
		return none
	}
	return model.Sign{Burst: true}
}

// sign is of the window before the newest tick; what was answered in that counts as well, since it
// may have begun before.
func (h *moments) sign() model.Sign {
	if h.known < 3 {
		return model.Sign{}
	}
	now, last, first := h.at[0], h.at[1], h.at[h.known-1]
	return model.Sign{
		Begun:    last.Begun - first.Begun,
		Answered: now.Answered - first.Answered,
		Refused:  last.Refused - first.Refused,
	}
}
