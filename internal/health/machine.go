// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// machine makes a verdict of answers. It is pure: it reads no clock.
//
//	           first good                fall bad in a row
//	unknown ───────────────► up ────────────────────────────► down
//	   │                     ▲                                 │ ▲
//	   │                     └─────────────────────────────────┘ │
//	   │  fall bad in a row    rise good in a row                │
//	   └─────────────────────────────────────────────────────────┘
type machine struct {
	check   model.Check
	health  model.Health
	against int       // answers in a row that speak against the verdict
	missed  int       // answers in a row that said nothing
	latest  time.Time // when the latest reason was told
}

// latestEvery is how often a server that is down may change its reason: what it says may differ each time, and
// each is another plan.
const latestEvery = 10 * time.Second

// hear takes an answer in, nil is a good one, and reports whether what is known is something else now. What a good
// answer says of the weight counts at once.
func (m *machine) hear(said model.Advice, answer error, now time.Time) (changed bool) {
	if isMute(answer) {
		return m.miss(answer, now)
	}
	m.missed = 0
	changed = m.judge(answer, now)
	if answer == nil && m.health.State == model.HealthUp && (m.health.Advice != said || m.health.Reason != "") {
		m.health.Advice, m.health.Reason = said, ""
		return true
	}
	return changed
}

// miss takes in that nothing was said, which speaks for no verdict: what was said before counts. But who never says
// anything keeps no server waiting.
func (m *machine) miss(why error, now time.Time) (changed bool) {
	if m.missed++; m.missed != m.check.Fall || m.health.State == model.HealthDown {
		return false
	}
	if m.health.State == model.HealthUnknown {
		m.health = model.Health{State: model.HealthUp, Since: now}
	}
	m.health.Reason = fmt.Sprintf("%v, %d of %d", why, m.missed, m.missed)
	return true
}

// judge makes a verdict of an answer, and reports whether it, or what it says of a server that is down, is another
// one now.
func (m *machine) judge(answer error, now time.Time) (changed bool) {
	verdict, needed := model.HealthUp, m.check.Rise
	if answer != nil {
		verdict, needed = model.HealthDown, m.check.Fall
	}
	if m.health.State == model.HealthUnknown && answer == nil {
		needed = 1
	}
	if verdict == m.health.State {
		m.against = 0
		return answer != nil && m.late(answer, now)
	}
	if m.against++; m.against < needed {
		return false
	}
	m.health = model.Health{State: verdict, Since: now}
	if answer != nil {
		m.health.Reason = decisive(answer, needed)
	}
	m.against, m.latest = 0, time.Time{}
	return true
}

// decisive is a bad answer with how many there were in a row.
func decisive(answer error, needed int) string {
	return fmt.Sprintf("%v, %d of %d", answer, needed, needed)
}

// late takes in a bad answer of a server that is down already, and reports whether it is worth telling: one that
// hung may refuse now.
func (m *machine) late(answer error, now time.Time) bool {
	text := answer.Error()
	if decisive(answer, m.check.Fall) == m.health.Reason {
		text = ""
	}
	if text == m.health.Latest || now.Before(m.latest.Add(latestEvery)) {
		return false
	}
	m.health.Latest, m.latest = text, now
	return true
}

// pace is how long to wait for the next question.
func (m *machine) pace() time.Duration { return m.check.Pace(m.against > 0) }
