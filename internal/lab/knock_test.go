// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// TestKnocksSeeWhatIsMissed: who could not see a gap, or a refusal, would find every takeover perfect.
func TestKnocksSeeWhatIsMissed(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Clients: 3})
	server := l.Servers[0]
	if _, err := server.StartTCPEcho(within(t), lab.FreshPort); err != nil {
		t.Fatal(err)
	}
	for _, f := range lab.Families() {
		k := l.Client.Knock(netip.AddrPortFrom(server.Address.In(f), lab.FreshPort))
		time.Sleep(200 * time.Millisecond)
		if err := l.Unplug(&server.Node); err != nil {
			t.Fatal(err)
		}
		const unplugged = 300 * time.Millisecond
		time.Sleep(unplugged)
		if err := l.Plug(&server.Node); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		seen, err := k.Stop()
		if err != nil || seen.Failed != 0 || seen.Gap < unplugged-20*time.Millisecond || seen.Gaps < seen.Gap || seen.Clients < 100 {
			t.Errorf("%s: a server was unplugged for %v: %+v, %v", f, unplugged, seen, err)
		}
		k = l.Client.Knock(netip.AddrPortFrom(server.Address.In(f), lab.FreshPort+1))
		time.Sleep(time.Second)
		if seen, err := k.Stop(); err != nil || seen.Failed != seen.Clients || seen.Failed == 0 || seen.Gap < 900*time.Millisecond || seen.First == nil {
			t.Errorf("%s: nobody listens: %+v, %v", f, seen, err)
		}
	}
}
