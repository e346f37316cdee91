// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

func touch(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestMaintenanceFiles(t *testing.T) {
	dir := t.TempDir()
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	touch(t, filepath.Join(dir, "10.0.0.11"), noon)
	touch(t, filepath.Join(dir, ".swp"), noon)
	if err := os.Mkdir(filepath.Join(dir, "10.0.0.12"), 0o700); err != nil {
		t.Fatal(err)
	}
	first := maintenanceFiles(dir, model.MaintenanceFiles{})
	if len(first.Since) != 1 || !first.Since["10.0.0.11"].Equal(noon) || first.Trouble != "" {
		t.Errorf("%+v", first)
	}
	touch(t, filepath.Join(dir, "10.0.0.11"), noon.Add(time.Hour)) // again
	if again := maintenanceFiles(dir, first); !again.Since["10.0.0.11"].Equal(noon) {
		t.Errorf("%+v", again)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	gone := maintenanceFiles(dir, first)
	if len(gone.Since) != 1 || !strings.Contains(gone.Trouble, "no such file or directory") {
		t.Errorf("without the directory: %+v", gone)
	}
	if other := maintenanceFiles(dir+"2", first); len(other.Since) != 0 || other.Dir != dir+"2" || other.Trouble == "" {
		t.Errorf("of another directory: %+v", other)
	}
	if none := maintenanceFiles("", first); none.Since != nil || none.Trouble != "" {
		t.Errorf("of none: %+v", none)
	}
}

// TestAFileIsAMaintenance: within a second, and at once where a reload names the directory.
func TestAFileIsAMaintenance(t *testing.T) {
	dir, run := t.TempDir(), t.TempDir()
	play(t, web+"maintenance_dir: "+dir+"\n", func(s *stage) {
		s.options.RunDir = run
		go s.watchMaintenance(s.running)
		file := filepath.Join(dir, "192.0.2.11:80")
		s.see(mac, "192.0.2.11")
		s.expectServer(1, 0)
		touch(t, file, time.Now())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.expectServer(0, 0)
		s.reload(web)
		s.expectServer(1, 0)
		s.reload(web + "maintenance_dir: " + dir + "\n")
		s.expectServer(0, 0)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.expectServer(1, 0)
	})
}

// TestAMissingDirectoryIsLoggedOnce, whoever looks there first: at start, by a reload, or later.
func TestAMissingDirectoryIsLoggedOnce(t *testing.T) {
	play(t, web, func(s *stage) {
		var log bytes.Buffer
		s.log = slog.New(slog.NewTextHandler(&log, nil))
		s.see(mac, "192.0.2.11")
		missing := web + "maintenance_dir: " + filepath.Join(t.TempDir(), "none") + "\n"
		s.reload(missing)
		s.reload(missing)
		if n := strings.Count(log.String(), "are not looked at"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
		s.maintenanceNow("/nonexistent", model.MaintenanceFiles{})
		if n := strings.Count(log.String(), "are not looked at"); n != 2 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
	})
}
