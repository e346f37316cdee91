// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// hear lets a story listen to what systemd is told; only then is it told anything.
func (s *stage) hear(watchdog time.Duration) (*systemd, func() string) {
	var heard []string
	sd := &systemd{log: slog.New(slog.DiscardHandler), watchdog: watchdog}
	sd.notify = func(state string) error {
		heard = append(heard, strings.Split(state, "\n")...)
		return nil
	}
	s.systemd = sd
	go sd.Run(s.running, s.pulses)
	return sd, func() string {
		synctest.Wait()
		text := strings.Join(heard, " ")
		heard = nil
		return text
	}
}

func TestDaemonIsReadyWhenTheFirstRevisionIsApplied(t *testing.T) {
	play(t, web, func(s *stage) {
		_, heard := s.hear(0)
		time.Sleep(beat)
		if got := heard(); got != "STATUS=revision 1 is not applied yet EXTEND_TIMEOUT_USEC=10000000" {
			t.Errorf("before the network is known: %s", got)
		}
		s.see(mac, "192.0.2.11")
		if got := heard(); got != "READY=1 STATUS=revision 1 is applied" {
			t.Errorf("then: %s", got)
		}
		time.Sleep(time.Minute)
		if got := heard(); got != "" {
			t.Errorf("a minute in which nothing happened: %s", got)
		}
		s.stop()
		if got := heard(); got != "STOPPING=1" {
			t.Errorf("at the end: %s", got)
		}
	})
}

func TestReloadIsTold(t *testing.T) {
	play(t, web, func(s *stage) {
		_, heard := s.hear(0)
		s.see(mac, "192.0.2.11")
		heard()
		if _, err := s.Reload(s.t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		got := heard()
		reloading, rest, _ := strings.Cut(got, " ")
		if reloading != "RELOADING=1" || !strings.HasPrefix(rest, "MONOTONIC_USEC=") || !strings.HasSuffix(got, " READY=1 STATUS=revision 2 is applied") {
			t.Errorf("heard %s", got)
		}
	})
}

// TestReloadBeforeTheStartIsOverIsNoReadiness: it is refused, and the start goes on.
func TestReloadBeforeTheStartIsOverIsNoReadiness(t *testing.T) {
	play(t, web, func(s *stage) {
		_, heard := s.hear(0)
		if _, err := s.Reload(s.t.Context()); !errors.Is(err, ErrStarting) {
			t.Fatal(err)
		}
		if got := heard(); got != "" {
			t.Errorf("heard %s", got)
		}
	})
}

// TestHungOwnerDoesNotPing, and one that goes on does again.
func TestHungOwnerDoesNotPing(t *testing.T) {
	play(t, web, func(s *stage) {
		_, heard := s.hear(5 * time.Second)
		s.see(mac, "192.0.2.11")
		time.Sleep(time.Minute)
		if pings := strings.Count(heard(), "WATCHDOG=1"); pings < 12*3 || pings > 12*5 {
			t.Errorf("%d pings in a minute", pings)
		}
		free := make(chan struct{})
		s.tell(func(*model.Seen) { <-free })
		time.Sleep(time.Minute)
		if got := heard(); got != "" {
			t.Errorf("while the owner hangs: %s", got)
		}
		close(free)
		time.Sleep(5 * time.Second)
		if got := heard(); !strings.Contains(got, "WATCHDOG=1") {
			t.Errorf("afterwards: %q", got)
		}
	})
}

func TestStatusSaysWhyARevisionIsNotApplied(t *testing.T) {
	p := pulse{revision: 2, applied: model.Applied{Revision: 1, Dataplane: "interface eth0: busy\ninterface eth1: busy", Address: "no room"}}
	if got, want := p.String(), "revision 2 is not applied yet; interface eth0: busy; interface eth1: busy; no room"; got != want {
		t.Errorf("%s", got)
	}
}

// TestSystemdIsToldWhereItListens uses a socket as systemd makes one.
func TestSystemdIsToldWhereItListens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if sd, err := newSystemd(slog.New(slog.DiscardHandler)); sd != nil || err != nil {
		t.Fatalf("nobody listens, and there is %v, %v", sd, err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "400000")
	sd, err := newSystemd(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	owner := make(chan chan<- pulse)
	go sd.Run(ctx, owner)
	(<-owner) <- pulse{revision: 1, applied: model.Applied{Revision: 1}}
	text := make([]byte, 512)
	n, err := socket.Read(text)
	if want := "READY=1\nSTATUS=revision 1 is applied\nWATCHDOG=1"; string(text[:n]) != want || err != nil {
		t.Errorf("heard %q, %v", text[:n], err)
	}
}
