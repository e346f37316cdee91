// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"path/filepath"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// TestSyncLoadsWithTheUnitsCapabilities, which it is when the first one asks.
func TestSyncLoadsWithTheUnitsCapabilities(t *testing.T) {
	NeedRoot(t)
	dir := filepath.Join(mountForUnit(t), "weir")
	asUnit(t, func() {
		d, err := Open(Options{BPFFS: dir, MaxConns: 64, Log: discard})
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		defer func() {
			if err := d.Discard(); err != nil {
				t.Error(err)
			}
		}()
		if _, err := d.Digests(); err != nil {
			t.Errorf("%v", err)
		}
		if _, err := d.Insert([]model.Record{{}}); err != nil {
			t.Errorf("%v", err)
		}
	})
}
