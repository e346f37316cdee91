// SPDX-License-Identifier: Apache-2.0

package parity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weir-lb/weir/parity"
)

// parsed is the rows of a text.
func parsed(t *testing.T, text string) []parity.Row {
	t.Helper()
	rows, err := parity.Parse("x.txt", clientsText+text)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// saying answers asks in turn.
func saying(picks string) func(parity.Ask) (string, error) {
	left := strings.Split(picks, "")
	return func(parity.Ask) (string, error) {
		pick := left[0]
		left = left[1:]
		return pick, nil
	}
}

func TestTheFirstDifferenceIsTold(t *testing.T) {
	row := parsed(t, "== ovf\none keep [80]: 3 - . \n")[0]
	for picks, want := range map[string]string{
		"3--": "equal",
		"1":   "DIFFERS: connection 1 of 3: IPVS server 3, weir server 1 (x.txt:3)",
		"-":   "DIFFERS: connection 1 of 3: IPVS server 3, weir nobody (x.txt:3)",
		"32":  "DIFFERS: connection 2 of 3: IPVS nobody, weir server 2 (x.txt:3)",
		"3.":  "DIFFERS: connection 2 of 3: IPVS nobody, weir nobody, without a word (x.txt:3)",
		"3-.": "DIFFERS: connection 3 of 3: IPVS nobody, weir nobody, without a word (x.txt:3)",
	} {
		got, err := row.Follow(saying(picks))
		if err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", picks, got, err, want)
		}
	}
	if _, err := row.Follow(func(parity.Ask) (string, error) { return "", errors.New("no network") }); err == nil {
		t.Error("what was not compared was judged")
	}
}

func TestCountsAreComparedByServer(t *testing.T) {
	want := map[int]parity.Counts{1: {Active: 1}, 2: {Inactive: 3}}
	if got := parity.Uncounted(want, map[int]parity.Counts{1: {Active: 1}, 2: {Inactive: 3}, 3: {Active: 9}}); got != "" {
		t.Error(got)
	}
	got := parity.Uncounted(want, map[int]parity.Counts{1: {Active: 1}, 2: {Active: 3}})
	if got != "server 2 has 3 active and 0 inactive, in IPVS 0 and 3" {
		t.Error(got)
	}
}

// TestSharesAreThoseOfWeights lets a crowd pick in turn what stands in the list.
func TestSharesAreThoseOfWeights(t *testing.T) {
	const heading = "== mh -b mh-port\nmany close [80]: 3 3 3 - \n"
	for _, row := range []struct{ text, picks, want string }{
		{heading, "123323", "by share: 17 33 50 %, weights say 17 33 50 %; IPVS refuses 1 of 4"},
		{heading, "123", "DIFFERS: 33 33 33 %, weights say 17 33 50 % (x.txt:3)"},
		{heading, "12332-", "DIFFERS: 88 of 530 refused; 17 33 33 %, weights say 17 33 50 % (x.txt:3)"},
		{"== mh\none close [80]: 3 3 3 \n", "2", "by share: server 2 has the client, in IPVS server 3"},
		{"== mh\none close [80]: 3 3 3 \n", "23", "DIFFERS: client 10.0.0.2 had server 2, then server 3 (x.txt:3)"},
		{"== mh\nmany close [80]: 3 3 3 1 \n", "1233235", "DIFFERS: client 10.9.0.1 had server 1, then server 3 (x.txt:3)"},
		{"== mh\nmany close, server 2 at weight 0 [80]: 3 3 3 1 \n", "3133", "by share: 25 0 75 %, weights say 25 0 75 %"},
		{"== twos\none close [80]: 3 3 3 \n", "123323", "by share: 17 33 50 %, weights say 17 33 50 %"},
	} {
		r := parsed(t, row.text)[0]
		asks := r.Crowd()
		picks := make([]string, len(asks))
		for i := range picks {
			picks[i] = row.picks[i%len(row.picks):][:1]
			if i >= 500 && !strings.Contains(row.want, "then") {
				picks[i] = picks[i-500]
			}
		}
		if got := r.JudgeShares(asks, picks).String(); !r.ByShare() || got != row.want {
			t.Errorf("%s: %s\nwant %s", row.picks, got, row.want)
		}
	}
}

// TestACrowdIsOfTheRowsKind: hosts of their own, some of them twice, or ports of one host.
func TestACrowdIsOfTheRowsKind(t *testing.T) {
	rows := parsed(t, "== mh\none close [80]: 3 3 3 \nmany close [81]: 3 3 3 1 \n")
	for i, want := range []struct{ hosts, ports int }{{1, 500}, {500, 2}} {
		hosts, ports := map[any]bool{}, map[any]bool{}
		for _, ask := range rows[i].Crowd() {
			hosts[ask.From.Addr()], ports[ask.From.Port()] = true, true
		}
		if len(hosts) != want.hosts || len(ports) != want.ports {
			t.Errorf("%s: %d hosts, %d ports, want %v", rows[i].Traffic, len(hosts), len(ports), want)
		}
	}
}

// TestWhoMovesWithoutNeedIsCounted: the clients of the server that went have to.
func TestWhoMovesWithoutNeedIsCounted(t *testing.T) {
	rows := parsed(t, "== mh\none close [79]: 3 \nmany keep [80]: 3 \nmany close [81]: 2 3 3 1 \nmany close, server 2 removed [82]: 1 3 1 1 \n")
	before, ok := rows[3].Before(rows)
	if !ok || before.Line != rows[2].Line {
		t.Fatalf("it was compared with line %d, %v", before.Line, ok)
	}
	if _, ok := rows[2].Before(rows); ok {
		t.Error("nobody left")
	}
	moved := rows[3].Moved(before.Picks, rows[3].Picks)
	if moved < 33.3 || moved > 33.4 {
		t.Errorf("%f %% moved", moved)
	}
	result := parity.Result{Row: rows[3], Verdict: parity.Shared, Note: "all well"}
	if got := result.JudgeMoved(moved, 0).String(); got != "DIFFERS: all well; of other servers' clients 33.3 % move, in IPVS 0.0 % (x.txt:6)" {
		t.Error(got)
	}
	if got := result.JudgeMoved(moved, 30).String(); got != "by share: all well; of other servers' clients 33.3 % move, in IPVS 30.0 %" {
		t.Error(got)
	}
}

func TestTablePutsTogetherWhatIsAlike(t *testing.T) {
	rows := parsed(t, "== rr\none close [1]: 1 \none keep [2]: 1 \nmany close [3]: 1 \n== lc\none close [4]: 1 \n")
	var results []parity.Result
	for i, v := range []parity.Verdict{parity.Equal, parity.Equal, parity.Later, parity.Differs} {
		results = append(results, parity.Result{Row: rows[i], Verdict: v, Note: strings.Repeat("why", i/2)})
	}
	const want = `
SCHEDULER  TRAFFIC              RESULT
rr         one close; one keep  equal
rr         many close           not in this version yet: why
lc         one close            DIFFERS: why (x.txt:7)

2 equal, 0 by share, 1 DIFFERS, 1 not in this version yet, 0 record tells nothing
`
	if got := parity.Table(results); "\n"+got != want {
		t.Error(got)
	}
}

// TestConfigurationIsTheRecords: before and after what was changed.
func TestConfigurationIsTheRecords(t *testing.T) {
	rows := parsed(t, "== sh -b sh-port,sh-fallback\nmany close, server 2 at weight 0 [81]: 1 \nmany close, server 3 removed [82]: 1 \n")
	servers := func(changed bool) (out []string) {
		for line := range strings.Lines(parity.Services(rows, changed)) {
			if _, server, found := strings.Cut(line, "- {"); found {
				out = append(out, strings.TrimRight(server, "}\n"))
			}
		}
		return out
	}
	one, two, three := `address: "10.1.0.11:80", weight: 1`, `address: "10.1.0.12:80", weight: 2`, `address: "10.1.0.13:80", weight: 3`
	if got := servers(false); !slices.Equal(got, []string{one, two, three, one, two, three}) {
		t.Error("before:", got)
	}
	if got := servers(true); !slices.Equal(got, []string{one, `address: "10.1.0.12:80", weight: 0`, three, one, two}) {
		t.Error("after:", got)
	}
	if a, b := rows[0].ServiceName(), rows[1].ServiceName(); a != "x.txt-3" || b != "x.txt-4" {
		t.Errorf("services are called %s and %s", a, b)
	}
	if later, err := rows[0].Later(); later != "" || err != nil {
		t.Errorf("not in this version: %s, %v", later, err)
	}
}

// TestWhatIsNotThereYetIsToldFromWhatIsWrong: a mistake of ours is not something that comes later.
func TestWhatIsNotThereYetIsToldFromWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"== UDP: 10.0.0.2 ports 1..9, each\nrr [1]: 1 \n":     "",
		"== UDP: 10.0.0.2 ports 1..9, each\nwlcc [1]: 1 \n":   "error",
		"== UDP: 10.0.0.2 ports 1..9, each\nsh -b x [1]: 1\n": "error",
	} {
		later, err := parsed(t, text)[0].Later()
		if err != nil {
			later = "error"
		}
		if later != want {
			t.Errorf("%q: %q, %v; want %q", text, later, err, want)
		}
	}
}

// TestOneAddressHasOneServiceAtATime: rows of the same address are compared one after the other.
func TestOneAddressHasOneServiceAtATime(t *testing.T) {
	rows := parsed(t, "== rr\none close [1]: 1 \none keep [2]: 1 \n== lc\none close [1]: 1 \n== UDP: 10.0.0.2 ports 1..9, each\nrr [1]: 1 \n")
	batches := parity.Batches(rows)
	if len(batches) != 2 || len(batches[0]) != 3 || len(batches[1]) != 1 || batches[1][0].Scheduler != "lc" {
		t.Errorf("%v", batches)
	}
}
