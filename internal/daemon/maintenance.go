// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// maintenanceEvery is how often the directory of maintenance is looked at.
const maintenanceEvery = time.Second

// watchMaintenance tells the owner which files come and go there.
func (d *daemon) watchMaintenance(ctx context.Context) error {
	tick := time.NewTicker(maintenanceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s := d.state.Load()
		if s == nil {
			continue
		}
		before := s.seen.Maintenance
		if now := d.maintenanceNow(s.spec.MaintenanceDir, before); !reflect.DeepEqual(before, now) {
			d.tell(func(seen *model.Seen) {
				if d.spec.MaintenanceDir == now.Dir { // else a reload was faster
					seen.Maintenance = now
				}
			})
		}
	}
}

// maintenanceNow looks into the directory, and complains once where it cannot.
func (d *daemon) maintenanceNow(dir string, before model.MaintenanceFiles) model.MaintenanceFiles {
	now := maintenanceFiles(dir, before)
	if now.Trouble != "" && now.Trouble != before.Trouble {
		d.log.Error("files of maintenance are not looked at, who is in maintenance stays so", "why", now.Trouble)
	}
	return now
}

// maintenanceFiles looks into the directory. Who was in maintenance stays so while it cannot be read. When a file
// was touched counts from when it was seen first: touching it again changes nothing.
func maintenanceFiles(dir string, before model.MaintenanceFiles) model.MaintenanceFiles {
	out := model.MaintenanceFiles{Dir: dir}
	if dir == "" {
		return out
	}
	if before.Dir != dir {
		before.Since = nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		out.Since, out.Trouble = before.Since, err.Error()
		return out
	}
	out.Since = map[string]time.Time{}
	for _, entry := range entries {
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if since, known := before.Since[entry.Name()]; known {
			out.Since[entry.Name()] = since
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went while we looked
		}
		since := time.Now()
		if err == nil {
			since = info.ModTime()
		}
		out.Since[entry.Name()] = since
	}
	return out
}
