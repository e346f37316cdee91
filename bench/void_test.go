// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

func TestShareCountsAt20MBps(t *testing.T) {
	used := lab.Usage{Program: 6 * time.Millisecond, Packets: 20_000, Daemon: 4 * time.Millisecond}
	for _, tt := range []struct {
		name     string
		used     lab.Usage
		received int64
		void     bool
	}{
		{"20 MB/s", used, 20_000_000, false},
		{"19 MB/s", used, 19_000_001, false},
		{"less", used, 18_900_000, true},
		{"more", used, 21_100_000, true},
		{"without the program", lab.Usage{Daemon: time.Millisecond}, 20_000_000, true},
	} {
		if s := judgeShare(tt.used, time.Second, tt.received); (s.void != "") != tt.void {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
	if s := judgeShare(used, 2*time.Second, 40_000_000); s.value != 0.5 {
		t.Errorf("10 ms in 2 s are %g %%", s.value)
	}
}

func TestSumCountsOverALinkThatIsShaped(t *testing.T) {
	for _, tt := range []struct {
		name     string
		method   lab.Forwarding
		received float64
		carried  float64
		void     bool
	}{
		{"all passes the link", lab.NAT, 93, 98, false},
		{"more than it carries", lab.NAT, 101, 98, true},
		{"not shaped", lab.NAT, 900, 1000, true},
		{"something else is the limit", lab.NAT, 60, 65, true},
		{"answers go past it", lab.DR, 1500, 25, false},
		{"not shaped", lab.DR, 9000, 120, true},
		{"nothing passes it", lab.TUN, 1500, 0, true},
	} {
		if s := judgeSum(tt.method, tt.received, tt.carried); (s.void != "") != tt.void || s.value != tt.received {
			t.Errorf("%s, %s: %+v", tt.method, tt.name, s)
		}
	}
}

// TestAnswersPassTheBalancerByNATOnly: figures would be of something else.
func TestAnswersPassTheBalancerByNATOnly(t *testing.T) {
	requireLab(t)
	weir := buildWeir(t)
	for _, method := range []lab.Forwarding{lab.NAT, lab.DR} {
		received, carried, packets := newGround(t, weir, method, true).pass(t, 8<<20)
		all := method == lab.NAT
		if segments := received / 1448; (carried > received) != all || (packets > segments) != all {
			t.Errorf("%s: clients received %d bytes; the balancer's link carried %d, its program saw %d packets", method, received, carried, packets)
		}
	}
}

// pass has clients download so many bytes, and says how many they were, and what the balancer had
// of it until then.
func (g *ground) pass(t *testing.T, bytes int64) (received, carried, packets uint64) {
	t.Helper()
	counting, err := lab.CountRunTime()
	if err != nil {
		t.Fatal(err)
	}
	defer counting.Close()
	clients := g.lab.Client.Download(t.Context(), g.web(lab.IPv4), 4)
	for ended := time.Now().Add(30 * time.Second); clients.Received() < bytes && time.Now().Before(ended); {
		time.Sleep(5 * time.Millisecond)
	}
	received = uint64(clients.Received()) // first: what comes meanwhile has passed the balancer
	carried, unread := g.lab.Carried(&g.director.Node)
	used, unknown := g.director.Usage()
	if err := errors.Join(unread, unknown, clients.Stop()); err != nil || received < uint64(bytes) {
		t.Fatalf("clients received %d bytes: %v", received, err)
	}
	return received, carried, used.Packets
}
