// SPDX-License-Identifier: Apache-2.0

package bfd_test

import (
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

const peersOfFRR = `bfd
 peer 192.0.2.1 local-address 192.0.2.2 interface eth0
  receive-interval 50
  transmit-interval 50
  detect-multiplier 4
 peer fe80::1 local-address fe80::2 interface eth0
  receive-interval 50
  transmit-interval 50
  detect-multiplier 4
`

// frr is bfdd. It has a session with .1 and fe80::1, faster than ours is: the slower of the two decides.
type frr struct{ *netlab.FRR }

func (n namespace) frr() frr {
	n.T.Helper()
	f := frr{n.NewFRR("bfdd", deadline)}
	f.begin()
	return f
}

func (f frr) begin() {
	f.T.Helper()
	f.Begin(peersOfFRR, "--bfdctl", f.At("bfdd.sock"))
}

// do gives bfdd orders, each in the place where the one before has led.
func (f frr) do(words ...string) []byte {
	f.T.Helper()
	var line []string
	for _, each := range words {
		line = append(line, "-c", each)
	}
	out, err := exec.Command("vtysh", append([]string{"--vty_socket", f.Dir(), "-d", "bfdd"}, line...)...).Output()
	if err != nil {
		f.T.Fatalf("vtysh %q: %v: %s", words, err, out)
	}
	return out
}

// standing is what it says of a session.
type standing struct {
	Peer             string `json:"peer"`
	Status           string `json:"status"`
	Diagnostic       string `json:"diagnostic"`
	RemoteDiagnostic string `json:"remote-diagnostic"`
	RemoteReceive    int    `json:"remote-receive-interval"`
	RemoteTransmit   int    `json:"remote-transmit-interval"`
	RemoteMultiplier int    `json:"remote-detect-multiplier"`
}

// sees waits until FRR has both sessions in a state.
func (f frr) sees(status string) (out []standing) {
	f.T.Helper()
	if !waits(func() bool {
		out = nil
		_ = json.Unmarshal(f.do("show bfd peers json"), &out)
		for _, each := range out {
			if each.Status != status {
				return false
			}
		}
		return len(out) == 2
	}) {
		f.T.Fatalf("FRR's sessions are not %s within %s, but %+v", status, deadline, out)
	}
	return out
}

// orders both sessions of FRR something.
func (f frr) orders(what string) {
	f.T.Helper()
	for _, family := range []string{"192.0.2.1 local-address 192.0.2.2", "fe80::1 local-address fe80::2"} {
		f.do("configure terminal", "bfd", "peer "+family+" interface eth0", what)
	}
}

// TestFRRIsThePeer: up, with the intervals of both; switched off and on; killed, and found out in time; and what FRR
// makes of one that is killed, and of one that ends.
func TestFRRIsThePeer(t *testing.T) {
	t.Parallel()
	netlab.NeedFRR(t, "bfdd")
	left, right := newLAN(t)
	peer := right.frr()
	weir := left.watch(left.sessions(1, 2)...)
	weir.sees(model.BFDUp, "hears this one")
	for _, each := range peer.sees("up") {
		if !waits(func() bool { each = peer.sees("up")[0]; return each.RemoteTransmit == 100 }) || each.RemoteReceive != 100 || each.RemoteMultiplier != 3 {
			t.Errorf("FRR knows %+v", each)
		}
	}
	for _, name := range []string{"v4", "v6"} {
		const theirs = 400 * time.Millisecond // four times the slower interval
		if !waits(func() bool { s := weir.seen(name); return s.Interval == 100*time.Millisecond && s.Detects == theirs }) {
			t.Errorf("%s: %+v", name, weir.seen(name))
		}
	}

	peer.orders("shutdown")
	weir.sees(model.BFDDown, "has switched it off")
	peer.orders("no shutdown")
	weir.sees(model.BFDUp, "")
	peer.sees("up")

	killed := time.Now()
	peer.End(syscall.SIGKILL)
	weir.sees(model.BFDDown, "no packet of")
	for _, name := range []string{"v4", "v6"} {
		// From the last packet, which may have been 50 ms before it was killed; and as long again for a busy host.
		if took := weir.seen(name).Since.Sub(killed); took < 300*time.Millisecond || took > 800*time.Millisecond {
			t.Errorf("%s was found dead after %s", name, took)
		}
	}
	peer.begin()
	weir.sees(model.BFDUp, "")
	peer.sees("up")

	weir.ends(syscall.SIGKILL)
	for _, each := range peer.sees("down") {
		if each.Diagnostic != "control detection time expired" {
			t.Errorf("FRR says %+v", each)
		}
	}
	again := left.watch(left.sessions(1, 2)...)
	again.sees(model.BFDUp, "")
	peer.sees("up")
	again.ends(syscall.SIGTERM)
	for _, each := range peer.sees("down") {
		if each.Diagnostic != "neighbor signaled session down" || each.RemoteDiagnostic != "administratively down" {
			t.Errorf("FRR says %+v", each)
		}
	}
}
