// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// A link that is shaped takes a least time, however fast the machine is.
func TestThrottledLinkCarriesNoMoreThanItShall(t *testing.T) {
	const mbits = 40
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Web: lab.WebOwn})
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.Throttle(l.Router, mbits*1e6); err != nil {
		t.Fatal(err)
	}
	before := carried(t, l)
	begin := time.Now()
	d := l.Client.Download(t.Context(), netip.AddrPortFrom(l.Servers[0].Address.IPv4, lab.WebPort), 2)
	time.Sleep(500 * time.Millisecond)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	bytes := carried(t, l) - before
	most := time.Since(begin).Seconds()*mbits*1e6/8 + 64<<10 // what it may send at once
	if received := d.Received(); received == 0 || bytes < uint64(received) || float64(bytes) > most {
		t.Errorf("%d bytes of a file came over a link that carried %d, and may carry %.0f", received, bytes, most)
	}
}

func carried(t *testing.T, l *lab.Lab) uint64 {
	t.Helper()
	bytes, err := l.Carried(l.Router)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
