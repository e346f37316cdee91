// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// TestFullRoomIsNotLookedThroughForEach record that is told, but once a second: one message has thousands of them.
func TestFullRoomIsNotLookedThroughForEach(t *testing.T) {
	var u unbound
	begun := time.Unix(0, 0)
	told := 0
	tell := func(at, left time.Duration) bool {
		a := netip.AddrFrom4([4]byte{10, byte(told >> 16), byte(told >> 8), byte(told)})
		r := model.Record{Protocol: model.TCP, Client: netip.AddrPortFrom(a, 20000), Left: left}
		told++
		u.note(r, model.RefusedServer, begun.Add(at))
		_, waits := u.waiting[r.Identity()]
		return waits
	}
	for range mostUnbound {
		tell(0, 100*time.Millisecond)
	}
	if tell(0, time.Hour) {
		t.Error("there is no bound")
	}
	if tell(unboundExpireEvery/2, time.Hour) {
		t.Error("all were looked through again at once")
	}
	if !tell(unboundExpireEvery, time.Hour) || len(u.waiting) != 1 {
		t.Errorf("a second later %d wait, want the one that was told", len(u.waiting))
	}
}
