// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"errors"
	"slices"
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
		{"at once", model.HealthUp, 1, 1, "-+-", "dud"},
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
		{"down", model.Health{State: model.HealthDown, Reason: "agent: down"},
			model.Health{State: model.HealthDown, Reason: "agent: down", Latest: reason + ": what it said before counts"}, 1},
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

// TestWhoFlapsIsHeldBack: each pattern is how a server is, second by second, for five minutes, in which it is asked by
// the defaults, beginning at any moment of a second.
func TestWhoFlapsIsHeldBack(t *testing.T) {
	for _, test := range []struct {
		name, pattern string
		want          int // changes, at most
	}{
		{"a second each", "+-", 0},
		{"three seconds down and two up", "---++", 3},
		{"three seconds down and five up", "---+++++", 5},
		{"three seconds down and ten up", "---++++++++++", 7},
		{"ten seconds each", strings.Repeat("-", 10) + strings.Repeat("+", 10), 7},
		{"six seconds down and fifteen up", "------" + strings.Repeat("+", 15), 7},
		{"it falls once a minute", "---" + strings.Repeat("+", 57), 10},
	} {
		most := 0
		for tenth := range 10 {
			most = max(most, changes(test.pattern, time.Duration(tenth)*100*time.Millisecond))
		}
		if most != test.want || most > 10 {
			t.Errorf("%s: %d changes, want %d", test.name, most, test.want)
		}
	}
}

// changes of a server's state in five minutes.
func changes(pattern string, first time.Duration) (count int) {
	m := machine{check: model.Check{Interval: time.Second, Fast: 600 * time.Millisecond, Rise: 2, Fall: 3}, health: model.Health{State: model.HealthUp}}
	for at := first; at < 5*time.Minute; at += m.pace() {
		before := m.health.State
		life(&m, noon.Add(at), pattern[int(at.Seconds())%len(pattern):][:1])
		if m.health.State != before {
			count++
		}
	}
	return count
}

// TestWhoIsSteadyIsHeldBackNoMore: a fall that comes late is the first again.
func TestWhoIsSteadyIsHeldBackNoMore(t *testing.T) {
	m := machine{check: model.Check{Rise: 1, Fall: 1}, health: model.Health{State: model.HealthUp}}
	const fiveMinutes = 5 * 60
	now := noon
	for i, step := range []struct{ up, needed int }{
		{10, 1}, {10, 2}, {10, 4}, {10, 8}, {10, 8}, {fiveMinutes - 2, 8}, {fiveMinutes - 1, 1}, {10, 2}, {2 * fiveMinutes, 1},
	} {
		life(&m, now, strings.Repeat("+", step.up)+"-")
		now = now.Add(time.Duration(step.up+1) * time.Second)
		states := life(&m, now, strings.Repeat("+", step.needed))
		now = now.Add(time.Duration(step.needed) * time.Second)
		if want := strings.Repeat("d", step.needed-1) + "u"; states != want {
			t.Errorf("step %d: %s, want %s", i, states, want)
		}
	}
}

// life is what state each answer leaves, a second after the one before: u, d.
func life(m *machine, begins time.Time, answers string) string {
	var b strings.Builder
	for i, sign := range answers {
		var answer error
		if sign == '-' {
			answer = errors.New("http 503")
		}
		m.hear(model.Advice{}, answer, begins.Add(time.Duration(i)*time.Second))
		b.WriteByte(m.health.State.String()[0])
	}
	return b.String()
}

// TestWhoIsHeldBackSaysSo, each time that it is twice as far.
func TestWhoIsHeldBackSaysSo(t *testing.T) {
	m := machine{check: model.Check{Rise: 2, Fall: 1}, health: model.Health{State: model.HealthUp}}
	var told []string
	for i, sign := range "-++-++++-+-++++++++" {
		var answer error
		if sign == '-' {
			answer = errors.New("http 503")
		}
		if m.hear(model.Advice{}, answer, noon.Add(time.Duration(i)*time.Second)) {
			told = append(told, m.health.State.String()+" "+m.health.Latest)
		}
	}
	want := []string{"down ", "up ", "down ", "down good, 1 of 4", "down good, 2 of 4", "up ", "down ", "down good, 1 of 8", "down ",
		"down good, 1 of 8", "down good, 2 of 8", "down good, 4 of 8", "up "}
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}

// TestWhoCannotAskTellsIt, not with each question, and that it can again.
func TestWhoCannotAskTellsIt(t *testing.T) {
	up := model.Health{State: model.HealthUp, Since: noon}
	m := machine{check: model.Check{Rise: 2, Fall: 2}, health: up}
	files, ports := errors.New("connect: too many open files"), errors.New("connect: cannot assign requested address")
	for i, step := range []struct {
		after   time.Duration
		cannot  error // nil: it can, and the answer is good
		changed bool
		unable  error
	}{
		{0, nil, false, nil}, {1, files, true, files}, {2, files, false, files}, {3, ports, false, files}, {12, ports, true, ports}, {13, nil, true, nil}, {14, files, true, files},
	} {
		changed := false
		if now := noon.Add(step.after * time.Second); step.cannot != nil {
			changed = m.cannot(step.cannot, now)
		} else {
			changed = m.hear(model.Advice{}, nil, now)
		}
		want := up
		if step.unable != nil {
			want.Unable = step.unable.Error()
		}
		if changed != step.changed || m.health != want {
			t.Errorf("step %d: %t, %+v, want %t, %+v", i, changed, m.health, step.changed, want)
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

// TestPace: doubts are settled at the fast interval, if there is one, but not those of one that flaps.
func TestPace(t *testing.T) {
	const slow, fast = 2 * time.Second, time.Second / 2
	m := machine{check: model.Check{Interval: slow, Fast: fast, Rise: 2, Fall: 3}}
	for _, step := range []struct {
		answers string
		want    time.Duration
	}{
		{"+", slow}, {"-", fast}, {"-", fast}, {"-", slow}, {"+", fast}, {"+", slow},
		{"-", fast}, {"-", fast}, {"-", slow}, {"+", slow}, {"+", slow}, {"+", slow}, {"+", slow}, {"-", fast}, {"+", slow},
	} {
		if history(&m, step.answers); m.pace() != step.want {
			t.Errorf("after %s, %s: %s, want %s", step.answers, m.health.State, m.pace(), step.want)
		}
	}
	m.check.Fast = 0
	if history(&m, "-"); m.pace() != slow {
		t.Errorf("without a fast one it is %s", m.pace())
	}
}
