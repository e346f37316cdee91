// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
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
			if test.begins == model.HealthDown {
				m.health.Reason = decisive(errors.New("http 503"), test.fall)
			}
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
		if m.hear(model.Advice{}, answer, noon.Add(time.Duration(i)*time.Second)) {
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

// TestWeightsCountAtOnce, while verdicts take their time. Who is down has none.
func TestWeightsCountAtOnce(t *testing.T) {
	half, none := model.Advice{Given: true, Percent: true, Weight: 50, Says: "agent says 50%"}, model.Advice{}
	m := machine{check: model.Check{Rise: 2, Fall: 2}}
	bad := errors.New("agent: down")
	for i, step := range []struct {
		said    model.Advice
		answer  error
		changed bool
		want    model.Health
	}{
		{half, nil, true, model.Health{State: model.HealthUp, Since: noon, Advice: half}},
		{half, nil, false, model.Health{State: model.HealthUp, Since: noon, Advice: half}},
		{none, nil, true, model.Health{State: model.HealthUp, Since: noon}},
		{half, nil, true, model.Health{State: model.HealthUp, Since: noon, Advice: half}},
		{none, bad, false, model.Health{State: model.HealthUp, Since: noon, Advice: half}},
		{none, bad, true, model.Health{State: model.HealthDown, Since: noon.Add(5 * time.Second), Reason: "agent: down, 2 of 2"}},
		{half, nil, false, model.Health{State: model.HealthDown, Since: noon.Add(5 * time.Second), Reason: "agent: down, 2 of 2"}},
		{half, nil, true, model.Health{State: model.HealthUp, Since: noon.Add(7 * time.Second), Advice: half}},
	} {
		changed := m.hear(step.said, step.answer, noon.Add(time.Duration(i)*time.Second))
		if changed != step.changed || m.health != step.want {
			t.Errorf("step %d: %t, %+v, want %t, %+v", i, changed, m.health, step.changed, step.want)
		}
	}
}

// TestWhoMayBeSilentSpeaksForNoVerdict: what it said before counts, and it is told. Who never says anything keeps
// nobody waiting.
func TestWhoMayBeSilentSpeaksForNoVerdict(t *testing.T) {
	half := model.Advice{Given: true, Percent: true, Weight: 50}
	silent := mute{errors.New("agent: connect: connection refused")}
	const reason = "agent: connect: connection refused, 3 of 3"
	for _, test := range []struct {
		name        string
		begins, end model.Health
		told        int // so often
	}{
		{"up", model.Health{State: model.HealthUp, Advice: half}, model.Health{State: model.HealthUp, Advice: half, Reason: reason}, 1},
		{"down", model.Health{State: model.HealthDown, Reason: "agent: down"}, model.Health{State: model.HealthDown, Reason: "agent: down"}, 0},
		{"new", model.Health{}, model.Health{State: model.HealthUp, Since: noon.Add(2 * time.Second), Reason: reason}, 1},
	} {
		m, told := machine{check: model.Check{Rise: 2, Fall: 3}, health: test.begins}, 0
		for i := range 10 {
			if m.hear(model.Advice{}, silent, noon.Add(time.Duration(i)*time.Second)) {
				told++
			}
		}
		if m.health != test.end || told != test.told {
			t.Errorf("%s: %+v, told %d times, want %+v, %d", test.name, m.health, told, test.end, test.told)
		}
		m.hear(model.Advice{}, nil, noon.Add(time.Minute))
		if m.health.State == model.HealthUp && (m.health.Reason != "" || m.health.Advice != model.Advice{}) {
			t.Errorf("%s: it speaks again, but %+v", test.name, m.health)
		}
	}
}

// TestTheLatestAnswerIsTold: of a server that is down, when it is another one, and not with each answer.
func TestTheLatestAnswerIsTold(t *testing.T) {
	m := machine{check: model.Check{Rise: 2, Fall: 2}, health: model.Health{State: model.HealthUp}}
	for i, step := range []struct {
		after  time.Duration
		answer string // "": a good one
		want   string // the latest, where it is told
	}{
		{0, "http 503", ""}, {1, "http 503", "-"}, {2, "http 503", ""}, {3, "refused", "refused"}, {4, "refused", ""}, {5, "http 503", ""},
		{12, "reset", ""}, {13, "reset", "reset"}, {14, "", ""}, {15, "http 503", ""}, {30, "http 503", "-"}, {31, "", ""}, {32, "", "-"},
		{33, "refused", ""}, {34, "refused", "-"},
	} {
		var answer error
		if step.answer != "" {
			answer = errors.New(step.answer)
		}
		told := ""
		if m.hear(model.Advice{}, answer, noon.Add(step.after*time.Second)) {
			told = cmp.Or(m.health.Latest, "-")
		}
		if told != step.want {
			t.Errorf("step %d, %s: told is %q, want %q: %+v", i, step.answer, told, step.want, m.health)
		}
	}
	if m.health.Reason != "refused, 2 of 2" || m.health.Since != noon.Add(34*time.Second) {
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
