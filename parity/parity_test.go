// SPDX-License-Identifier: Apache-2.0

package parity_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/parity"
)

var records = flag.String("records", "testdata", "directory of the records that weir is compared with")

// TestParity makes every connection of the records through weir, and prints what came of it.
func TestParity(t *testing.T) {
	requireLab(t)
	rows, err := parity.Read(*records)
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]parity.Result{}
	comparable := sift(t, rows, results)
	s := open(t, buildWeir(t), comparable)
	for _, batch := range parity.Batches(comparable) {
		s.serve(t, batch)
		s.play(t, results)
	}
	var all []parity.Result
	for _, row := range rows {
		if r, done := results[row.Place()]; done {
			all = append(all, r)
		}
	}
	fmt.Println(parity.Table(all))
	if len(all) != len(rows) {
		t.Errorf("%d of %d rows were compared", len(all), len(rows))
	}
	for _, r := range all {
		if r.Verdict == parity.Differs {
			t.Errorf("%s, %s: %s", r.Row.Name(), r.Row.Traffic, r)
		}
	}
}

// sift returns the rows of which this version has all that they ask, and says of the others why not.
func sift(t *testing.T, rows []parity.Row, results map[string]parity.Result) (out []parity.Row) {
	t.Helper()
	for _, row := range rows {
		later, err := row.Later()
		switch {
		case err != nil:
			t.Fatal(err)
		case !row.Tells():
			results[row.Place()] = parity.Result{Row: row, Verdict: parity.Mute, Note: "no answer came to any connection"}
		case later != "":
			results[row.Place()] = parity.Result{Row: row, Verdict: parity.Later, Note: later}
		default:
			out = append(out, row)
		}
	}
	return out
}

// play makes all connections, one row after the other.
func (s *stage) play(t *testing.T, results map[string]parity.Result) {
	t.Helper()
	for _, row := range s.rows {
		result, err := s.compare(t.Context(), row)
		if err != nil {
			s.tell(t)
			t.Fatalf("%s: %v", row.Place(), err)
		}
		results[row.Place()] = result
	}
}

func (s *stage) compare(ctx context.Context, row parity.Row) (parity.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result, err := s.judge(ctx, row)
	return result, errors.Join(err, s.hangUp())
}

func (s *stage) judge(ctx context.Context, row parity.Row) (parity.Result, error) {
	if row.ByShare() {
		return s.compareShares(ctx, row)
	}
	result, err := row.Follow(func(ask parity.Ask) (string, error) { return s.ask(ctx, row, ask) })
	if err != nil || result.Verdict == parity.Differs {
		return result, err
	}
	uncounted, err := s.compareCounts(ctx, row)
	if uncounted != "" {
		result.Verdict, result.Note = parity.Differs, uncounted
	}
	return result, err
}

// compareShares lets a crowd ask.
func (s *stage) compareShares(ctx context.Context, row parity.Row) (parity.Result, error) {
	asks := row.Crowd()
	for _, ask := range asks {
		pick, err := s.ask(ctx, row, ask)
		if err != nil {
			return parity.Result{}, err
		}
		s.picks[row.Place()] = append(s.picks[row.Place()], pick)
	}
	result := row.JudgeShares(asks, s.picks[row.Place()])
	if before, ok := row.Before(s.rows); ok {
		weir := row.Moved(s.picks[before.Place()], s.picks[row.Place()])
		result = result.JudgeMoved(weir, row.Moved(before.Picks, row.Picks))
	}
	return result, nil
}

// requireLab skips where there can be no network; in CI that is a failure.
func requireLab(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	const missing = "network namespaces need root"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// buildWeir builds the binary where everybody may execute it.
func buildWeir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	weir := filepath.Join(dir, "weir")
	cmd := exec.Command("go", "build", "-o", weir, "../cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v\n%s", err, strings.TrimSpace(string(out)))
	}
	return weir
}
