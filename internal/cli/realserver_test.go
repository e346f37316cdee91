// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/cli"
)

// realServers that a page may find, by the name of the state directory.
var realServers = map[string]api.RealServer{
	"/up": {
		VIPs:     []api.VIP{{Address: "192.0.2.10", Held: true}, {Address: "2001:db8::10", Held: true}},
		Settings: []api.Setting{{Path: "net/ipv4/conf/all/arp_ignore", Value: 1, Least: 1}},
		Decapsulation: &api.Decapsulation{
			Interfaces: []api.Interface{{Name: "eth0", XDP: "native"}},
			Tunnels:    []string{"198.51.100.11"},
			GUEPorts:   []int{6080},
			Counters:   api.Counters{"decapsulated": 120, "passed": 3, "refused": 0},
		},
		Routes:   []api.MSSRoute{{Destination: "0.0.0.0/0", Interface: "eth0", MSS: 1440, Most: 1440}},
		Problems: []api.Problem{},
	},
	"/damaged": {
		VIPs:     []api.VIP{{Address: "192.0.2.10"}},
		Problems: []api.Problem{{What: "192.0.2.10 is not on lo", Why: "somebody removed it", Fix: "run up again"}},
	},
}

// realServer is one that only looks.
func realServer() cli.RealServer {
	return cli.RealServer{
		Up: func(context.Context, cli.RealServerOptions) error {
			return fmt.Errorf("interface eth7: there is none of that name")
		},
		Down:   func(string) error { return nil },
		Status: func(state string) (api.RealServer, error) { return realServers[state], nil },
	}
}

func TestRealServerIsToldWhatTheLineSays(t *testing.T) {
	var got cli.RealServerOptions
	env := cli.Env{RealServer: cli.RealServer{Up: func(_ context.Context, o cli.RealServerOptions) error {
		got = o
		return nil
	}}}
	r := weir(t, env, "realserver", "up", "--vip", "192.0.2.10,2001:db8::10", "--vip", "192.0.2.10",
		"--tunnel", "gue", "--gue-port", "6080,7000", "--gue-port", "7000", "--mss", "1400", "--interface", "eth0", "--interface", "eth1", "--bpffs", "/b", "--state", "/s")
	if r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, &r.stderr)
	}
	got.Log = nil
	text := fmt.Sprintf("%+v", got)
	const want = "{VIPs:[192.0.2.10 2001:db8::10] Tunnel:gue GUEPorts:[6080 7000] MSS:1400 Interfaces:[eth0 eth1] BPFFS:/b StateDir:/s Log:<nil>}"
	if text != want {
		t.Errorf("told %s, want %s", text, want)
	}
}

func TestRealServerHasDefaults(t *testing.T) {
	var got cli.RealServerOptions
	env := cli.Env{RealServer: cli.RealServer{Up: func(_ context.Context, o cli.RealServerOptions) error {
		got = o
		return nil
	}}}
	for line, want := range map[string]string{
		"":                         " [6080] 0",
		"--tunnel none":            " [6080] 0",
		"--tunnel ipip":            "ipip [6080] 0",
		"--tunnel gre --mss off":   "gre [6080] -1",
		"--gue-port 7 --mss 65495": " [7] 65495",
	} {
		r := weir(t, env, append([]string{"realserver", "up", "--vip", "192.0.2.10"}, strings.Fields(line)...)...)
		if text := fmt.Sprint(got.Tunnel, " ", got.GUEPorts, " ", got.MSS); r.code != 0 || text != want {
			t.Errorf("%s: exit %d, told %s, want %s", line, r.code, text, want)
		}
	}
	for _, line := range []string{"--mss 535", "--mss 65496", "--mss large", "--gue-port 0", "--gue-port 65536", "--tunnel vxlan"} {
		r := weir(t, env, append([]string{"realserver", "up", "--vip", "192.0.2.10"}, strings.Fields(line)...)...)
		if r.code != 2 {
			t.Errorf("%s: exit %d: %s", line, r.code, &r.stderr)
		}
	}
}
