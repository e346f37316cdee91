// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

var detour = model.Detour{Virtual: netip.MustParseAddr("192.0.2.10"), Server: netip.MustParseAddr("192.0.2.11"), Forwarding: model.DR}

// TestACheckWaitsForItsDetour, does not take its want for an answer, and goes by it as soon as it is there.
func TestACheckWaitsForItsDetour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var dialledTo []netip.AddrPort
		ask := func(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
			at, _ := dialled(ctx, to)
			dialledTo = append(dialledTo, at)
			return model.Advice{}, nil
		}
		key := web
		key.Detour, key.Target = detour, netip.MustParseAddrPort("192.0.2.10:80")
		c := &checker{log: slog.New(slog.NewTextHandler(&log, nil)), key: key, ask: ask, ways: newWays(), machine: machine{check: key.Check}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		verdicts := make(chan verdict, 9)
		go func() { c.run(ctx, 0, verdicts); close(done) }()
		time.Sleep(10 * time.Second)
		c.ways.set(map[model.Detour]model.DetourWay{detour: {Why: "clsact: no such thing"}})
		time.Sleep(10 * time.Second)
		if len(dialledTo) > 0 || len(verdicts) != 1 || (<-verdicts).health != (model.Health{Unable: "clsact: no such thing"}) || !strings.Contains(log.String(), `server=192.0.2.11 why="clsact: no such thing"`) {
			t.Errorf("dialled %v, %d verdicts, log %s", dialledTo, len(verdicts), log.String())
		}
		c.ways.set(map[model.Detour]model.DetourWay{detour: {To: netip.MustParseAddr("198.19.0.1")}})
		time.Sleep(10 * time.Second)
		cancel()
		<-done
		if len(dialledTo) < 9 || dialledTo[0] != netip.MustParseAddrPort("198.19.0.1:80") || len(verdicts) != 1 {
			t.Errorf("dialled %v, %d verdicts", dialledTo, len(verdicts))
		}
	})
}

// TestACheckWithoutItsDetourAsksTheServer, unless it was told to go by it: then it waits.
func TestACheckWithoutItsDetourAsksTheServer(t *testing.T) {
	for via, want := range map[model.Via]int{model.ViaDefault: 1, model.ViaVIP: 0} {
		var dialledTo []netip.AddrPort
		key := web
		key.Detour, key.Target, key.Check.Via = detour, netip.MustParseAddrPort("192.0.2.10:80"), via
		c := &checker{key: key, ask: func(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
			at, _ := dialled(ctx, to)
			dialledTo = append(dialledTo, at)
			return model.Advice{}, nil
		}}
		_, err := c.once(t.Context(), model.DetourWay{Why: "no room", To: detour.Server})
		if len(dialledTo) != want || isOwn(err) != (want == 0) || want > 0 && dialledTo[0] != netip.MustParseAddrPort("192.0.2.11:80") {
			t.Errorf("via %s: dialled %v, %v", via, dialledTo, err)
		}
	}
}

// TestKindsDialAliases, by TCP and UDP, and call whom they ask by its name.
func TestKindsDialAliases(t *testing.T) {
	alias := netip.MustParseAddr("127.0.0.2")
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	heard := make(chan string, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		text := make([]byte, 1024)
		n, _ := c.Read(text)
		heard <- string(text[:n])
	}()
	ctx, cancel := context.WithTimeout(withWay(t.Context(), alias), 10*time.Second)
	defer cancel()
	ask, err := probeHTTP(model.AskHTTP{Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.10"), port)
	_ = ask(ctx, to)
	if got := hears(t, heard); !strings.Contains(got, "\r\nHost: "+to.String()+"\r\n") {
		t.Errorf("the alias hears %q", got)
	}
	c, err := dialUDP(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.RemoteAddr().String(); got != netip.AddrPortFrom(alias, port).String() {
		t.Errorf("UDP goes to %s", got)
	}
}
