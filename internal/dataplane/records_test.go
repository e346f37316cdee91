// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"maps"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// TestRecordInUseIsNotWritten: a packet that has begun to read a server's record may read it to its end.
func TestRecordInUseIsNotWritten(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	read := func() map[uint32]string {
		t.Helper()
		records, err := b.path.RecordsInUse()
		if err != nil {
			t.Fatal(err)
		}
		return records
	}
	b.apply(t, small(model.DR))
	for _, edit := range []struct {
		name   string
		change func(*model.ServiceWant)
	}{
		{"another way", second(func(w *model.ServerWant) { w.MAC[5]++ })},
		{"quiesced", second(func(w *model.ServerWant) { w.Weight = 0 })},
		{"gone", withoutSecond},
		{"there again", func(*model.ServiceWant) {}},
	} {
		before := read()
		b.apply(t, changed(small(model.DR), edit.change))
		after := read()
		same := 0
		for record, value := range before {
			if after[record] == value {
				same++
			} else if _, used := after[record]; used {
				t.Errorf("%s: record %d was written while it was in use", edit.name, record)
			}
		}
		if same == len(before) && len(after) == len(before) {
			t.Errorf("%s: nothing has changed", edit.name)
		}
	}
}

// TestRecordsComeAgainLate: whatever was replaced stays as it was for as many changes as there are servers.
func TestRecordsComeAgainLate(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	b.apply(t, small(model.DR))
	seen := map[uint32]bool{}
	for turn := range 200 {
		b.apply(t, changed(small(model.DR), second(func(w *model.ServerWant) { w.MAC[5] = byte(turn) })))
		if turn == 100 {
			b.restart(t, 64)
			b.apply(t, small(model.DR))
		}
		records, err := b.path.RecordsInUse()
		if err != nil {
			t.Fatal(err)
		}
		for record := range maps.Keys(records) {
			seen[record] = true
		}
	}
	if len(seen) < 2*200 {
		t.Errorf("400 records of servers were in use, and only %d different ones", len(seen))
	}
}
