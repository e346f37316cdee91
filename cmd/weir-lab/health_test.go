// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestHealthDemoGoesWell is the demo itself, with the real weir. How long it takes to find a fault is shown, not
// judged.
func TestHealthDemoGoesWell(t *testing.T) {
	out := runDemo(t, "health")
	var got healthResult
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if !got.OK || len(got.Rows) != len(faults()) {
		t.Errorf("printed %s", out)
	}
}

func TestHealthJSONIsTheContract(t *testing.T) {
	var out strings.Builder
	r := healthResult{OK: true, Rows: []healthRow{{Fault: "hung", DetectedMS: 2100, Failed: 3, Reason: "no answer"}}}
	if err := show(&out, true, r); err != nil {
		t.Fatal(err)
	}
	want := `{"ok":true,"rows":[{"fault":"hung","detected_ms":2100,"failed":3,"failed_after":0,"reason":"no answer"}]}` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}

func TestEveryFlawOfHealthIsAFailure(t *testing.T) {
	for name, spoil := range map[string]func(*healthResult){
		"a row is missing":               func(r *healthResult) { r.Rows = r.Rows[1:] },
		"a fault was not found":          func(r *healthResult) { r.Rows[1].DetectedMS = 0 },
		"a request failed after it":      func(r *healthResult) { r.Rows[2].FailedAfter = 1 },
		"nobody says what is the matter": func(r *healthResult) { r.Rows[3].Reason = "" },
	} {
		var r healthResult
		for _, f := range faults() {
			r.Rows = append(r.Rows, healthRow{Fault: f.name, DetectedMS: 1, Failed: 5, Reason: "no answer"})
		}
		if r.judge(); !r.OK {
			t.Fatal("a good result is not ok")
		}
		spoil(&r)
		if r.judge(); r.OK {
			t.Errorf("%s, and the result is ok", name)
		}
	}
}
