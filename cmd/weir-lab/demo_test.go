// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestDemoGoesWell is the demo itself, with the real weir.
func TestDemoGoesWell(t *testing.T) {
	out := runDemo(t)
	var got result
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if !got.OK || len(got.Rows) != 6 || got.Restart == nil || got.Restart.Requests != restartRequests {
		t.Errorf("printed %s", out)
	}
}

// runDemo runs a demo with the real weir, and returns its JSON.
func runDemo(t *testing.T, which ...string) []byte {
	t.Helper()
	requireRoot(t)
	weir := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", weir, "../weir").CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(append([]string{"demo"}, which...), "--json", "--weir", weir)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}
