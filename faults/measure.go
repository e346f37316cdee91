// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Test injects those faults of a table that are wanted, each in a test of its own. The result is
// kept if a file for it was named, and judged in any case.
func Test(t *testing.T, table []Fault) {
	o, err := readOrder(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range table {
		name, known := catalogue[f.Number]
		if !known {
			t.Fatalf("fault %d is not in the catalogue: add it in faults/catalogue.go", f.Number)
		}
		if o.wants(f) {
			t.Run(fmt.Sprintf("%d %s", f.Number, name), func(t *testing.T) { o.measure(t, f) })
		}
	}
}

// Row injects faults of a table one behind the other, since they share something that is their test's: in one of its own,
// and small beside others.
func Row(t *testing.T, name string, table func(*testing.T) []Fault) {
	o, err := readOrder(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Run(name, func(t *testing.T) {
		if o.size() == Small {
			t.Parallel()
		}
		Test(t, table(t))
	})
}

// measure forgets the old figures first: those of a fault that cannot be measured any more are not
// to stay.
func (o order) measure(t *testing.T, f Fault) {
	if o.pairs(f) {
		t.Parallel()
	}
	o.keep(t, f, nil)
	run := f.Prepare(t, o.size())
	runs, err := f.repeat(run, o.count(f), o.size(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	figures := f.figures(runs)
	o.keep(t, f, figures)
	if f.Beside != "" {
		t.Logf("%3d  beside it: %s", f.Number, f.Beside)
	}
	for i, p := range f.Parts {
		t.Log(figures[i])
		if p.judged(o.size()) {
			judge(t, p, figures[i])
		}
	}
}

// judge fails what misses its bar, but for a miss that is known and no worse than that.
func judge(t testing.TB, p Part, figure Figure) {
	t.Helper()
	switch {
	case figure.Pass:
	case figure.Known != "":
		t.Logf("%3d  %s is missed as is known: %s", figure.Fault, p.Name, figure.Known)
	case p.Known.Why != "":
		t.Errorf("fault %d: %s: %g %s, the bar is %g, and %g is in reach", figure.Fault, p.Name, figure.Worst, p.Unit, p.Bar, p.Known.Reach)
	default:
		t.Errorf("fault %d: %s: %g %s, the bar is %g", figure.Fault, p.Name, figure.Worst, p.Unit, p.Bar)
	}
}

func (o order) keep(t *testing.T, f Fault, figures []Figure) {
	t.Helper()
	if o.file == "" {
		return
	}
	if err := keep(o.file, f, figures); err != nil {
		t.Fatal(err)
	}
}

// VoidError is why a run could not go on, where that says nothing: something else was wrong meanwhile.
type VoidError struct {
	Why string
	Err error
}

func (e VoidError) Error() string { return fmt.Sprintf("%v, while %s", e.Err, e.Why) }
func (e VoidError) Unwrap() error { return e.Err }

// repeat runs until so many runs count. A run that was disturbed, and missed a bar or could not go on, is void: it is
// said, and run again, as often as runs are wanted, and three times more.
func (f Fault) repeat(run Run, count int, size Size, log func(string, ...any)) ([]Measured, error) {
	var runs []Measured
	for voids := 0; len(runs) < count; {
		m, err := run()
		void, err := f.void(m, err, size)
		switch {
		case err != nil:
			return nil, fmt.Errorf("run %d: %w", len(runs)+1, err)
		case void == "":
			runs = append(runs, m)
			continue
		}
		log("void: %s", void)
		if voids++; voids > count+3 {
			return nil, fmt.Errorf("%d runs were void, the last: %s", voids, void)
		}
	}
	return runs, nil
}

// void is why a run does not count; "": it does, unless there is an error.
func (f Fault) void(m Measured, err error, size Size) (string, error) {
	if void := (VoidError{}); errors.As(err, &void) {
		return void.Error(), nil
	}
	if err == nil {
		err = f.complete(m)
	}
	missed := f.missed(m, size)
	if err != nil || missed == "" || m.Disturbed == "" {
		return "", err
	}
	return fmt.Sprintf("%s, while %s", missed, m.Disturbed), nil
}

// complete: a part that nobody measured would pass.
func (f Fault) complete(m Measured) error {
	var errs []error
	for _, p := range f.Parts {
		if _, ok := m.Figures[p.Name]; !ok {
			errs = append(errs, fmt.Errorf("fault %d: %s was not measured", f.Number, p.Name))
		}
	}
	return errors.Join(errs...)
}

// missed names the bars that a run has missed, and not as is known.
func (f Fault) missed(m Measured, size Size) string {
	var out []string
	for _, p := range f.Parts {
		if value := m.Figures[p.Name]; p.judged(size) && !p.passes(value) {
			out = append(out, fmt.Sprintf("%s %g %s", p.Name, value, p.Unit))
		}
	}
	return strings.Join(out, ", ")
}
