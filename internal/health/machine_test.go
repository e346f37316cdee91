// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// TestVerdicts: each sign is an answer, a second after the one before: + good, - bad. After it stands what the
// verdict became: u up, d down, space: it stays.
func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name          string
		begins        model.HealthState
		rise, fall    int
		answers, want string
	}{
		{"the first good answer is enough", model.HealthUnknown, 2, 3, "+++", "u  "},
		{"a new one that is bad has its chances, too", model.HealthUnknown, 2, 3, "----", "  d "},
		{"bad at first, then good", model.HealthUnknown, 2, 3, "--+", "  u"},
		{"it falls", model.HealthUp, 2, 3, "-----", "  d  "},
		{"one good answer is a new chance", model.HealthUp, 2, 3, "--+--+---", "        d"},
		{"it comes back", model.HealthDown, 2, 3, "++++", " u  "},
		{"one bad answer is a new doubt", model.HealthDown, 2, 3, "+-+-++", "     u"},
		{"down and up again", model.HealthUp, 2, 2, "--+-++--", " d   u d"},
		{"at once", model.HealthUp, 1, 1, "-+-+", "dudu"},
		{"flapping from answer to answer is no fall", model.HealthUp, 2, 2, "-+-+-+-+", "        "},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := machine{check: model.Check{Rise: test.rise, Fall: test.fall}, health: model.Health{State: test.begins}}
			if got := history(&m, test.answers); got != test.want {
				t.Errorf("%q makes %q, want %q", test.answers, got, test.want)
			}
		})
	}
}

// history is what becomes of a verdict.
func history(m *machine, answers string) string {
	var b strings.Builder
	for i, sign := range answers {
		var answer error
		if sign == '-' {
			answer = errors.New("http 503")
		}
		letter := byte(' ')
		if m.hear(answer, noon.Add(time.Duration(i)*time.Second)) {
			letter = m.health.State.String()[0]
		}
		b.WriteByte(letter)
	}
	return b.String()
}

func TestAVerdictSaysWhySinceWhen(t *testing.T) {
	m := machine{check: model.Check{Rise: 2, Fall: 3}, health: model.Health{State: model.HealthUp}}
	history(&m, "+---")
	want := model.Health{State: model.HealthDown, Since: noon.Add(3 * time.Second), Reason: "http 503, 3 of 3"}
	if m.health != want {
		t.Errorf("%+v, want %+v", m.health, want)
	}
	if history(&m, "++"); m.health != (model.Health{State: model.HealthUp, Since: noon.Add(time.Second)}) {
		t.Errorf("%+v", m.health)
	}
}

// TestPace: doubts are settled at the fast interval, if there is one.
func TestPace(t *testing.T) {
	m := machine{check: model.Check{Interval: 2 * time.Second, Fast: time.Second / 2, Rise: 2, Fall: 3}}
	for _, step := range []struct {
		answers string
		want    time.Duration
	}{
		{"+", 2 * time.Second}, {"-", time.Second / 2}, {"-", time.Second / 2}, {"-", 2 * time.Second},
		{"+", time.Second / 2}, {"+", 2 * time.Second},
	} {
		if history(&m, step.answers); m.pace() != step.want {
			t.Errorf("after %s, %s: %s, want %s", step.answers, m.health.State, m.pace(), step.want)
		}
	}
	m.check.Fast = 0
	if history(&m, "-"); m.pace() != 2*time.Second {
		t.Errorf("without a fast one it is %s", m.pace())
	}
}
