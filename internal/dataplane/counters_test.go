// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// TestServiceKeepsTheCountsOfServersThatAreGone: also when another server has got their place, of this
// service or of another one.
func TestServiceKeepsTheCountsOfServersThatAreGone(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	port := uint16(20000)
	begin := func() {
		t.Helper()
		port++
		b.frame(t, front, packet.Build(talkTo(4, 10, 80, model.TCP, port).open()...))
	}
	all := small(model.DR)
	b.apply(t, all)
	begin()
	begin()
	for range 3 {
		b.apply(t, changed(all, withoutSecond))
		b.path.GiveIDsAgain()
		b.apply(t, all)
		b.compareCounters(t)
		begin()
		begin()
		b.compareCounters(t)
	}
	udp := all
	udp.Services = all.Services[1:]
	b.apply(t, udp)
	b.path.GiveIDsAgain()
	b.apply(t, all)
	b.compareCounters(t)
}
