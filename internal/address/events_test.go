// SPDX-License-Identifier: Apache-2.0

package address

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRoutesOfChecksAreNoNews: there may be thousands, and no way to a server is among them. That one is gone
// matters to who made it.
func TestRoutesOfChecksAreNoNews(t *testing.T) {
	for _, test := range []struct {
		kind     uint16
		protocol byte
		heard    bool
		want     eventKind
		look     bool
	}{
		{unix.RTM_NEWROUTE, Protocol, false, 0, false},
		{unix.RTM_DELROUTE, Protocol, true, detourGone, false},
		{unix.RTM_NEWROUTE, unix.RTPROT_STATIC, true, routeChanged, true},
		{unix.RTM_DELROUTE, unix.RTPROT_STATIC, true, routeChanged, true},
	} {
		m := syscall.NetlinkMessage{Data: make([]byte, unix.SizeofRtMsg)}
		m.Header.Type, m.Data[5] = test.kind, test.protocol // rtm_protocol, rtnetlink(7)
		e, heard := parseEvent(m)
		if heard != test.heard || e.kind != test.want {
			t.Errorf("%+v: %v, %d", test, heard, e.kind)
		}
		if v := (&view{}); heard && (v.hear(e) != test.look || v.staleNetwork != test.look) {
			t.Errorf("%+v: the observer looks: %v", test, v.staleNetwork)
		}
	}
}
