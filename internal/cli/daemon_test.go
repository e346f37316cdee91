// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"time"

	"github.com/weir-lb/weir/api"
)

// answer is what a daemon says to one request.
type answer struct {
	status int
	body   any
}

// daemons that a page may find; any other name is none.
var daemons = map[string]map[string]answer{
	"healthy": {
		"GET /v1/status": {200, api.Status{
			Version: "1.2.3", Revision: 42, Applied: 42, Role: api.Single,
			Interfaces: []api.Interface{
				{Name: "eth0", XDP: "native"},
				{Name: "eth1", XDP: "generic", Reason: "the driver has no native XDP"},
			},
			Connections: api.Usage{Used: 131072, Size: 262144, MemoryBytes: 19872576},
			Problems:    []api.Problem{},
		}},
		"GET /v1/services": {200, []api.Service{
			{
				Name: "web", Address: "192.0.2.10:80", Protocol: "tcp", Scheduler: "wrr", MSS: 1400, Servers: 3, Up: 2,
				Active: 5, Inactive: 60, Traffic: api.Traffic{
					Connections: 1000, PacketsIn: 12000, BytesIn: 1200000,
					PacketsOut: new(uint64(11000)), BytesOut: new(uint64(99000000)),
				},
			},
			{Name: "dns", Address: "[2001:db8::10]:*", Protocol: "udp", Scheduler: "rr", Servers: 1, Up: 1},
		}},
		"GET /v1/servers":                         {200, servers[:2]},
		"GET /v1/connections":                     {200, connections},
		"GET /v1/connections?limit=1&service=web": {200, connections[:1]},
		"GET /v1/connections?client=203.0.113.0%2F24&protocol=tcp&server=198.51.100.11&service=192.0.2.10%3A80&state=ESTABLISHED": {
			200, connections[:1],
		},
		"GET /v1/connections?state=ESTABLISHD": {400, api.Error{
			Status: 400, Detail: `state "ESTABLISHD": there is no such state: did you mean ESTABLISHED? write one of SYN_RECV, ESTABLISHED`,
		}},
		"GET /v1/connections/count":                                     {200, totals},
		"GET /v1/connections/count?state=CLOSE":                         {200, api.ConnectionTotals{Groups: []api.ConnectionGroup{}}},
		"DELETE /v1/connections?all=true":                               {200, api.Killed{Killed: 131072}},
		"DELETE /v1/connections?client=203.0.113.0%2F24&state=SYN_RECV": {200, api.Killed{Killed: 12}},
		"DELETE /v1/connections?service=wbe": {404, api.Error{
			Status: 404, Detail: "there is no service \"wbe\"; `weir services` lists them",
		}},
		"GET /v1/connections?service=wbe": {404, api.Error{
			Status: 404, Detail: "there is no service \"wbe\"; `weir services` lists them",
		}},
		"GET /v1/explain?client=203.0.113.7%3A40000&protocol=tcp&virtual=192.0.2.10%3A80":                       {200, explanations["new"]},
		"GET /v1/explain?client=203.0.113.7%3A40001&protocol=tcp&virtual=192.0.2.10%3A80":                       {200, explanations["known"]},
		"GET /v1/explain?client=203.0.113.7%3A40000&protocol=udp&virtual=192.0.2.10%3A80":                       {200, explanations["none"]},
		"GET /v1/explain?client=%5B2001%3Adb8%3A%3A7%5D%3A9&protocol=udp&virtual=%5B2001%3Adb8%3A%3A10%5D%3A53": {200, explanations["lots"]},
		"GET /v1/trace?client=203.0.113.7&frames=false&virtual=192.0.2.10%3A80":                                 {200, traces[0]},
		"GET /v1/trace?frames=true":             {200, traces[1]},
		"GET /v1/trace?client=any&frames=false": {409, api.Error{Status: 409, Detail: "busy: somebody traces already, and there can be one trace at a time: end that one"}},
		"GET /v1/counters":                      {200, api.Counters{"no_service": 12, "dr": 123456, "malformed": 0}},
		"GET /v1/verdicts": {200, []api.Verdict{
			{Name: "no_service", Help: "no service has this address, port and protocol"},
			{Name: "dr", Help: "forwarded by direct routing"},
			{Name: "malformed", Help: "addressed to a service, but its headers lie about their lengths"},
		}},
		"POST /v1/reload":                     {200, api.Reloaded{Revision: 43}},
		"GET /v1/notices":                     {200, notices},
		"GET /v1/events":                      {200, events},
		"GET /v1/vrrp":                        {200, routers},
		"GET /v1/bfd":                         {200, sessions},
		"GET /v1/sync":                        {200, peers},
		"POST /v1/vrrp/step-down":             {200, api.SteppedDown{Routers: []string{"front", "side"}}},
		"POST /v1/vrrp/step-down?router=side": {200, api.SteppedDown{Routers: []string{"side"}}},
		"POST /v1/vrrp/step-down?router=fornt&router=side": {404, api.Error{
			Status: 404, Detail: "there is no virtual router \"fornt\"; `weir vrrp` lists them",
		}},
		"POST /v1/vrrp/step-down?router=back": {409, api.Error{
			Status: 409, Detail: "this director is not master of back: it is backup, and 10.0.0.2 is master, with priority 200",
		}},
		"POST /v1/notices/1/test": {200, api.NoticeTested{Number: 1, Channel: notices[0].Channel, Error: notices[0].Error}},
		"POST /v1/notices/2/test": {200, api.NoticeTested{Number: 2, Channel: notices[1].Channel, Sent: true}},
		"POST /v1/notices/3/test": {404, api.Error{Status: 404, Detail: "there is no notice \"3\"; `weir notify` lists them, with their numbers"}},
	},
	"degraded": {
		"GET /v1/status": {200, api.Status{
			Version: "1.2.3", Revision: 42, Applied: 41, Role: api.Single,
			Interfaces:  []api.Interface{{Name: "eth0", XDP: "none", Reason: "program 12 of somebody else is on it"}},
			Connections: api.Usage{Size: 262144, MemoryBytes: 19872576},
			Problems: []api.Problem{
				{What: "no packet is balanced on eth0", Why: "program 12 of somebody else is on it", Fix: "remove the cause"},
				{What: "service web takes no connections", Why: "it has no server", Fix: "add one"},
			},
		}},
		"GET /v1/servers": {200, servers},
		"POST /v1/reload": {422, api.Error{
			Status: 422, Detail: "weir.yaml:7:5: service web: unknown key \"sheduler\"",
		}},
	},
	"empty": {
		"GET /v1/services":    {200, []api.Service{}},
		"GET /v1/connections": {200, []api.Connection{}},
		"GET /v1/notices":     {200, []api.Notice{}},
		"GET /v1/events":      {200, []api.Event{}},
		"GET /v1/vrrp":        {200, []api.VirtualRouter{}},
		"GET /v1/bfd":         {200, api.BFD{Sessions: []api.BFDSession{}, Strangers: map[string]uint64{}}},
		"GET /v1/sync":        {200, []api.Peer{}},
		"POST /v1/vrrp/step-down": {409, api.Error{
			Status: 409, Detail: "this director is master of no virtual router, so it has nothing to leave to another one; `weir vrrp` shows how they stand",
		}},
	},
}

var routers = []api.VirtualRouter{
	{
		Name: "front", Interface: "eth0", ID: 51, Version: 3, AdvertiseMS: 100, State: "master", Since: at(3, 11),
		Why: "no advert of 192.0.2.2 for 341ms", Priority: 150, Written: 150, Group: "pair", Addresses: []string{"192.0.2.10/24", "192.0.2.11/24"},
		Mastered: 3, Sent: 7200, Received: 12, Discarded: map[string]uint64{"ttl": 3, "checksum": 1, "version": 0},
	},
	{
		Name: "side", Interface: "eth0", ID: 53, Version: 3, AdvertiseMS: 1000, State: "master", Since: at(3, 12),
		Why: "its priority is 255", Priority: 255, Written: 255, Addresses: []string{"2001:db8::10/64"}, Discarded: map[string]uint64{},
	},
	{
		Name: "back", Interface: "eth1", ID: 52, Version: 2, AdvertiseMS: 1000, State: "backup", Since: at(5, 11),
		Why: "a master of priority 200 (10.0.0.2) advertises", Priority: 100, Written: 150, Tracked: "service web has no server that is healthy (-50)", Group: "pair", Auth: "enforce", Routes: []string{"0.0.0.0/0 via 10.0.0.1", "10.8.0.0/16 dev eth2"}, Master: "10.0.0.2", MasterPriority: new(uint8(200)),
		Addresses: []string{"10.0.0.254/24"}, Received: 720, Discarded: map[string]uint64{},
		Silent: "eth2 to 10.9.0.3 brings no advert of 10.0.0.2, who is heard otherwise", Held: "no witness answers (10.0.0.1): this director may be cut off",
		Conflict: "10.0.0.9 advertises id 52 with other addresses (10.0.0.77)",
	},
	{
		Name: "lost", Interface: "eth7", ID: 54, Version: 3, AdvertiseMS: 1000, State: "fault", Since: at(3, 12),
		Why: "interface eth7 is missing", Priority: 100, Written: 100, Addresses: []string{"192.0.2.12/32"}, Discarded: map[string]uint64{},
	},
	{Name: "new", Interface: "eth1", ID: 55, Version: 3, AdvertiseMS: 1000, State: "init", Priority: 100, Written: 100, Addresses: []string{"192.0.2.13/32"}, Discarded: map[string]uint64{}},
}

var sessions = api.BFD{
	Sessions: []api.BFDSession{
		{
			Name: "uplink", Interface: "eth0", Peer: "192.0.2.1", Source: "192.0.2.2", State: "up", Since: at(3, 11), Why: "192.0.2.1 is heard, and hears this one",
			IntervalMS: 100, DetectMS: 500, Sent: 72000, Received: 71000, Discarded: map[string]uint64{"ttl": 3, "auth": 1, "version": 0},
		},
		{
			Name: "local", Interface: "eth1", Peer: "fe80::1", Source: "fe80::2", State: "init", Since: at(5, 11), Why: "fe80::1 is heard, and does not say yet that it hears this one",
			IntervalMS: 1000, DetectMS: 3000, Sent: 12, Received: 12, Discarded: map[string]uint64{},
		},
		{
			Name: "lost", Interface: "eth7", Peer: "192.0.2.3", State: "down", Since: at(3, 12), Why: "interface eth7 is missing", IntervalMS: 1000, Discarded: map[string]uint64{},
		},
	},
	Strangers: map[string]uint64{"session": 7},
}

var peers = []api.Peer{
	{
		Peer: "192.0.2.3", Dialect: "weir", State: "in sync", Since: at(3, 11), Role: "master", LagMS: 12, Queue: 3, Sent: 7200, Received: 7300,
		Refused: map[string]uint64{"replay": 2, "key": 0}, Rejected: map[string]uint64{},
	},
	{
		Peer: "192.0.2.4", Dialect: "weir", State: "joining", Since: at(5, 11), Why: "12 of 256 slices are not here yet", Role: "mixed", Sent: 12,
		Unsent: 1, Received: 10, Lost: 4, Dropped: 7, Refused: map[string]uint64{"seal": 1, "epoch": 40},
		Rejected: map[string]uint64{"no service here has this address, port and protocol": 9, "there is no room for it in the connection table": 1},
	},
	{
		Peer: "192.0.2.5", Dialect: "weir", State: "silent", Since: at(3, 11), Why: "nothing was heard of it", Sent: 900,
		Refused: map[string]uint64{"key": 900}, Rejected: map[string]uint64{},
	},
	{Peer: "224.0.0.81:8848", Dialect: "ipvs", State: "open", Sent: 5, Received: 6, Refused: map[string]uint64{"syncid": 3}, Rejected: map[string]uint64{}},
}

var events = []api.Event{
	{
		Time: at(3, 11), Kind: "server_down", Severity: "warning", Service: "web", Address: "192.0.2.10:80", Protocol: "tcp",
		Server: "198.51.100.11:80", Reason: "http 503, expected 200-299, 3 of 3",
	},
	{
		Time: at(3, 12), Kind: "service_down", Severity: "critical", Service: "dns", Address: "192.0.2.10:53", Protocol: "udp",
		Reason: "198.51.100.53:53: down",
	},
	{
		Time: at(5, 11), Kind: "server_up", Severity: "info", Service: "web", Address: "192.0.2.10:80", Protocol: "tcp",
		Server: "198.51.100.11:80", Since: at(3, 11),
	},
	{
		Time: at(6, 11), Kind: "vrrp_master", Severity: "warning", Router: "front", Priority: 150, Was: "backup", Since: at(3, 11),
		Reason: "no advert of 192.0.2.2 for 341ms",
	},
	{Time: at(7, 11), Kind: "sync_lost", Severity: "warning", Peer: "192.0.2.3", Reason: "nothing was heard of it, for 10s"},
	{Time: at(9, 11), Kind: "sync_ready", Severity: "info", Peer: "192.0.2.3", Since: at(7, 11)},
}

func at(minute, second int) time.Time {
	return time.Date(2026, 1, 2, 12, minute, second, 0, time.Local)
}

var notices = []api.Notice{
	{
		Number: 1, Kind: "mail", Channel: "mail to ops@example.org", Severity: "info",
		Sent: 5, Failed: 4, Dropped: 3, Waiting: 2, Error: "mail server localhost:25: dial tcp 127.0.0.1:25: connect: connection refused",
	},
	{
		Number: 2, Kind: "exec", Channel: "exec /etc/weir/on-change", Services: []string{"web", "dns"}, Events: []string{"server_down", "service_down"},
		Severity: "warning", Sent: 11,
	},
}

var servers = []api.Server{
	{Service: "web", Address: "198.51.100.11:80", Forwarding: "dr", Weight: 10, Active: 5, Inactive: 60, State: "up"},
	{Service: "web", Address: "198.51.100.12:80", Forwarding: "nat", State: "quiesced", Reason: "weight 0"},
	{
		Service: "dns", Address: "[2001:db8::53]:*", Forwarding: "tun", Weight: 1,
		State: "unreachable", Reason: "no route to 2001:db8::53", HalfOpen: 7, Persistent: 9,
		Tunnel: &api.Tunnel{Type: "gue", Port: 6080, Source: "2001:db8:7::/64"},
	},
	{
		Service: "dns", Address: "203.0.113.53:*", Forwarding: "tun", Weight: 50, State: "up",
		Effective: new(uint16(38)), Reason: "weight 38 of 50: agent says 75%",
		Tunnel: &api.Tunnel{Type: "gre", Checksum: true},
	},
	{
		Service: "dns", Address: "203.0.113.54:*", Forwarding: "tun", Weight: 1, State: "up",
		Tunnel: &api.Tunnel{Type: "ipip"}, Traffic: api.Traffic{Connections: 4, PacketsIn: 20, BytesIn: 2000},
	},
}

var totals = api.ConnectionTotals{
	Connections: 838861,
	Groups: []api.ConnectionGroup{
		{Protocol: "tcp", State: "SYN_RECV", Server: "198.51.100.11:80", Connections: 838001},
		{Protocol: "tcp", State: "ESTABLISHED", Server: "198.51.100.12:80", Connections: 853},
		{Protocol: "udp", State: "UDP", Server: "[2001:db8::53]:*", Connections: 7},
	},
}

var connections = []api.Connection{
	{
		Protocol: "tcp", Client: "203.0.113.7:40000", Virtual: "192.0.2.10:80", Server: "198.51.100.11:80",
		State: "ESTABLISHED", ExpiresS: 893,
	},
	{
		Protocol: "udp", Client: "[2001:db8::7]:5353", Virtual: "[2001:db8::10]:53", Server: "[2001:db8::53]:53",
		State: "UDP", ExpiresS: 7265,
	},
}

var explanations = map[string]api.Explanation{
	"new": {
		Client: "203.0.113.7:40000", Virtual: "192.0.2.10:80", Protocol: "tcp",
		Service: &api.ExplainedService{Name: "web", Address: "192.0.2.10:80", Protocol: "tcp", Scheduler: "wlc"},
		New: &api.Way{
			Verdict: "dr", Means: "forwarded by direct routing", Server: "198.51.100.11:80", Forwarding: "dr",
			Reason:  "wlc: (active 3 x 256 + inactive 12) / weight 2 = 390 is the least of 1 server; 198.51.100.12:80 is full, 198.51.100.13:80 has weight 0",
			NextHop: &api.NextHop{Interface: "eth1", Address: "198.51.100.11", Resolved: true, MAC: "02:00:00:00:03:01"},
		},
		Unknown: &api.Way{
			Hashed: true, Verdict: "no_neighbour", Means: "the next hop's MAC is not known yet; the daemon was asked to resolve it",
			Server: "198.51.100.12:80", Forwarding: "tun", Reason: "the hash of the flow names it",
			NextHop: &api.NextHop{Interface: "eth1", Address: "198.51.100.1"},
		},
		Servers: []api.Candidate{
			{Address: "198.51.100.11:80", Weight: 2, Active: 3, Inactive: 12, Compared: "(3 x 256 + 12) / 2 = 390"},
			{Address: "198.51.100.12:80", Weight: 1, Active: 9, PassedOver: "full: upper threshold 9; open again below three quarters of it"},
			{Address: "198.51.100.13:80", PassedOver: "weight 0"},
		},
	},
	"known": {
		Client: "203.0.113.7:40001", Virtual: "192.0.2.10:80", Protocol: "tcp",
		Service:  &api.ExplainedService{Name: "web", Address: "192.0.2.10:80", Protocol: "tcp", Scheduler: "wlc"},
		Template: &api.ExplainedTemplate{Server: "198.51.100.1:80", ExpiresS: 359},
		Connection: &api.ExplainedConnection{
			Server: "198.51.100.1:80", State: "ESTABLISHED", ExpiresS: 893, Packet: api.Way{
				Verdict: "local", Means: "the server is this host", Server: "198.51.100.1:80", Forwarding: "local", Reason: "it has the connection",
			},
		},
		Servers: []api.Candidate{{Address: "198.51.100.1:80", Weight: 1, Active: 1}},
	},
	"none": {
		Client: "203.0.113.7:40000", Virtual: "192.0.2.10:80", Protocol: "udp", Servers: []api.Candidate{},
		New: &api.Way{
			Verdict: "no_service", Means: "no service has this address, port and protocol",
			Reason: "192.0.2.10 has no service at udp port 80; it has web (tcp 192.0.2.10:80)",
		},
	},
	"lots": {
		Client: "[2001:db8::7]:9", Virtual: "[2001:db8::10]:53", Protocol: "udp",
		Service: &api.ExplainedService{Name: "dns", Address: "[2001:db8::10]:*", Protocol: "udp", Scheduler: "twos"},
		New:     &api.Way{Reason: "twos: lots are drawn: of two of 2 servers, which are drawn by weight, that which has less to do for its weight; nobody can say which"},
		Servers: []api.Candidate{
			{Address: "[2001:db8::53]:*", Weight: 3, Compared: "(0 x 256 + 0) / 3 = 0", Share: new(0.9377)},
			{Address: "[2001:db8::54]:*", Weight: 1, Inactive: 7, Compared: "(0 x 256 + 7) / 1 = 7", Share: new(0.0623)},
		},
	},
}

// traces are packets of a trace, which ends behind them: one that is sent on, one that is dropped.
var traces = []api.Trace{
	{
		Time: time.Date(2026, 11, 25, 12, 3, 11, 204518000, time.UTC), Interface: "eth0",
		Packet: "203.0.113.7 > 192.0.2.10 | 40000 > 80 S",
		Stages: []api.TraceStage{
			{Name: "connection", Result: "none"}, {Name: "service", Result: "web (tcp 192.0.2.10:80), wlc"},
			{Name: "server", Result: "198.51.100.11:8080, picked by wlc"}, {Name: "connection", Result: "begun, SYN_RECV"},
			{Name: "forward", Result: "nat, out by eth1"},
		},
		Verdict: "nat_in", Means: "client to server, translated", Sent: "203.0.113.7 > 198.51.100.11 | 40000 > 8080 S",
	},
	{
		Time: time.Date(2026, 11, 25, 12, 3, 12, 0, time.UTC), Missed: 2, Interface: "eth0", Packet: "203.0.113.7 > 192.0.2.10",
		Stages: []api.TraceStage{}, Verdict: "malformed", Means: "its headers lie", FrameIn: &api.Frame{Bytes: []byte("frame"), Length: 1500},
		FrameSent: &api.Frame{Bytes: []byte("sent"), Length: 4},
	},
}
