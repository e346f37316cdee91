// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-lb/weir/internal/daemon"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/server"
)

// TestCleanupSparesALiveDaemon whose pins are elsewhere, or hidden.
func TestCleanupSparesALiveDaemon(t *testing.T) {
	dir := t.TempDir()
	o := daemon.Options{
		BPFFS: filepath.Join(dir, "bpf"), RunDir: dir, StateDir: dir, Log: slog.New(slog.DiscardHandler),
	}
	journal := filepath.Join(dir, "host.json")
	if err := os.WriteFile(journal, []byte(`{"version": 1, "boot": "an earlier one", "changes": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "weir.sock")
	listener, err := server.Listen(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Cleanup(t.Context(), o); !errors.Is(err, dataplane.ErrRunning) {
		t.Errorf("cleanup beside a live daemon: %v", err)
	}
	for _, path := range []string{journal, socket} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	listener.Close()
	if err := daemon.Cleanup(t.Context(), o); err != nil {
		t.Errorf("cleanup of a dead one: %v", err)
	}
	if _, err := os.Stat(journal); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
}
