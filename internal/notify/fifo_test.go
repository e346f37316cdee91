// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bufio"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

func openFIFO(t *testing.T) *fifo {
	t.Helper()
	f := &fifo{path: filepath.Join(t.TempDir(), "events"), fd: closed}
	t.Cleanup(f.close)
	if err := f.open(); err != nil {
		t.Fatal(err)
	}
	return f
}

func mustSend(t *testing.T, s sender, m message) {
	t.Helper()
	if err := s.send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// mustReadLines reads as a program does that follows the events.
func mustReadLines(t *testing.T, path string, n int) (out []string) {
	t.Helper()
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(reader)
	for len(out) < n && lines.Scan() {
		out = append(out, lines.Text())
	}
	if len(out) < n {
		t.Fatalf("%d lines, want %d: %v", len(out), n, lines.Err())
	}
	return out
}

func TestLinesAreKeepalived(t *testing.T) {
	v6 := eventOf(noon, model.ServerUp, "dns", 0)
	v6.ServiceKey = model.ServiceKey{Address: netip.MustParseAddr("2001:db8::10"), Port: 53, Protocol: model.UDP}
	v6.Server = model.ServerKey{Address: netip.MustParseAddr("2001:db8:1::11"), Port: 53}
	for want, e := range map[string]model.Event{
		"INSTANCE \"VI_1\" MASTER 100\n": routerEvent(model.VRRPToMaster),
		"INSTANCE \"VI_1\" BACKUP 100\n": routerEvent(model.VRRPToBackup),
		"INSTANCE \"VI_1\" FAULT 100\n":  routerEvent(model.VRRPToFault),
		"INSTANCE \"VI_1\" STOP 100\n":   routerEvent(model.VRRPToStop),

		// As keepalived 2.2.7 writes them with a vrrp_sync_group, whose last instance this is.
		"INSTANCE \"VI_1\" MASTER 100\nGROUP \"VG_1\" MASTER 0\n": ofGroup("VG_1", routerEvent(model.VRRPToMaster)),
		"INSTANCE \"VI_1\" STOP 100\nGROUP \"VG_1\" STOP 0\n":     ofGroup("VG_1", routerEvent(model.VRRPToStop)),

		"RS [10.0.0.11]:tcp:80 [192.0.2.10]:tcp:80 DOWN\n":      eventOf(noon, model.ServerDown, "web", 11),
		"RS [10.0.0.11]:tcp:80 [192.0.2.10]:tcp:80 UP\n":        eventOf(noon, model.ServerUp, "web", 11),
		"VS [192.0.2.10]:tcp:80 DOWN\n":                         eventOf(noon, model.ServiceDown, "web", 0),
		"VS [192.0.2.10]:tcp:80 UP\n":                           eventOf(noon, model.ServiceUp, "web", 0),
		"RS [2001:db8:1::11]:udp:53 [2001:db8::10]:udp:53 UP\n": v6,
	} {
		if got := fifoLine(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := fifoLine(eventOf(noon, model.PanicBegin, "web", 0)); got != "" {
		t.Errorf("keepalived has no panic, and this is told: %q", got)
	}
	if got := fifoLine(peerEvent(model.SyncLost)); got != "" {
		t.Errorf("keepalived tells nobody of connection sync, and this is told: %q", got)
	}
	if got := fifoLine(routerEvent(model.ConflictBegin)); got != "" {
		t.Errorf("keepalived tells nobody of conflicts, and this is told: %q", got)
	}
}

// TestLinesWaitForAReader: before it comes, and after it has gone.
func TestLinesWaitForAReader(t *testing.T) {
	f := openFIFO(t)
	for range 2 {
		mustSend(t, f, oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
		mustSend(t, f, oneEvent(eventOf(noon, model.ServerUp, "web", 11)))
		got := strings.Join(mustReadLines(t, f.path, 2), "\n")
		if want := "RS [10.0.0.11]:tcp:80 [192.0.2.10]:tcp:80 DOWN\nRS [10.0.0.11]:tcp:80 [192.0.2.10]:tcp:80 UP"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	info, err := os.Stat(f.path)
	if err != nil || info.Mode() != os.ModeNamedPipe|0o600 {
		t.Errorf("the FIFO is %v, %v", info.Mode(), err)
	}
}

// TestFullFIFOBlocksNobody, and its lines are whole.
func TestFullFIFOBlocksNobody(t *testing.T) {
	f := openFIFO(t)
	m := oneEvent(eventOf(noon, model.ServerDown, "web", 11))
	written := 0
	var err error
	for ; err == nil && written < 1<<20; written++ {
		err = f.send(t.Context(), m)
	}
	written-- // the last one failed
	if err == nil || !strings.Contains(err.Error(), "is full: nobody reads it") {
		t.Fatalf("after %d lines: %v", written, err)
	}
	for i, line := range mustReadLines(t, f.path, written) {
		if line != "RS [10.0.0.11]:tcp:80 [192.0.2.10]:tcp:80 DOWN" {
			t.Fatalf("line %d of %d is %q", i, written, line)
		}
	}
	mustSend(t, f, m)
}

func TestAnotherFIFOAtThePathIsFound(t *testing.T) {
	f := openFIFO(t)
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	mustSend(t, f, oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
	mustReadLines(t, f.path, 1)
}

func TestWhatIsNoFIFOIsLeftAlone(t *testing.T) {
	f := &fifo{path: filepath.Join(t.TempDir(), "events"), fd: closed}
	if err := os.WriteFile(f.path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := f.send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
	if err == nil || !strings.Contains(err.Error(), "is not a FIFO: remove it") {
		t.Errorf("got %v", err)
	}
	if got := mustRead(t, f.path); got != "mine" {
		t.Errorf("it holds %q", got)
	}
}
