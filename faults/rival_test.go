// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 42.
const (
	exit     = "exit"     // until a second daemon has ended
	accepted = "accepted" // second daemons that did not refuse to run, or not by the name of the first
	touched  = "touched"  // foreign programs that were replaced, removed, or not named
)

// rival: a second daemon is started beside the first, in the same place and in others, and one on an
// interface that has somebody else's program.
func rival(weir string) faults.Fault {
	return faults.Fault{
		Number: 42,
		Parts: append(partsOfLoad(),
			faults.Part{Name: exit, Unit: faults.Seconds, Bar: 1},
			faults.Part{Name: accepted, Unit: "daemons"},
			faults.Part{Name: touched, Unit: "programs"},
		),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			g := newGround(t, lab.Config{Shape: lab.LAN, Directors: 2, Weir: weir}, usualLoad(size))
			other := g.lab.Directors[1]
			if err := errors.Join(g.lab.Occupy(&other.Node, lab.FirstLink), other.Configure(g.lab.LoadServices())); err != nil {
				t.Fatal(err)
			}
			r := &intruder{ground: g, weir: weir, other: other, log: t.Logf}
			return func() (faults.Measured, error) { return g.under(t.Context(), r.intrude) }
		},
	}
}

// intruder starts daemons where they must not run.
type intruder struct {
	*ground
	weir  string
	other *lab.Director // on whose interface somebody else's program is
	log   func(string, ...any)
}

func (r *intruder) intrude(ctx context.Context) (map[string]float64, error) {
	figures := map[string]float64{exit: 0, accepted: 0, touched: 0}
	if err := r.beside(ctx, figures); err != nil {
		return nil, err
	}
	return figures, r.foreign(ctx, figures)
}

// beside starts a second daemon in the place of the first, and in others. Each must name the first.
func (r *intruder) beside(ctx context.Context, figures map[string]float64) error {
	d, elsewhere := r.director, filepath.Join(r.lab.Dir(), "rival")
	defer os.RemoveAll(elsewhere)
	holder := regexp.MustCompile(fmt.Sprintf(`another weir is running \(pid %d, `, d.PID()))
	run, state := filepath.Join(elsewhere, "run"), filepath.Join(elsewhere, "state")
	for _, place := range [][]string{
		{"--bpffs", d.BPFFS, "--run", d.Run, "--state", d.State},
		{"--bpffs", d.BPFFS, "--run", run, "--state", state},
		{"--bpffs", d.BPFFS + "-rival", "--run", run, "--state", state},
	} {
		refusal, took, err := r.refused(ctx, d, place)
		if err != nil {
			return err
		}
		figures[exit] = max(figures[exit], took.Seconds())
		if !holder.MatchString(refusal) {
			figures[accepted]++
			r.log("weir run %v: %s", place, refusal)
		}
	}
	return nil
}

// foreign starts a daemon on an interface that somebody else's program is on, and cleans up after it.
func (r *intruder) foreign(ctx context.Context, figures map[string]float64) error {
	d := r.other
	before, err := r.program(ctx, d)
	if err != nil {
		return err
	}
	place := []string{"--bpffs", d.BPFFS, "--run", d.Run, "--state", d.State}
	refusal, _, err := r.refused(ctx, d, place)
	if err != nil {
		return err
	}
	if _, err := d.Output(ctx, r.weir, append([]string{"cleanup"}, place...)...); err != nil {
		return err
	}
	after, err := r.program(ctx, d)
	if err != nil {
		return err
	}
	if named := regexp.MustCompile(`program ` + before + ` \(lab_pass\) is left alone`); after != before || !named.MatchString(refusal) {
		figures[touched]++
		r.log("program %s was there, now %q: %s", before, after, refusal)
	}
	return nil
}

// program is the number of the program on a director's interface, "" for none.
func (r *intruder) program(ctx context.Context, d *lab.Director) (string, error) {
	text, err := d.Output(ctx, "ip", "-details", "link", "show", "dev", lab.FirstLink)
	if err != nil {
		return "", err
	}
	number := regexp.MustCompile(`prog/xdp id (\d+)`).FindStringSubmatch(text)
	if number == nil {
		return "", nil
	}
	return number[1], nil
}

// refused runs a daemon until it gives up, and returns what it said. One that does not give up is
// ended; it has said nothing.
func (r *intruder) refused(ctx context.Context, d *lab.Director, place []string) (string, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	begin := time.Now()
	_, err := d.Output(ctx, r.weir, slices.Concat([]string{"run", "-c", d.Config}, place)...)
	took := time.Since(begin)
	var failed *lab.CommandError
	var ended *exec.ExitError
	if errors.As(err, &failed) && errors.As(err, &ended) && ended.ExitCode() == 1 {
		return failed.Stderr, took, nil
	}
	if err != nil && ctx.Err() == nil {
		return "", took, err
	}
	return "", took, nil
}
