// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/config"
)

// TestProgramsThatOthersCanChangeAreRefused, as keepalived's script security does: the file, and what is above it.
func TestProgramsThatOthersCanChangeAreRefused(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "checks")
	path := filepath.Join(inner, "load")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	parse := func() error {
		_, err := config.Parse("weir.yaml", fmt.Appendf(nil,
			"services: [{address: 192.0.2.10:80, scheduler: rr, check: {all: [tcp, {exec: [%s, -x]}]}, servers: [10.0.0.11]}]", path))
		return err
	}
	if err := parse(); err != nil {
		t.Fatalf("a safe one is refused: %v", err)
	}
	for changed, mode := range map[string]os.FileMode{path: 0o757, inner: 0o777} {
		if err := os.Chmod(changed, mode); err != nil {
			t.Fatal(err)
		}
		err := parse()
		if err == nil || !strings.Contains(err.Error(), "weir.yaml:1:") || !strings.Contains(err.Error(), changed+" is writable by everybody") || !strings.Contains(err.Error(), "chmod o-w "+changed) {
			t.Errorf("%s with mode %o: got %v", changed, mode, err)
		}
		if err := os.Chmod(changed, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
