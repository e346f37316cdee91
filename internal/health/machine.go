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
	against int // answers in a row that speak against the verdict
}

// hear takes an answer in, nil is a good one, and reports whether the verdict is another one now.
func (m *machine) hear(answer error, now time.Time) (changed bool) {
	verdict, needed := model.HealthUp, m.check.Rise
	if answer != nil {
		verdict, needed = model.HealthDown, m.check.Fall
	}
	if m.health.State == model.HealthUnknown && answer == nil {
		needed = 1
	}
	if verdict == m.health.State {
		m.against = 0
		return false
	}
	if m.against++; m.against < needed {
		return false
	}
	m.health = model.Health{State: verdict, Since: now}
	if answer != nil {
		m.health.Reason = fmt.Sprintf("%v, %d of %d", answer, m.against, needed)
	}
	m.against = 0
	return true
}

// pace is how long to wait for the next question.
func (m *machine) pace() time.Duration { return m.check.Pace(m.against > 0) }
