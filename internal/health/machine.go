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
//	   │  fall bad in a row    rise good in a row, of one that   │
//	   │                       flaps 2, 4 or 8 times as many     │
//	   └─────────────────────────────────────────────────────────┘
type machine struct {
	check   model.Check
	health  model.Health
	against int       // answers in a row that speak against the verdict
	missed  int       // answers in a row that said nothing
	latest  time.Time // when the latest reason was told
	rose    time.Time // when it came back; zero: it was not down yet
	flaps   int       // so often, one after the other, it was down again soon after it had come back
}

// steady is how long a server must be up, that has come back, for its next fall to be its first. Each that comes
// sooner doubles how many good answers bring it back, mostFlaps times at most.
const (
	steady    = 5 * time.Minute
	mostFlaps = 3
)

// latestEvery is how often a server that is down may change its reason: what it says may differ each time, and
// each is another plan.
const latestEvery = 10 * time.Second

// hear takes an answer in, nil is a good one, and reports whether what is known is something else now. What a good
// answer says of the weight counts at once.
func (m *machine) hear(said model.Advice, answer error, now time.Time) (changed bool) {
	unable := m.health.Unable != ""
	m.health.Unable = ""
	return m.take(said, answer, now) || unable
}

// cannot takes in that it cannot be asked, which says nothing of it, and reports whether that is worth telling.
func (m *machine) cannot(why error, now time.Time) (changed bool) {
	text := why.Error()
	if text == m.health.Unable || m.health.Unable != "" && now.Before(m.latest.Add(latestEvery)) {
		return false
	}
	m.health.Unable, m.latest = text, now
	return true
}

func (m *machine) take(said model.Advice, answer error, now time.Time) (changed bool) {
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
	if m.missed++; m.missed != m.check.Fall {
		return false
	}
	text := decisive(why, m.missed)
	switch m.health.State {
	case model.HealthDown:
		m.health.Latest, m.latest = text+": what it said before counts", now
		return true
	case model.HealthUnknown:
		m.health = model.Health{State: model.HealthUp, Since: now}
	}
	m.health.Reason = text
	return true
}

// judge makes a verdict of an answer, and reports whether it, or what it says of a server that is down, is another
// one now.
func (m *machine) judge(answer error, now time.Time) (changed bool) {
	verdict, needed := model.HealthUp, m.check.Rise<<m.flaps
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
		return answer == nil && m.hold(needed)
	}
	m.turn(verdict, now)
	m.health = model.Health{State: verdict, Since: now}
	if answer != nil {
		m.health.Reason = decisive(answer, needed)
	}
	m.against, m.latest = 0, time.Time{}
	return true
}

// turn counts falls that come soon after a server came back. One that comes for the first time is not back.
func (m *machine) turn(to model.HealthState, now time.Time) {
	switch {
	case to == model.HealthUp && m.health.State == model.HealthDown:
		m.rose = now
	case to == model.HealthDown && !m.rose.IsZero() && now.Before(m.rose.Add(steady)):
		m.flaps = min(m.flaps+1, mostFlaps)
	case to == model.HealthDown:
		m.flaps = 0
	}
}

// hold says of a server that flaps how far it is on its way back, and reports whether that is worth telling: each
// time that it is twice as far.
func (m *machine) hold(needed int) bool {
	text := fmt.Sprintf("good, %d of %d", m.against, needed)
	if needed == m.check.Rise || m.against&(m.against-1) != 0 || text == m.health.Latest {
		return false
	}
	m.health.Latest = text
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

// pace is from one question to the next. Who flaps is not believed the sooner for being asked more often.
func (m *machine) pace() time.Duration {
	heldBack := m.health.State == model.HealthDown && m.flaps > 0
	return m.check.Pace(m.against > 0 && !heldBack)
}
