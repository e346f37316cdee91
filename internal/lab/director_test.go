// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// standIn is a shell script in place of weir, for what the lab does with any.
func standIn(t *testing.T, run, servers string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir")
	script := "#!/bin/sh\ncase $1 in\nrun) " + run + " ;;\n" +
		"status) echo '{\"revision\":3,\"applied\":3}'; exit 3 ;;\nservers) echo '" + servers + "' ;;\nesac\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	stays   = "echo started with $*; exec sleep 1000"
	serving = `[{"service":"web","address":"192.0.2.11:80","state":"up"}]`
)

func TestDaemonCanBeKilledAndStartedAgain(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Weir: standIn(t, stays, serving)})
	d := l.Directors[0]
	if err := d.Start(l.Services()); err != nil {
		t.Fatal(err)
	}
	if err := d.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := d.Restart(); err == nil {
		t.Error("a second daemon was started beside the first")
	}
	for life, end := range []func() error{d.Kill, d.Stop, d.Kill} {
		for ended := time.Now().Add(30 * time.Second); printed(t, d) <= life && time.Now().Before(ended); {
			time.Sleep(5 * time.Millisecond) // one that is killed too early has printed nothing
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := d.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := d.WaitReady(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	for ended := time.Now().Add(30 * time.Second); printed(t, d) < 4 && time.Now().Before(ended); {
		time.Sleep(5 * time.Millisecond)
	}
	if n := printed(t, d); n != 4 {
		t.Errorf("%d lives of four are in the log", n)
	}
}

// printed counts the lives of the daemon that are in its log.
func printed(t *testing.T, d *lab.Director) int {
	t.Helper()
	log, err := os.ReadFile(d.Log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), "started with run -c "+d.Config)
}

const lost = `[{"service":"web","address":"192.0.2.11:80","state":"unreachable","reason":"no answer to ARP"}]`

func TestDaemonThatEndsIsNotReadyAndSaysWhy(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Weir: standIn(t, "echo no interface eth9 >&2; exit 1", lost)})
	if err := l.Directors[0].Start(l.Services()); err != nil {
		t.Fatal(err)
	}
	deadline := within(t)
	err := l.Directors[0].WaitReady(deadline)
	if err == nil || deadline.Err() != nil || !strings.Contains(err.Error(), "no interface eth9") {
		t.Errorf("said %v", err)
	}
}

func TestDaemonWithoutAServerIsNotReadyAndSaysWhich(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Weir: standIn(t, stays, lost)})
	if err := l.Directors[0].Start(l.Services()); err != nil {
		t.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := l.Directors[0].WaitReady(deadline)
	if err == nil || !strings.Contains(err.Error(), "server 192.0.2.11:80 of web is unreachable: no answer to ARP") {
		t.Errorf("said %v", err)
	}
}

func TestDaemonWithAQuiescedServerIsReady(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Weir: standIn(t, stays, strings.Replace(serving, "up", "quiesced", 1))})
	if err := l.Directors[0].Start(l.Services()); err != nil {
		t.Fatal(err)
	}
	if err := l.Directors[0].WaitReady(within(t)); err != nil {
		t.Error(err)
	}
}

// TestTableIsAsLargeAsTheLabSays, unless the configuration says it.
func TestTableIsAsLargeAsTheLabSays(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Table: 65536})
	d := l.Directors[0]
	for config, want := range map[string]string{
		"\n":                                   "\n",
		"services: []":                         "services: []\nconnections: {size: 65536}\n",
		"connections: {size: 1024}\n":          "connections: {size: 1024}\n",
		"services: []\nconnections: {size: 9}": "services: []\nconnections: {size: 9}",
	} {
		if err := d.Configure(config); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(d.Config); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", config, got, err)
		}
	}
}

func TestTallyCountsEveryRequest(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Web: lab.WebOwn})
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	server := l.Servers[1]
	for _, f := range lab.Families() {
		web := netip.AddrPortFrom(server.Address.In(f), lab.WebPort)
		got := l.Client.Visit(within(t), web, 2)
		if got.Requests != 240 || got.Failed != 0 || got.Clients() != 120 || !got.Transparent() || got.Servers[server.Name] != 240 {
			t.Errorf("%s: %+v", f, got)
		}
	}
	nobody := netip.AddrPortFrom(server.Address.IPv4, 9)
	got := l.Client.Pace(within(t), []netip.AddrPort{nobody}, 5, time.Millisecond)
	if got.Requests != 5 || got.Failed != 5 || got.First == nil || got.Transparent() {
		t.Errorf("requests that nobody answers: %+v", got)
	}
}
