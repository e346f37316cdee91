// SPDX-License-Identifier: Apache-2.0

package bfd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// frr is the real one: bfdd, which hears of interfaces from zebra, in a directory of the user whom both become.
type frr struct {
	t       *testing.T
	n       namespace
	dir     string
	daemons []*exec.Cmd // in the order of their start
	ended   []chan struct{}
}

// programsOfFRR are where Debian has its daemons.
const programsOfFRR = "/usr/lib/frr"

func needFRR(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(programsOfFRR, "bfdd")); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs frr")
	}
	t.Skip("needs frr: make test-packages installs it")
}

// frr has a session with .1 and fe80::1, faster than ours is: the slower of the two decides.
func (n namespace) frr() *frr {
	n.t.Helper()
	dir, err := os.MkdirTemp("", "weir-frr")
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { os.RemoveAll(dir) })
	it, err := user.Lookup("frr")
	if err != nil {
		n.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(it.Uid)
	gid, _ := strconv.Atoi(it.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		n.t.Fatal(err)
	}
	f := &frr{t: n.t, n: n, dir: dir}
	n.t.Cleanup(func() { f.end(syscall.SIGTERM) })
	f.begin()
	return f
}

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

func (f *frr) at(name string) string { return filepath.Join(f.dir, name) }

func (f *frr) begin() {
	f.t.Helper()
	os.Remove(f.at("zserv")) // of one that was killed
	f.write("zebra.conf", "")
	f.write("bfdd.conf", peersOfFRR)
	f.start("zebra", "-z", f.at("zserv"))
	if !waits(func() bool { _, err := os.Stat(f.at("zserv")); return err == nil }) {
		f.t.Fatal("zebra has no socket")
	}
	f.start("bfdd", "-z", f.at("zserv"), "--bfdctl", f.at("bfdd.sock"))
}

func (f *frr) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.at(name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *frr) start(name string, words ...string) {
	f.t.Helper()
	words = append([]string{filepath.Join(programsOfFRR, name), "-f", f.at(name + ".conf"), "-i", f.at(name + ".pid"), "--vty_socket", f.dir,
		"-P", "0", "--log", "file:" + f.at(name+".log"), "--log-level", "info"}, words...)
	daemon, ended := f.n.command(words...), make(chan struct{})
	if err := daemon.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { defer close(ended); _ = daemon.Wait() }()
	f.daemons, f.ended = append(f.daemons, daemon), append(f.ended, ended)
}

// end ends bfdd before zebra.
func (f *frr) end(with syscall.Signal) {
	f.t.Helper()
	for i := len(f.daemons) - 1; i >= 0; i-- {
		_ = f.daemons[i].Process.Signal(with)
		select {
		case <-f.ended[i]:
		case <-time.After(deadline):
			f.t.Errorf("%s does not end", f.daemons[i].Path)
			_ = f.daemons[i].Process.Kill()
			<-f.ended[i]
		}
		name := filepath.Base(f.daemons[i].Args[3])                                     // behind nsenter's words
		os.RemoveAll(fmt.Sprintf("/var/tmp/frr/%s.%d", name, f.daemons[i].Process.Pid)) // one that is killed leaves it
	}
	f.daemons, f.ended = nil, nil
}

// do gives bfdd orders, each in the place where the one before has led.
func (f *frr) do(words ...string) []byte {
	f.t.Helper()
	var line []string
	for _, each := range words {
		line = append(line, "-c", each)
	}
	out, err := exec.Command("vtysh", append([]string{"--vty_socket", f.dir, "-d", "bfdd"}, line...)...).Output()
	if err != nil {
		f.t.Fatalf("vtysh %q: %v: %s", words, err, out)
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
func (f *frr) sees(status string) (out []standing) {
	f.t.Helper()
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
		f.t.Fatalf("FRR's sessions are not %s within %s, but %+v", status, deadline, out)
	}
	return out
}

// orders both sessions of FRR something.
func (f *frr) orders(what string) {
	f.t.Helper()
	for _, family := range []string{"192.0.2.1 local-address 192.0.2.2", "fe80::1 local-address fe80::2"} {
		f.do("configure terminal", "bfd", "peer "+family+" interface eth0", what)
	}
}

// TestFRRIsThePeer: up, with the intervals of both; switched off and on; killed, and found out in time; and what FRR
// makes of one that is killed, and of one that ends.
func TestFRRIsThePeer(t *testing.T) {
	t.Parallel()
	needFRR(t)
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
	peer.end(syscall.SIGKILL)
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
