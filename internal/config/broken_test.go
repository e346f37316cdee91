// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

var update = flag.Bool("update", false, "write the golden files anew; the diff is the review")

// TestBrokenFilesAreExplained compares what an operator reads with the golden text beside the file.
func TestBrokenFilesAreExplained(t *testing.T) {
	for _, path := range glob(t, "testdata/broken/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			complaints := mustComplain(t, path)
			if !strings.HasSuffix(path, "many.yaml") && len(complaints.Complaints) != 1 {
				t.Errorf("one mistake, but %d complaints", len(complaints.Complaints))
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", complaints.Error()+"\n")
		})
	}
}

func mustComplain(t *testing.T, path string) *config.Error {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := config.Parse(filepath.Base(path), data)
	var complaints *config.Error
	if !errors.As(err, &complaints) {
		t.Fatalf("got %v, want complaints", err)
	}
	if diff := cmp.Diff(model.Spec{}, spec, byValue); diff != "" {
		t.Errorf("a broken file left something behind:\n%s", diff)
	}
	return complaints
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file matches %s (%v)", pattern, err)
	}
	return paths
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: write it with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", path, diff)
	}
}
