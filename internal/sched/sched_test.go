// SPDX-License-Identifier: Apache-2.0

package sched_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

func servers(weights ...int) []model.ServerWant {
	var out []model.ServerWant
	for i, w := range weights {
		out = append(out, model.ServerWant{Key: model.ServerKey{Port: uint16(1 + i)}, Weight: uint16(w)})
	}
	return out
}

func TestTableIsOrderedAsInIPVS(t *testing.T) {
	for _, row := range []struct {
		name    string
		weights []int
		want    sched.Table
	}{
		{"no server", nil, sched.Table{Divisor: 1}},
		{"nobody takes connections", []int{0, 0}, sched.Table{Divisor: 1}},
		{"the last added is first", []int{1, 2, 3},
			sched.Table{Top: 3, Divisor: 1, Slots: []sched.Slot{{Server: 2, Weight: 3}, {Server: 1, Weight: 2}, {Server: 0, Weight: 1}}}},
		{"weight 0 has no slot", []int{4, 0, 6},
			sched.Table{Top: 5, Divisor: 2, Slots: []sched.Slot{{Server: 2, Weight: 6}, {Server: 0, Weight: 4}}}},
		{"one server", []int{65535}, sched.Table{Top: 1, Divisor: 65535, Slots: []sched.Slot{{Server: 0, Weight: 65535}}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, sched.Make(model.RR, servers(row.weights...)), cmpopts.IgnoreFields(sched.Slot{}, "Key")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPicksAreThoseOfIPVS compares each twin with runs of the real ip_vs (testdata/ipvs.txt).
func TestPicksAreThoseOfIPVS(t *testing.T) {
	for _, line := range lines(t, "testdata/ipvs.txt") {
		r := recorded(t, line)
		table := sched.Make(r.scheduler, servers(r.weights...))
		table.Version = 1
		if got := picked(sched.NewTwin(r.scheduler, model.SchedulerFlags{}), table, len(strings.Fields(r.picks)), r.keep); got != r.picks {
			t.Errorf("%s\n got %s\nwant %s", line, got, r.picks)
		}
	}
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []string
	for s := bufio.NewScanner(file); s.Scan(); {
		if line := s.Text(); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

// record is what one run of the real ip_vs picked.
type record struct {
	scheduler model.Scheduler
	keep      bool // connections stayed open
	weights   []int
	picks     string
}

// recorded reads a line such as "wrr close 1 2 3: 3 2 1".
func recorded(t *testing.T, line string) record {
	t.Helper()
	setup, picks, _ := strings.Cut(line, ": ")
	words := strings.Fields(setup)
	scheduler, ok := model.ParseScheduler(words[0])
	if !ok {
		t.Fatalf("%q: no such scheduler", line)
	}
	var weights []int
	for _, word := range words[2:] {
		weight, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		weights = append(weights, weight)
	}
	return record{scheduler: scheduler, keep: words[1] == "keep", weights: weights, picks: picks}
}

// picked lets a twin pick n times; servers are numbered from 1, as in the recordings. Each connection is
// an active one, or an inactive one, of its server from then on.
func picked(twin sched.Twin, table sched.Table, n int, keep bool) string {
	loads := map[int]sched.Load{}
	ask := sched.Ask{Load: func(server int) sched.Load { return loads[server] }}
	var out []string
	for range n {
		slot, ok := twin.Pick(table, ask)
		if !ok {
			out = append(out, "-")
			continue
		}
		out = append(out, strconv.Itoa(slot.Server+1))
		load := loads[slot.Server]
		if keep {
			load.Active++
		} else {
			load.Inactive++
		}
		loads[slot.Server] = load
	}
	return strings.Join(out, " ")
}

func TestEverySchedulerHasATwin(t *testing.T) {
	for _, s := range model.Schedulers() {
		if sched.NewTwin(s, model.SchedulerFlags{}) == nil {
			t.Errorf("%s has no twin", s)
		}
	}
}

func TestNobodyIsPickedFromAnEmptyTable(t *testing.T) {
	for _, s := range model.Schedulers() {
		if slot, ok := sched.NewTwin(s, model.SchedulerFlags{}).Pick(sched.Make(s, servers(0, 0)), sched.Ask{}); ok {
			t.Errorf("%s picked %v", s, slot)
		}
	}
}

func TestWRRSharesAreExact(t *testing.T) {
	for _, weights := range [][]int{{1}, {5}, {4, 6}, {10, 20, 30, 40}, {1, 65535}, {3, 0, 9}, {7, 11, 13}} {
		table := sched.Make(model.WRR, servers(weights...))
		table.Version = 1
		twin, got, period := sched.NewTwin(model.WRR, model.SchedulerFlags{}), make([]int, len(weights)), 0
		for _, w := range weights {
			period += w / int(table.Divisor)
		}
		for range period {
			slot, _ := twin.Pick(table, sched.Ask{})
			got[slot.Server] += int(table.Divisor)
		}
		if diff := cmp.Diff(weights, got); diff != "" {
			t.Errorf("%v: %s", weights, diff)
		}
	}
}

func TestWRRBeginsAgainWhenTheTableChanges(t *testing.T) {
	twin := sched.NewTwin(model.WRR, model.SchedulerFlags{})
	for version, step := range []struct {
		weights []int
		want    string
	}{
		{[]int{1, 2, 3}, "3 2 1 3"},   // the threshold stands at 3
		{[]int{4, 2}, "1 2 1 1 2 1"},  // divisor 2: the threshold is still 3
		{[]int{1, 1}, "2 1 2"},        // it falls to the new top
		{[]int{0, 0}, "- -"},          // and waits
		{[]int{1, 2, 3}, "3 2 1 3 3"}, // where it was
	} {
		table := sched.Make(model.WRR, servers(step.weights...))
		table.Version = uint32(version + 1)
		if got := picked(twin, table, len(strings.Fields(step.want)), false); got != step.want {
			t.Errorf("step %d, %v: got %s, want %s", version, step.weights, got, step.want)
		}
	}
}
