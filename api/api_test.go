// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/api"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var golden = map[string]any{
	"status": api.Status{
		Version: "1.2.3", Revision: 42, Applied: 41, Role: api.Single,
		Interfaces:  []api.Interface{{Name: "eth0", XDP: "generic", Reason: "the driver has no native XDP"}},
		Connections: api.Usage{Used: 7, Size: 262144, MemoryBytes: 19872576},
		Problems:    []api.Problem{{What: "service web takes no connections", Why: "it has no server", Fix: "add one"}},
	},
	"services": []api.Service{{
		Name: "web", Address: "192.0.2.10:80", Protocol: "tcp", Scheduler: "wrr",
		MSS: 1400, Servers: 3, Up: 2, Sorry: "spare", Active: 5, Inactive: 6, Traffic: traffic(true),
	}},
	"servers": []api.Server{
		{
			Service: "web", Address: "198.51.100.11:80", Forwarding: "nat", Weight: 2,
			Active: 3, Inactive: 4, HalfOpen: 1, Persistent: 2, State: "up", Traffic: traffic(true),
		},
		{
			Service: "web", Address: "198.51.100.12:80", Forwarding: "dr",
			State: "quiesced", Reason: "weight 0", Traffic: traffic(false),
		},
		{
			Service: "web", LentBy: "spare", Address: "198.51.100.21:80", Forwarding: "dr", Weight: 1,
			State: "standby", Reason: "of the sorry service spare", Traffic: traffic(false),
		},
		{
			Service: "web", Address: "203.0.113.13:80", Forwarding: "tun", Weight: 1, State: "up", Traffic: traffic(false),
			Tunnel: &api.Tunnel{Type: "gue", Port: 6080, Checksum: true, Source: "10.200.0.0/16"},
		},
		{
			Service: "web", Address: "203.0.113.14:80", Forwarding: "tun", Weight: 50, State: "up", Traffic: traffic(false),
			Effective: new(uint16(38)), Reason: "weight 38 of 50: agent says 75%",
			Tunnel: &api.Tunnel{Type: "ipip"},
		},
	},
	"connections": []api.Connection{{
		Protocol: "tcp", Client: "203.0.113.7:40000", Virtual: "192.0.2.10:80", Server: "198.51.100.11:80",
		State: "ESTABLISHED", ExpiresS: 893,
	}},
	"connections-count": api.ConnectionTotals{
		Connections: 3,
		Groups: []api.ConnectionGroup{
			{Protocol: "tcp", State: "ESTABLISHED", Server: "198.51.100.11:80", Connections: 2},
			{Protocol: "udp", State: "UDP", Server: "[2001:db8::53]:*", Connections: 1},
		},
	},
	"trace": api.Trace{
		Time: time.Date(2026, 11, 25, 12, 3, 11, 204518000, time.UTC), Missed: 3, Interface: "eth0", Packet: "ipv4 203.0.113.7 > 192.0.2.10",
		Stages:  []api.TraceStage{{Name: "connection", Result: "none"}},
		Verdict: "dr", Means: "forwarded by direct routing", Sent: "ipv4 203.0.113.7 > 192.0.2.10",
		FrameIn: &api.Frame{Bytes: []byte("frame"), Length: 1500}, FrameSent: &api.Frame{Bytes: []byte("sent"), Length: 4},
	},
	"connections-kill": api.Killed{Killed: 12},
	"events": []api.Event{
		{
			Time: time.Date(2026, 11, 25, 12, 3, 11, 0, time.UTC), Kind: "server_down", Severity: "warning", Service: "web",
			Address: "192.0.2.10:80", Protocol: "tcp", Server: "198.51.100.11:80", Reason: "http 503, expected 200-299, 3 of 3",
		},
		{
			Time: time.Date(2026, 11, 25, 12, 5, 11, 0, time.UTC), Kind: "service_up", Severity: "info", Service: "web",
			Address: "192.0.2.10:80", Protocol: "tcp", Since: time.Date(2026, 11, 25, 12, 3, 12, 0, time.UTC),
		},
		{
			Time: time.Date(2026, 11, 25, 12, 6, 11, 0, time.UTC), Kind: "vrrp_master", Severity: "warning", Router: "front", Priority: 100,
			Was: "backup", Group: "pair", Since: time.Date(2026, 11, 25, 12, 3, 12, 0, time.UTC), Reason: "no advert of 192.0.2.2 for 3.609s",
		},
	},
	"realserver": api.RealServer{
		VIPs:     []api.VIP{{Address: "192.0.2.10", Held: true}},
		Settings: []api.Setting{{Path: "net/ipv4/conf/all/arp_ignore", Value: 1, Least: 1}},
		Decapsulation: &api.Decapsulation{
			Interfaces: []api.Interface{{Name: "eth0", XDP: "native"}},
			Tunnels:    []string{"198.51.100.11"},
			Counters:   api.Counters{"decapsulated": 12, "passed": 3},
		},
		Problems: []api.Problem{},
	},
	"explanation": api.Explanation{
		Client: "203.0.113.7:40000", Virtual: "192.0.2.10:80", Protocol: "tcp",
		Service: &api.ExplainedService{Name: "web", Address: "192.0.2.10:80", Protocol: "tcp", Scheduler: "wlc"},
		New: &api.Way{
			Verdict: "dr", Means: "forwarded by direct routing", Server: "198.51.100.11:80", Forwarding: "dr",
			Reason:  "wlc: (active 3 x 256 + inactive 12) / weight 2 = 390 is the least of 1 server; 198.51.100.12:80 is full",
			NextHop: &api.NextHop{Interface: "eth1", Address: "198.51.100.11", Resolved: true, MAC: "02:00:00:00:03:01"},
		},
		Unknown: &api.Way{Verdict: "unknown_connection", Means: "the kernel resets it", Reason: "unknown: pass"},
		Servers: []api.Candidate{
			{Address: "198.51.100.11:80", Weight: 2, Active: 3, Inactive: 12, Compared: "(3 x 256 + 12) / 2 = 390"},
			{Address: "198.51.100.12:80", Weight: 1, Active: 9, PassedOver: "full: upper threshold 9; open again below 7"},
		},
	},
	"explanation-of-connection": api.Explanation{
		Client: "[2001:db8::7]:5353", Virtual: "[2001:db8::10]:53", Protocol: "udp",
		Service:  &api.ExplainedService{Name: "dns", Address: "[2001:db8::10]:*", Protocol: "udp", Scheduler: "twos"},
		Template: &api.ExplainedTemplate{Server: "[2001:db8::53]:*", ExpiresS: 359},
		Connection: &api.ExplainedConnection{
			Server: "[2001:db8::53]:53", State: "UDP", ExpiresS: 299, Packet: api.Way{
				Verdict: "no_neighbour", Means: "not known yet", Server: "[2001:db8::53]:*", Forwarding: "nat", Hashed: true,
				NextHop: &api.NextHop{Interface: "eth1", Address: "2001:db8::1"},
			},
		},
		Servers: []api.Candidate{{Address: "[2001:db8::53]:*", Weight: 1, Inactive: 1, Share: new(0.75)}},
	},
	"vrrp": []api.VirtualRouter{
		{
			Name: "front", Interface: "eth0", ID: 51, Version: 3, AdvertiseMS: 100, State: "backup",
			Since: time.Date(2026, 11, 25, 12, 3, 11, 0, time.UTC), Why: "a master of priority 200 (192.0.2.2) advertises", Priority: 100,
			Written: 150, Tracked: "service web has no server that is healthy (-50)", Group: "pair", Auth: "permissive",
			Master: "192.0.2.2", MasterPriority: new(uint8(200)), Addresses: []string{"192.0.2.10/24"},
			Silent: "eth1 to 10.9.0.2 brings no advert of 192.0.2.2, who is heard otherwise", Held: "no witness answers (192.0.2.1): this director may be cut off",
			Conflict: "192.0.2.9 advertises id 51 with other addresses", Mastered: 6, Sent: 1, Unsent: 4, Received: 2, Discarded: map[string]uint64{"ttl": 3},
		},
		{Name: "back", Interface: "eth1", ID: 52, Version: 2, AdvertiseMS: 1000, State: "init", Priority: 255, Written: 255, Addresses: []string{"10.0.0.1/24"}, Discarded: map[string]uint64{}},
	},
	"bfd": api.BFD{
		Sessions: []api.BFDSession{
			{
				Name: "uplink", Interface: "eth0", Peer: "192.0.2.1", Source: "192.0.2.2", State: "up", Since: time.Date(2026, 11, 25, 12, 3, 11, 0, time.UTC),
				Why: "192.0.2.1 is heard, and hears this one", IntervalMS: 100, DetectMS: 500, Sent: 1, Unsent: 2, Received: 3, Discarded: map[string]uint64{"ttl": 4},
			},
			{Name: "new", Interface: "eth7", Peer: "fe80::1", State: "down", Why: "interface eth7 is missing", IntervalMS: 1000, Discarded: map[string]uint64{}},
		},
		Strangers: map[string]uint64{"session": 5},
	},
	"sync": []api.Peer{
		{
			Peer: "192.0.2.3", Dialect: "weir", State: "in sync", Since: time.Date(2026, 11, 25, 12, 3, 11, 0, time.UTC), Why: "all slices agree", Role: "master",
			LagMS: 1, Queue: 2, Sent: 3, Unsent: 4, Received: 5, Lost: 6, Refused: map[string]uint64{"key": 7}, Dropped: 8,
			Rejected: map[string]uint64{"there is no room for it in the connection table": 9},
		},
		{Peer: "224.0.0.81:8848", Dialect: "ipvs", State: "open", Refused: map[string]uint64{}, Rejected: map[string]uint64{}},
	},
	"vrrp-step-down": api.SteppedDown{Routers: []string{"front"}},
	"notices": []api.Notice{
		{
			Number: 1, Kind: "mail", Channel: "mail to ops@example.org", Services: []string{"web"}, Events: []string{"server_down", "service_down"},
			Severity: "warning", Sent: 5, Failed: 4, Dropped: 3, Waiting: 2, Error: "mail server localhost:25: connection refused",
		},
		{Number: 2, Kind: "syslog", Channel: "syslog", Severity: "info"},
	},
	"notices-test": api.NoticeTested{Number: 1, Channel: "mail to ops@example.org", Error: "mail server localhost:25: connection refused"},
	"counters":     api.Counters{"dr": 12, "no_service": 3},
	"verdicts":     []api.Verdict{{Name: "dr", Help: "forwarded by direct routing"}},
	"reload":       api.Reloaded{Revision: 43},
	"error":        api.Error{Title: "Unprocessable Entity", Status: 422, Detail: "weir.yaml:7:5: …"},
}

func traffic(answers bool) api.Traffic {
	t := api.Traffic{Connections: 100, PacketsIn: 600, BytesIn: 60000}
	if answers {
		t.PacketsOut, t.BytesOut = new(uint64(500)), new(uint64(500000))
	}
	return t
}

func TestFieldsKeepTheirNames(t *testing.T) {
	for name, value := range golden {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(value, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("the JSON that programs rely on changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for name, value := range golden {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			got := reflect.New(reflect.TypeOf(value))
			if err := json.Unmarshal(text, got.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value, got.Elem().Interface()); diff != "" {
				t.Errorf("(-written +read):\n%s", diff)
			}
		})
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	for _, value := range []any{
		api.Status{}, api.Interface{}, api.Usage{}, api.Problem{}, api.Service{}, api.Traffic{},
		api.Server{}, api.Tunnel{}, api.Connection{}, api.ConnectionTotals{}, api.ConnectionGroup{}, api.Killed{},
		api.Explanation{}, api.ExplainedService{}, api.ExplainedTemplate{}, api.ExplainedConnection{}, api.Way{}, api.NextHop{}, api.Candidate{}, api.Verdict{}, api.Reloaded{},
		api.Notice{}, api.NoticeTested{}, api.VirtualRouter{}, api.SteppedDown{}, api.Event{},
	} {
		kind := reflect.TypeOf(value)
		for i := range kind.NumField() {
			if f := kind.Field(i); !f.Anonymous && f.Tag.Get("doc") == "" {
				t.Errorf("%s.%s has no doc", kind, f.Name)
			}
		}
	}
}
