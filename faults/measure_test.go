// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/ledger"
)

// example is a fault of three parts.
func example() Fault {
	return Fault{Number: 1, Parts: []Part{
		{Name: "lost", Unit: "connections"},
		{Name: "starts", Unit: "%", Bar: 100, AtLeast: true},
		{Name: "back", Unit: Seconds, Bar: 1},
	}}
}

func measured(lost, starts, back float64, disturbed string) Measured {
	return Measured{Figures: map[string]float64{"lost": lost, "starts": starts, "back": back}, Disturbed: disturbed}
}

// inTurn runs as often as there are results.
func inTurn(results ...Measured) Run {
	return func() (Measured, error) {
		if len(results) == 0 {
			return Measured{}, errors.New("one run too many")
		}
		first := results[0]
		results = results[1:]
		return first, nil
	}
}

func TestWorstOfAllRunsIsKept(t *testing.T) {
	runs := []Measured{measured(0, 100, 0.2, ""), measured(2, 100, 0.9996, ""), measured(1, 99, 0.1, "")}
	var got []string
	for _, f := range example().figures(runs) {
		got = append(got, strings.Join(strings.Fields(f.String()), " "))
	}
	want := []string{
		"1 lost runs 3 worst 2 connections bar 0 MISSED",
		"1 starts runs 3 worst 99 % bar 100 MISSED",
		"1 back runs 3 worst 1 s bar 1 pass",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// beyondReach is an example of two bars that are known to be out of reach.
func beyondReach() Fault {
	f := example()
	f.Parts[0].Known = Miss{Reach: 2, Why: "two are always lost"}
	f.Parts[1].Known = Miss{Reach: 90, Why: "each tenth does not start"}
	return f
}

// failures is a test that fails without being the test.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper() {}

func (f *failures) Logf(string, ...any) {}

func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func TestKnownMissIsRecordedAsOneAndFailsOnlyBeyondWhatIsInReach(t *testing.T) {
	for _, tt := range []struct {
		name   string
		run    Measured
		missed []string // parts that the file says are missed
		known  []string // and those of them of which it says why
		failed []string // what begins a failure
	}{
		{"as good as the bars", measured(0, 100, 0, ""), nil, nil, nil},
		{"as is known", measured(2, 90, 0, ""), []string{"lost", "starts"}, []string{"lost", "starts"}, nil},
		{"worse than is known", measured(3, 90, 0, ""), []string{"lost", "starts"}, []string{"starts"}, []string{"fault 1: lost: 3"}},
		{"worse than is known, at least", measured(2, 89, 0, ""), []string{"lost", "starts"}, []string{"lost"}, []string{"fault 1: starts: 89"}},
		{"another bar", measured(2, 100, 2, ""), []string{"lost", "back"}, []string{"lost"}, []string{"fault 1: back: 2"}},
	} {
		f, page := beyondReach(), &failures{}
		var missed, known []string
		for i, figure := range f.figures([]Measured{tt.run}) {
			if !figure.Pass {
				missed = append(missed, figure.Part)
			}
			if figure.Known != "" {
				known = append(known, figure.Part)
			}
			judge(page, f.Parts[i], figure)
		}
		failed := slices.EqualFunc(page.said, tt.failed, strings.HasPrefix)
		if !slices.Equal(missed, tt.missed) || !slices.Equal(known, tt.known) || !failed {
			t.Errorf("%s: missed %v, known %v, said %q", tt.name, missed, known, page.said)
		}
	}
}

// TestKnownMissVoidsNoRun: a disturbed run would be one each time.
func TestKnownMissVoidsNoRun(t *testing.T) {
	for value, voids := range map[float64]int{2: 0, 3: 1} {
		got := 0
		runs := []Measured{measured(value, 90, 0, "eth0 rx +1"), measured(0, 100, 0, "")}
		if _, err := beyondReach().repeat(inTurn(runs...), 1, Full, func(string, ...any) { got++ }); err != nil || got != voids {
			t.Errorf("%g lost: %d void, want %d: %v", value, got, voids, err)
		}
	}
}

func TestOnlyADisturbedRunThatMissedIsVoid(t *testing.T) {
	for _, tt := range []struct {
		name  string
		size  Size
		runs  []Measured
		voids int
		kept  float64 // lost in the last run
	}{
		{"missed, undisturbed", Full, []Measured{measured(3, 100, 0, "")}, 0, 3},
		{"met, disturbed", Full, []Measured{measured(0, 100, 0, "eth0 rx +1")}, 0, 0},
		{"missed, disturbed", Full, []Measured{measured(3, 100, 0, "eth0 rx +1"), measured(0, 100, 0, "")}, 1, 0},
		{"late, disturbed", Full, []Measured{measured(0, 100, 2, "eth0 rx +1"), measured(0, 100, 0, "")}, 1, 0},
		{"late, disturbed, small", Small, []Measured{measured(0, 100, 2, "eth0 rx +1")}, 0, 0},
	} {
		voids := 0
		got, err := example().repeat(inTurn(tt.runs...), 1, tt.size, func(string, ...any) { voids++ })
		if err != nil || len(got) != 1 || got[0].Figures["lost"] != tt.kept || voids != tt.voids {
			t.Errorf("%s: %v, %v, %d void", tt.name, got, err, voids)
		}
	}
}

func TestFaultThatIsAlwaysDisturbedEnds(t *testing.T) {
	runs := 0
	_, err := example().repeat(func() (Measured, error) {
		runs++
		return measured(1, 100, 0, "real1 eth0 rx +7"), nil
	}, 2, Full, t.Logf)
	if err == nil || !strings.Contains(err.Error(), "real1 eth0 rx +7") || runs != 6 {
		t.Errorf("after %d runs: %v", runs, err)
	}
}

// TestRunThatCannotGoOnIsVoidIfSomethingElseWasWrong: any other error is the fault's.
func TestRunThatCannotGoOnIsVoidIfSomethingElseWasWrong(t *testing.T) {
	failed := errors.New("connection reset by peer")
	for _, tt := range []struct {
		err  error
		runs int
		want string
	}{
		{fmt.Errorf("crowd: %w", VoidError{"a CPU stood still", failed}), 2, ""},
		{failed, 1, "run 1: connection reset by peer"},
	} {
		runs := 0
		got, err := example().repeat(func() (Measured, error) {
			if runs++; runs == 1 {
				return Measured{}, tt.err
			}
			return measured(0, 100, 0, ""), nil
		}, 1, Small, t.Logf)
		if runs != tt.runs || (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want || err == nil && len(got) != 1 {
			t.Errorf("%v: after %d runs %v, %v", tt.err, runs, got, err)
		}
	}
}

func TestPartThatNobodyMeasuredFails(t *testing.T) {
	run := inTurn(Measured{Figures: map[string]float64{"lost": 0, "back": 0}})
	if _, err := example().repeat(run, 1, Small, t.Logf); err == nil || !strings.Contains(err.Error(), "starts was not measured") {
		t.Errorf("said %v", err)
	}
}

func TestFileKeepsWhatOtherFaultsMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "faults.json")
	second := Fault{Number: 42, Parts: []Part{{Name: "lost", Unit: "connections"}}}
	for _, step := range []struct {
		fault   Fault
		figures []Figure
	}{
		{second, second.figures([]Measured{measured(0, 0, 0, "")})},
		{example(), example().figures([]Measured{measured(5, 100, 0.3126, "")})},
		{example(), example().figures([]Measured{measured(0, 100, 0.3126, "")})},
	} {
		if err := keep(file, step.fault, step.figures); err != nil {
			t.Fatal(err)
		}
	}
	const want = `[
  {"fault":1,"part":"lost","runs":1,"worst":0,"unit":"connections","bar":0,"pass":true},
  {"fault":1,"part":"starts","runs":1,"worst":100,"unit":"%","bar":100,"pass":true},
  {"fault":1,"part":"back","runs":1,"worst":0.313,"unit":"s","bar":1,"pass":true},
  {"fault":42,"part":"lost","runs":1,"worst":0,"unit":"connections","bar":0,"pass":true}
]
`
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("got %s%v, want %s", got, err, want)
	}
}

// TestFileKeepsWhatAnotherPackageMeasuredOfAFault, if both say that it is divided.
func TestFileKeepsWhatAnotherPackageMeasuredOfAFault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "faults.json")
	whole, one, other := example(), Fault{Number: 1, Divided: true}, Fault{Number: 1, Divided: true}
	one.Parts, other.Parts = whole.Parts[:2], whole.Parts[2:]
	runs := []Measured{measured(0, 100, 0, "")}
	for _, step := range []struct {
		fault Fault
		left  int
	}{{one, 2}, {other, 3}, {one, 3}, {whole, 3}} {
		if err := keep(file, step.fault, step.fault.figures(runs)); err != nil {
			t.Fatal(err)
		}
		if all, err := ledger.Read[Figure](file); err != nil || len(all) != step.left {
			t.Errorf("%d parts of %d: the file has %d figures, want %d: %v", len(step.fault.Parts), len(whole.Parts), len(all), step.left, err)
		}
	}
}

// TestFaultThatBreaksOffKeepsNoOldFigures: they would pass for new ones.
func TestFaultThatBreaksOffKeepsNoOldFigures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "faults.json")
	if err := keep(file, example(), example().figures([]Measured{measured(0, 100, 0, "")})); err != nil {
		t.Fatal(err)
	}
	f := example()
	f.Prepare = func(t *testing.T, size Size) Run {
		if size != Full {
			t.Errorf("size %v", size)
		}
		t.Skip("broken off")
		return nil
	}
	t.Run("measure", func(t *testing.T) { order{file: file}.measure(t, f) })
	if left, err := ledger.Read[Figure](file); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestNothingIsMeasuredBesideAnotherFault, and only those that say so are injected beside one.
func TestNothingIsMeasuredBesideAnotherFault(t *testing.T) {
	paired := example()
	paired.Paired = true
	small, full := order{}, order{file: "faults.json"}
	if !small.pairs(paired) || small.pairs(example()) || full.pairs(paired) || full.pairs(example()) {
		t.Errorf("small: %t, %t; full: %t, %t", small.pairs(paired), small.pairs(example()), full.pairs(paired), full.pairs(example()))
	}
}

func TestOrderIsReadFromTheEnvironment(t *testing.T) {
	read := func(only, runs string) (order, error) {
		return readOrder(func(name string) string {
			return map[string]string{envFile: "faults.json", envOnly: only, envRuns: runs}[name]
		})
	}
	long := example()
	long.Long = true
	o, err := read("42, 1", "")
	if err != nil || !o.wants(example()) || o.wants(Fault{Number: 2}) || o.count(example()) != 20 || o.count(long) != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := read("", "7"); err != nil || !o.wants(Fault{Number: 2}) || o.count(long) != 7 || o.size() != Full {
		t.Errorf("%+v, %v", o, err)
	}
	if small, err := readOrder(func(string) string { return "" }); err != nil || small.size() != Small || small.count(long) != 1 {
		t.Errorf("%+v, %v", small, err)
	}
	for _, wrong := range [][2]string{{"4711", ""}, {"one", ""}, {"", "0"}, {"", "many"}} {
		if _, err := read(wrong[0], wrong[1]); err == nil {
			t.Errorf("FAULTS=%s RUNS=%s was taken", wrong[0], wrong[1])
		}
	}
}
