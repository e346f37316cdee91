// SPDX-License-Identifier: Apache-2.0

package bfd_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// sessionsOfKeepalived need a vrrp_instance: without anything that tracks them keepalived runs none. By itself it sends
// IPv6 with a hop limit of 64, which RFC 5881 section 5 has discarded.
const sessionsOfKeepalived = `global_defs {
 router_id peer
}
bfd_instance v4 {
 neighbor_ip 192.0.2.1
 source_ip 192.0.2.2
 min_rx 50
 min_tx 50
 multiplier 4
}
bfd_instance v6 {
 neighbor_ip 2001:db8::1
 source_ip 2001:db8::2
 min_rx 50
 min_tx 50
 multiplier 4
 HOPS
}
vrrp_instance front {
 state BACKUP
 interface eth0
 virtual_router_id 51
 virtual_ipaddress {
  192.0.2.51
 }
 track_bfd {
  v4
  v6
 }
}
`

// keepalived returns what ends it with a signal.
func (n namespace) keepalived(config string) (end func(syscall.Signal)) {
	n.T.Helper()
	dir := n.T.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("conf"), []byte(config), 0o600); err != nil {
		n.T.Fatal(err)
	}
	log, err := os.Create(at("log"))
	if err != nil {
		n.T.Fatal(err)
	}
	defer log.Close()
	process := n.Command("keepalived", "-n", "-l", "-D", "-f", at("conf"), "-p", at("pid"), "-r", at("vrrp.pid"), "-b", at("bfd.pid"), "-c", at("check.pid"))
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := process.Start(); err != nil {
		n.T.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = process.Wait() }()
	end = func(with syscall.Signal) {
		_ = syscall.Kill(-process.Process.Pid, with)
		select {
		case <-ended:
		case <-time.After(deadline):
			n.T.Error("keepalived does not end")
			_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	}
	n.T.Cleanup(func() {
		if end(syscall.SIGTERM); n.T.Failed() {
			text, _ := os.ReadFile(at("log"))
			n.T.Logf("keepalived said:\n%s", text)
		}
	})
	return end
}

// global are sessions of which that of IPv6 is not link-local.
func (n namespace) global(own, peer string) (out []model.BFDWant) {
	for _, want := range n.sessions(1, 2) {
		if want.Name == "v6" {
			want.Source, want.Peer = netip.MustParseAddr(own), netip.MustParseAddr(peer)
		}
		out = append(out, want)
	}
	return out
}

// TestKeepalivedIsThePeer: up, killed and found out, up again; what ends is missed, and one of IPv6 that comes with a hop
// limit of 64 is not believed.
func TestKeepalivedIsThePeer(t *testing.T) {
	t.Parallel()
	netlab.NeedKeepalived(t)
	left, right := newLAN(t)
	left.Run("ip addr add 2001:db8::1/64 dev eth0")
	right.Run("ip addr add 2001:db8::2/64 dev eth0")
	weir := left.watch(left.global("2001:db8::1", "2001:db8::2")...)
	end := right.keepalived(strings.ReplaceAll(sessionsOfKeepalived, "HOPS", "hoplimit 255"))
	weir.sees(model.BFDUp, "hears this one")
	for _, name := range []string{"v4", "v6"} {
		const theirs = 400 * time.Millisecond
		if !waits(func() bool { s := weir.seen(name); return s.Interval == 100*time.Millisecond && s.Detects == theirs }) {
			t.Errorf("%s: %+v", name, weir.seen(name))
		}
	}
	end(syscall.SIGKILL)
	weir.sees(model.BFDDown, "no packet of")

	right.keepalived(strings.ReplaceAll(sessionsOfKeepalived, "HOPS", ""))
	if !waits(func() bool {
		return weir.seen("v4").State == model.BFDUp && weir.order("counts").Counts["v6"].Discarded[bfd.ReasonTTL] > 0
	}) {
		t.Errorf("%+v, %+v", weir.seen("v4"), weir.order("counts"))
	}
	if s := weir.seen("v6"); s.State != model.BFDDown {
		t.Errorf("%+v", s)
	}
}
