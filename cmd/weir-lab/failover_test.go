// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/lab"
)

// TestFailoverDemoGoesWell is the demo itself, with the real weir. How long a takeover takes is shown, not judged. All
// events by all methods take minutes; the hardest one by NAT shows that a connection's entry is on the other director,
// since nothing else could serve it there.
func TestFailoverDemoGoesWell(t *testing.T) {
	if os.Getenv("WEIR_ALL") == "" {
		failoverGoesWell(t, 1, "--forwarding", "nat", "--event", "cut-off")
		return
	}
	failoverGoesWell(t, 8)
	failoverGoesWell(t, 6, "--forwarding", "nat")
	failoverGoesWell(t, 6, "--forwarding", "tun")
}

func failoverGoesWell(t *testing.T, events int, args ...string) {
	t.Helper()
	out := runDemo(t, append([]string{"failover"}, args...)...)
	var got failoverResult
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if !got.OK || len(got.Rows) != events*len(lab.Families()) {
		t.Errorf("printed %s", out)
	}
	for _, row := range got.Rows {
		if row.Connections != residents || row.Requests == 0 {
			t.Errorf("a row is of nobody: %+v", row)
		}
	}
}

// TestEventsAreChosen in the order in which they can happen.
func TestEventsAreChosen(t *testing.T) {
	tests := []struct{ method, names, want string }{
		{"", "", "dr planned killed cut-off returned link-flap one-way, nat cut-off, tun cut-off"},
		{"tun", "", "tun planned killed cut-off returned link-flap one-way"},
		{"", "one-way planned", "dr planned one-way"},
		{"nat", "killed cut-off", "nat killed cut-off"},
		{"nat", "one-way returned cut-off", "nat cut-off returned one-way"},
		{"nat", "returned", "what is cut off has to return"},
		{"nat", "cut-off one-way", "what is cut off has to return"},
		{"nat", "power", `no event "power": it is planned, killed, cut-off, returned, link-flap or one-way`},
		{"fullnat", "", `no forwarding "fullnat"`},
	}
	for _, test := range tests {
		chosen, err := scenesOf(test.method, strings.Fields(test.names))
		var got []string
		for _, s := range chosen {
			words := string(s.method)
			for _, e := range s.events {
				words += " " + e.name
			}
			got = append(got, words)
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if !strings.HasPrefix(strings.Join(got, ", "), test.want) {
			t.Errorf("%q, %q: %q, want %q", test.method, test.names, got, test.want)
		}
	}
}

func TestFailoverJSONIsTheContract(t *testing.T) {
	var out strings.Builder
	r := failoverResult{OK: true, Rows: []failoverRow{{Event: "planned", Method: lab.DR, Family: lab.IPv4, GapMS: 310, Connections: 1000, Requests: 2000, may: 1}}}
	if err := show(&out, true, r); err != nil {
		t.Fatal(err)
	}
	want := `{"ok":true,"rows":[{"event":"planned","method":"dr","family":"ipv4","gap_ms":310,"connections":1000,"lost":0,"requests":2000,"requests_failed":0}]}` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}

func TestEveryFlawOfFailoverIsAFailure(t *testing.T) {
	for name, spoil := range map[string]func(*failoverResult){
		"a row is missing":              func(r *failoverResult) { r.Rows = r.Rows[1:] },
		"nothing was shown":             func(r *failoverResult) { r.Rows, r.wanted = nil, 0 },
		"a connection was lost":         func(r *failoverResult) { r.Rows[1].Lost = 1 },
		"more requests failed than may": func(r *failoverResult) { r.Rows[0].RequestsFailed = r.Rows[0].may + 1 },
		"nobody asked":                  func(r *failoverResult) { r.Rows[2].Requests = 0 },
	} {
		var r failoverResult
		for _, s := range scenes() {
			for _, e := range s.events {
				r.Rows = append(r.Rows, failoverRow{Event: e.name, Method: s.method, Family: lab.IPv4, Connections: 5, Requests: 100, RequestsFailed: e.may, may: e.may})
			}
		}
		r.wanted = len(r.Rows)
		if r.judge(); !r.OK {
			t.Fatal("a good result is not ok")
		}
		spoil(&r)
		if r.judge(); r.OK {
			t.Errorf("%s, and the result is ok", name)
		}
	}
}

// TestNoRequestMayFailByPlan: whoever works on a director loses nobody.
func TestNoRequestMayFailByPlan(t *testing.T) {
	if planned.may != 0 {
		t.Errorf("%d requests may fail", planned.may)
	}
}

func TestRowsStandUnderTheirHead(t *testing.T) {
	row := failoverRow{Event: "link-flap", Method: lab.NAT, Family: lab.IPv6, GapMS: 312, Connections: 1000, Lost: 3, Requests: 260, RequestsFailed: 1, may: 2, what: "cable out"}
	want := `EVENT      METHOD  FAMILY     GAP  CONNECTIONS  LOST  REQUESTS  FAILED  WHAT HAPPENS
link-flap  nat     ipv6    0.31 s         1000     3       260       1  cable out
`
	head := failoverHead[strings.Index(failoverHead, "EVENT"):]
	if got := head + row.text(plain); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := row.text(coloured); !strings.Contains(got, "\x1b[31m   3\x1b[0m") || !strings.Contains(got, "\x1b[32m     1\x1b[0m") {
		t.Errorf("colours are wrong:\n%q", got)
	}
}

func TestFailoverOfNobodyIsAUsageError(t *testing.T) {
	for want, args := range map[string][]string{
		`no forwarding "masq": it is dr, nat or tun`: {"--forwarding", "masq"},
		"0 connections: at least one":                {"--connections", "0"},
	} {
		stdout, stderr, code := weirLab(t, append([]string{"demo", "failover"}, args...)...)
		if code != exitUsage || stdout != "" || stderr != "weir-lab: "+want+"\n" {
			t.Errorf("%v: exit code %d, printed %s%s", args, code, stdout, stderr)
		}
	}
}
