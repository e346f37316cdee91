// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// TestConfigPromisesTheRoomThereIs in the maps.
func TestConfigPromisesTheRoomThereIs(t *testing.T) {
	for _, c := range []struct {
		what           string
		room, promised uint32
	}{
		{"servers", maxServers, model.MaxAllServers},
		{"virtual routers", uint32(pathLimitMAX_ROUTERS) - 1, model.MaxVirtualRouters}, // the first number is nobody's
		{"addresses of them", uint32(pathLimitMAX_LEASED), model.MaxVirtualAddresses},
	} {
		if c.room != c.promised {
			t.Errorf("the maps have room for %d %s, the config for %d", c.room, c.what, c.promised)
		}
	}
}

func TestIDsComeAgainAsLateAsPossible(t *testing.T) {
	s := newIDs(4)
	s.keep(1) // read back from the maps
	for _, want := range []uint32{2, 3, 0} {
		if id, ok := s.take(); !ok || id != want {
			t.Errorf("took %d, %t, want %d", id, ok, want)
		}
	}
	if id, ok := s.take(); ok {
		t.Errorf("took %d though all are taken", id)
	}
	s.free(2)
	s.free(0)
	for _, want := range []uint32{2, 0} {
		if id, ok := s.take(); !ok || id != want {
			t.Errorf("took %d, %t, want %d", id, ok, want)
		}
	}
}

func TestFreedIDWaitsForItsTurn(t *testing.T) {
	s := newIDs(4)
	first, _ := s.take()
	s.free(first)
	if id, _ := s.take(); id == first {
		t.Errorf("%d came again at once", id)
	}
}
