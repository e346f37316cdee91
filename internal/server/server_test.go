// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
	"github.com/weir-lb/weir/internal/server"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// director is a server.Director that says what it was told to.
type director struct {
	snapshot    report.Snapshot
	connections []report.Connection
	explained   map[string]report.Explanation
	traced      []report.Trace
	untold      map[string]error // why tests of notices do not get through, by channel
	breakAfter  int              // connections before the list breaks off
	steppedDown *[]string        // those that were asked for last
	stays       error            // why it does not step down
	err         error            // of everything
}

func (d director) StepDown(_ context.Context, names []string) error {
	*d.steppedDown = names
	return d.stays
}

func (d director) Snapshot(context.Context) (report.Snapshot, error) { return d.snapshot, d.err }

func (d director) Reload(context.Context) (uint64, error) { return d.snapshot.Revision + 1, d.err }

// Explain says what was explained of the virtual address.
func (d director) Explain(_ context.Context, flow model.Flow) (report.Explanation, error) {
	e := d.explained[flow.Virtual.String()]
	e.Flow = flow
	return e, d.err
}

// Trace tells of what is wanted by its client, and ends.
func (d director) Trace(_ context.Context, wanted model.TraceFilter, begun func(), yield func(report.Trace) error) error {
	if d.err != nil && d.breakAfter == 0 {
		return d.err
	}
	begun()
	for _, t := range d.traced {
		if wanted.Client.IsValid() && wanted.Client != t.Flow.Client {
			continue
		}
		if err := yield(t); err != nil {
			return err
		}
	}
	return d.err
}

func (d director) TestNotice(_ context.Context, notice model.Notice) error {
	return d.untold[notice.How.String()]
}

// Kill says how many of the connections are wanted; none is ended.
func (d director) Kill(_ context.Context, wanted func(report.Connection) bool) (killed uint64, err error) {
	for i, c := range d.connections {
		if d.err != nil && i == d.breakAfter {
			break
		}
		if wanted(c) {
			killed++
		}
	}
	return killed, d.err
}

func (d director) Connections(_ context.Context, yield func(report.Connection) bool) error {
	for i, c := range d.connections {
		if d.err != nil && i == d.breakAfter {
			return d.err
		}
		if !yield(c) {
			return nil
		}
	}
	return d.err
}

var (
	webKey = model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: model.TCP}
	dnsKey = model.ServiceKey{Address: netip.MustParseAddr("2001:db8::10"), Protocol: model.UDP}
)

func example() director {
	return director{
		snapshot: report.Snapshot{
			Revision: 42, Applied: 41, Role: report.Single,
			Interfaces:  []report.Interface{{Name: "eth0", XDP: "generic", Reason: "the driver has no native XDP"}},
			Connections: report.Usage{Used: 3, Size: 262144, MemoryBytes: 19872576},
			Services: []report.Service{
				{
					Name: "web", Key: webKey, Scheduler: model.WRR, MSS: 1400, Servers: 3, Up: 2, Sorry: "spare", Active: 1, Answers: true,
					Counts: report.Counts{Connections: 2, PacketsIn: 20, BytesIn: 2000, PacketsOut: 10, BytesOut: 9000},
				},
				{Name: "dns", Key: dnsKey, Scheduler: model.RR, Counts: report.Counts{Connections: 1, PacketsIn: 1, BytesIn: 60}},
			},
			Servers: []report.Server{
				{
					Service: "web", ServiceKey: webKey, Key: serverKey("198.51.100.11:80"),
					Forwarding: model.NAT, Weight: 2, Effective: new(uint16(1)), State: report.Up,
					Reading: report.ServerReading{Active: 1, Counts: report.Counts{PacketsOut: 10}},
				},
				{
					Service: "web", ServiceKey: webKey, Key: serverKey("198.51.100.12:80"),
					Forwarding: model.DR, State: report.Quiesced, Reason: "weight 0",
				},
				{
					Service: "web", ServiceKey: webKey, Key: serverKey("198.51.100.21:80"), Sorry: true, LentBy: "spare",
					Forwarding: model.DR, Weight: 1, State: report.Standby, Reason: "of the sorry service spare",
				},
				{
					Service: "web", ServiceKey: webKey, Key: serverKey("198.51.100.1:80"),
					Forwarding: model.NAT, Local: true, Weight: 1, State: report.Up,
				},
				tunnelled("203.0.113.13:80", model.Tunnel{}),
				tunnelled("203.0.113.14:80", model.Tunnel{Type: model.GRE, Checksum: true}),
				tunnelled("203.0.113.15:80", model.Tunnel{
					Type: model.GUE, Port: 6080, Source: netip.MustParsePrefix("10.200.0.0/16"),
				}),
				localTunnel(),
			},
			Verdicts: []report.VerdictCount{
				{Name: "no_service", Help: "no service has it", Count: 5},
				{Name: "dr", Help: "forwarded by direct routing"},
			},
			Notices: []report.NoticeCount{
				{
					Notice: model.Notice{
						How: model.ByMail{To: "ops@example.org"}, Services: []string{"web"},
						Kinds: []model.EventKind{model.ServerDown, model.ServiceDown}, Least: model.Warning,
					},
					Sent: 5, Failed: 4, Dropped: 3, Waiting: 2, Error: "mail server localhost:25: connection refused",
				},
				{Notice: model.Notice{How: model.ByWebhook{URL: "https://hooks.example.org/services/T0/B0", SecretFile: "/etc/weir/secret"}}},
			},
			Routers: []report.Router{
				{
					Name: "front", Interface: "eth0", ID: 51, Version: model.VRRP3, Advertise: 100 * time.Millisecond,
					State: model.VRRPMaster, Since: time.Date(2026, 1, 2, 12, 3, 11, 0, time.UTC), Why: "no advert of 192.0.2.2 for 3.609s",
					Priority: 100, Written: 150, Tracked: "service web has no server that is healthy (-50)", Group: "pair", Auth: model.VRRPAuth{KeyFile: "/etc/weir/vrrp.key", Mode: model.AuthPermissive},
					Routes:    []model.VirtualRoute{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.0.0.1"), Interface: "eth1", Metric: 50, Table: 100}},
					Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")},
					Mastered:  6,
					Counts:    report.PacketCounts{Sent: 1, Unsent: 4, Received: 2, Discarded: map[string]uint64{"ttl": 3}},
				},
				{
					Name: "back", Interface: "eth1", ID: 52, Version: model.VRRP2, Advertise: time.Second, State: model.VRRPBackup,
					Priority: 100, Master: netip.MustParseAddr("10.0.0.2"), MasterPriority: 200,
					Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.254/24")}, Silent: "eth2 brings nothing", Held: "no witness answers", Conflict: "10.0.0.9 advertises",
				},
				{Name: "side", State: model.VRRPMaster},
				{Name: "none"},
			},
			Sessions: []report.Session{
				{
					Name: "uplink", Interface: "eth0", Peer: netip.MustParseAddr("192.0.2.1"), Source: netip.MustParseAddr("192.0.2.2"), State: model.BFDUp,
					Since: time.Date(2026, 1, 2, 12, 3, 11, 0, time.UTC), Why: "192.0.2.1 is heard, and hears this one", Interval: 100 * time.Millisecond, Detects: 500 * time.Millisecond,
					Counts: report.PacketCounts{Sent: 1, Unsent: 2, Received: 3, Discarded: map[string]uint64{"ttl": 4}},
				},
				{Name: "new", Interface: "eth7", Peer: netip.MustParseAddr("fe80::1"), Why: "interface eth7 is missing", Interval: time.Second},
			},
			Strangers: map[string]uint64{"session": 5},
			Peers: []report.Peer{
				{
					Name: "192.0.2.3", Dialect: report.DialectWeir, State: report.PeerInSync, Since: time.Date(2026, 1, 2, 12, 3, 11, 0, time.UTC),
					Why: "all slices agree", Role: "master", Counts: report.SyncCounts{
						Lag: 12 * time.Millisecond, Queue: 1, Sent: 2, Unsent: 3, Received: 4, Lost: 5, Refused: map[string]uint64{"key": 6}, Dropped: 7,
						Rejected: map[model.Refusal]uint64{model.RefusedFull: 8},
					},
				},
				{Name: "224.0.0.81:8848", Dialect: report.DialectIPVS, State: report.PeerOpen},
			},
			Events: []model.Event{
				{
					Time: time.Date(2026, 1, 2, 12, 1, 11, 0, time.UTC), Kind: model.SyncLost, Peer: netip.MustParseAddr("192.0.2.3"), Reason: "nothing was heard of it",
				},
				{
					Time: time.Date(2026, 1, 2, 12, 2, 11, 0, time.UTC), Kind: model.VRRPToMaster, Router: "front", Priority: 100, Group: "pair",
					Was: model.VRRPBackup, Since: time.Date(2026, 1, 2, 12, 1, 12, 0, time.UTC), Reason: "no advert of 192.0.2.2 for 3.609s",
				},
				{
					Time: time.Date(2026, 1, 2, 12, 3, 11, 0, time.UTC), Kind: model.ServerDown, Service: "web", ServiceKey: webKey,
					Server: model.ServerKey{Address: netip.MustParseAddr("198.51.100.11"), Port: 80}, Reason: "http 503, expected 200-299, 3 of 3",
				},
				{
					Time: time.Date(2026, 1, 2, 12, 5, 11, 0, time.UTC), Kind: model.ServiceUp, Service: "web", ServiceKey: webKey,
					Since: time.Date(2026, 1, 2, 12, 3, 12, 0, time.UTC),
				},
			},
			Problems: []model.Problem{{What: "what", Why: "why", Fix: "fix"}},
		},
		steppedDown: new([]string),
		untold:      map[string]error{"mail to ops@example.org": errors.New("mail server localhost:25: connection refused")},
		connections: []report.Connection{
			conn(model.TCP, "203.0.113.7:40000", "192.0.2.10:80", "198.51.100.11:80", "ESTABLISHED", 893*time.Second),
			conn(model.TCP, "203.0.113.7:40001", "192.0.2.10:80", "198.51.100.12:80", "FIN_WAIT", 119900*time.Millisecond),
			conn(model.UDP, "[2001:db8::7]:5353", "[2001:db8::10]:53", "[2001:db8::53]:53", "UDP", 0),
		},
		explained: map[string]report.Explanation{
			"192.0.2.10:80": {
				Explanation: model.Explanation{Service: &webKey, Scheduler: model.WLC, Template: &model.Remembered{}}, Service: "web",
				New:   toward("198.51.100.11:80", model.Way{Verdict: "dr", Means: "by direct routing", Reason: "wlc: it is the least", Forwarding: model.DR}),
				Stray: &report.Way{Way: model.Way{Verdict: "unknown_connection", Means: "the kernel resets it", Reason: "unknown: pass"}},
				Servers: []report.Candidate{
					{Candidate: model.Candidate{Key: serverKey("198.51.100.11:80"), Weight: 2, Active: 3, Inactive: 12, Compared: "(3 x 256 + 12) / 2 = 390"}},
					{Candidate: model.Candidate{Key: serverKey("198.51.100.12:80"), Share: new(1.0 / 3)}, Reason: "weight 0"},
				},
			},
			"[2001:db8::10]:53": {
				Explanation: model.Explanation{
					Service: &dnsKey, Scheduler: model.RR,
					Template: &model.Remembered{Server: &model.ServerKey{Address: netip.MustParseAddr("2001:db8::53")}, Expires: 359900 * time.Millisecond},
				},
				Service: "dns",
				Connection: &report.Known{
					Known: model.Known{
						Server: netip.MustParseAddrPort("[2001:db8::53]:53"), State: "UDP", Expires: 299900 * time.Millisecond,
					},
					Packet: *toward("[2001:db8::53]:53", model.Way{Verdict: "local", Means: "the server is this host", Forwarding: model.NAT, Local: true, Hashed: true}),
				},
			},
			"192.0.2.10:81": {
				New: &report.Way{Way: model.Way{Verdict: "no_service", Means: "no service has it", Reason: "192.0.2.10 has web"}},
			},
		},
	}
}

// toward is a way to a server over a neighbour that is resolved.
func toward(server string, w model.Way) *report.Way {
	key := serverKey(server)
	w.Server, w.Hop = &key, model.NextHop{Link: 3, Address: key.Address, MAC: model.MAC{2, 0, 0, 0, 3, 1}}
	return &report.Way{Way: w, Interface: "eth1"}
}

func tunnelled(address string, t model.Tunnel) report.Server {
	return report.Server{
		Service: "web", ServiceKey: webKey, Key: serverKey(address),
		Forwarding: model.TUN, Tunnel: t, Weight: 1, State: report.Up,
	}
}

// localTunnel is a server whose packets go in no tunnel, since its address is the director's own.
func localTunnel() report.Server {
	s := tunnelled("203.0.113.1:80", model.Tunnel{Type: model.GRE})
	s.Local = true
	return s
}

func serverKey(s string) model.ServerKey {
	a := netip.MustParseAddrPort(s)
	return model.ServerKey{Address: a.Addr(), Port: a.Port()}
}

func conn(p model.Protocol, client, virtual, srv, state string, expires time.Duration) report.Connection {
	return report.Connection{
		Protocol: p, Client: netip.MustParseAddrPort(client), Virtual: netip.MustParseAddrPort(virtual),
		Server: netip.MustParseAddrPort(srv), State: state, Expires: expires,
	}
}

// ask sends one request and returns the whole answer as text.
func ask(t *testing.T, d server.Director, method, target string, body io.Reader) (status int, answer string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	w := httptest.NewRecorder()
	server.New(d, "1.2.3", log).Handler().ServeHTTP(w, httptest.NewRequest(method, target, body))
	if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: error is %s", method, target, w.Header().Get("Content-Type"))
	}
	return w.Code, w.Body.String()
}

func TestAnswersKeepTheirForm(t *testing.T) {
	for name, target := range map[string]string{
		"status":             "/v1/status",
		"services":           "/v1/services",
		"servers":            "/v1/servers",
		"connections":        "/v1/connections",
		"connections-of-dns": "/v1/connections?service=dns",
		"connections-limit":  "/v1/connections?limit=1",
		"connections-count":  "/v1/connections/count",
		"count-of-web":       "/v1/connections/count?service=web&protocol=tcp&state=established",
		"explain":            "/v1/explain?client=203.0.113.7:40000&virtual=192.0.2.10:80",
		"explain-known":      "/v1/explain?client=[2001:db8::7]:5353&virtual=[2001:db8::10]:53&protocol=udp",
		"explain-nothing":    "/v1/explain?client=203.0.113.7:40000&virtual=192.0.2.10:81&protocol=tcp",
		"counters":           "/v1/counters",
		"verdicts":           "/v1/verdicts",
		"notices":            "/v1/notices",
		"events":             "/v1/events",
		"vrrp":               "/v1/vrrp",
		"bfd":                "/v1/bfd",
		"sync":               "/v1/sync",
	} {
		t.Run(name, func(t *testing.T) {
			status, text := ask(t, example(), "GET", target, nil)
			if status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			golden(t, name+".json", indent(t, text))
		})
	}
}

func TestDirectorOfNothingAnswersEmptyLists(t *testing.T) {
	for target, want := range map[string]string{
		"/v1/services":          "[]\n",
		"/v1/servers":           "[]\n",
		"/v1/connections":       "[]\n",
		"/v1/connections/count": "{\"connections\":0,\"groups\":[]}\n",
		"/v1/counters":          "{}\n",
		"/v1/verdicts":          "[]\n",
		"/v1/notices":           "[]\n",
		"/v1/events":            "[]\n",
		"/v1/vrrp":              "[]\n",
		"/v1/bfd":               "{\"sessions\":[],\"strangers\":{}}\n",
		"/v1/sync":              "[]\n",
	} {
		if _, got := ask(t, director{}, "GET", target, nil); got != want {
			t.Errorf("%s: %q", target, got)
		}
	}
}

func TestDescriptionListsEveryRequest(t *testing.T) {
	_, text := ask(t, example(), "GET", "/openapi.json", nil)
	var description struct {
		Paths map[string]map[string]struct{ Summary string }
	}
	if err := json.Unmarshal([]byte(text), &description); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"get /v1/status", "get /v1/services", "get /v1/servers", "get /v1/connections",
		"delete /v1/connections", "get /v1/connections/count", "get /v1/explain", "get /v1/trace", "get /v1/counters", "get /v1/verdicts", "post /v1/reload",
		"get /v1/events", "get /v1/notices", "post /v1/notices/{number}/test", "get /v1/vrrp", "get /v1/bfd", "get /v1/sync", "post /v1/vrrp/step-down",
	} {
		method, path, _ := strings.Cut(want, " ")
		if description.Paths[path][method].Summary == "" {
			t.Errorf("%s is not described", want)
		}
	}
	if len(description.Paths) != 17 {
		t.Errorf("%d paths", len(description.Paths))
	}
}

func TestKillAnswersHowMany(t *testing.T) {
	for query, want := range map[string]string{
		"all=true":                          "{\"killed\":3}\n",
		"service=web":                       "{\"killed\":2}\n",
		"server=198.51.100.12":              "{\"killed\":1}\n",
		"client=2001:db8::/32":              "{\"killed\":1}\n",
		"protocol=udp all=false":            "{\"killed\":1}\n",
		"state=fin_wait client=203.0.113.7": "{\"killed\":1}\n",
		"protocol=sctp":                     "{\"killed\":0}\n",
	} {
		status, text := ask(t, example(), "DELETE", "/v1/connections?"+encode(query), nil)
		if status != http.StatusOK || text != want {
			t.Errorf("%s: %d %s", query, status, text)
		}
	}
}

func TestReloadAnswersTheRevision(t *testing.T) {
	status, text := ask(t, example(), "POST", "/v1/reload", nil)
	if status != http.StatusOK || text != "{\"revision\":43}\n" {
		t.Errorf("%d %s", status, text)
	}
}

// staying is a director that does not step down.
func staying(why error) director {
	d := example()
	d.stays = why
	return d
}

// TestOfANoticeAnswersWhatCameOfIt: that it does not get through is an answer, too.
func TestOfANoticeAnswersWhatCameOfIt(t *testing.T) {
	for target, want := range map[string]api.NoticeTested{
		"/v1/notices/1/test": {Number: 1, Channel: "mail to ops@example.org", Error: "mail server localhost:25: connection refused"},
		"/v1/notices/2/test": {Number: 2, Channel: "webhook to hooks.example.org", Sent: true},
	} {
		status, text := ask(t, example(), "POST", target, nil)
		var got api.NoticeTested
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK || got != want {
			t.Errorf("%s: %d %s, %v", target, status, text, err)
		}
	}
}

func TestStepDownLeavesWhatIsMeant(t *testing.T) {
	for target, want := range map[string][]string{
		"/v1/vrrp/step-down":                                       {"front", "side"},
		"/v1/vrrp/step-down?router=side":                           {"side"},
		"/v1/vrrp/step-down?router=side&router=front&router=front": {"side", "front"},
	} {
		d := example()
		status, text := ask(t, d, "POST", target, nil)
		var got api.SteppedDown
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %s, %v", target, status, text, err)
		}
		if diff := cmp.Diff(want, got.Routers) + cmp.Diff(want, *d.steppedDown); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}

const killAll = "every connection would be killed: say which (service, server, client, protocol, state), or all=true"

func TestErrorsSayWhatIsWrong(t *testing.T) {
	complaints := errors.New("weir.yaml:7:5: unknown key\nweir.yaml:9:1: no address")
	broken := director{err: errors.New("read map conns: permission denied")}
	for _, test := range []struct {
		name, method, target string
		director             director
		want                 api.Error
	}{
		{
			"refused file", "POST", "/v1/reload", director{err: complaints},
			api.Error{Title: "Unprocessable Entity", Status: 422, Detail: complaints.Error()},
		},
		{
			"no snapshot", "GET", "/v1/status", broken,
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "read map conns: permission denied"},
		},
		{
			"no connections", "GET", "/v1/connections", broken,
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "read map conns: permission denied"},
		},
		{
			"no count", "GET", "/v1/connections/count", broken,
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "read map conns: permission denied"},
		},
		{
			"kill that breaks off", "DELETE", "/v1/connections?all=true",
			director{connections: example().connections, breakAfter: 2, err: errors.New("the asker has gone")},
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "the asker has gone; killed before that: 2"},
		},
		{
			"kill of nothing in particular", "DELETE", "/v1/connections", example(),
			api.Error{Title: "Bad Request", Status: 400, Detail: killAll},
		},
		{
			"kill with an empty filter", "DELETE", "/v1/connections?service=", example(),
			api.Error{Title: "Bad Request", Status: 400, Detail: killAll},
		},
		{
			"kill of some and all", "DELETE", "/v1/connections?service=web&all=true", example(),
			api.Error{Title: "Bad Request", Status: 400, Detail: "all=true is every connection: leave it out, or all others"},
		},
		{
			"kill of an unknown service", "DELETE", "/v1/connections?service=wbe", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no service \"wbe\"; `weir services` lists them"},
		},
		{
			"limit of a kill", "DELETE", "/v1/connections?service=web&limit=3", example(),
			api.Error{Title: "Unprocessable Entity", Status: 422, Detail: "validation failed"},
		},
		{
			"count of an unknown service", "GET", "/v1/connections/count?service=192.0.2.10:0", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no service \"192.0.2.10:0\"; `weir services` lists them"},
		},
		{
			"unknown service", "GET", "/v1/connections?service=wbe", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no service \"wbe\"; `weir services` lists them"},
		},
		{
			"explanation of half a flow", "GET", "/v1/explain?client=203.0.113.7:9&virtual=192.0.2.10", example(),
			api.Error{Title: "Bad Request", Status: 400, Detail: `virtual "192.0.2.10": the port is missing: write it as 192.0.2.10:80 or [2001:db8::10]:80`},
		},
		{
			"explanation of nothing", "GET", "/v1/explain", example(),
			api.Error{Title: "Bad Request", Status: 400, Detail: `client "": not an address and port, and names are not looked up: write it as 203.0.113.7:40000 or [2001:db8::7]:40000`},
		},
		{
			"explanation that fails", "GET", "/v1/explain?client=203.0.113.7:9&virtual=192.0.2.10:80", director{err: errors.New("the daemon is still starting")},
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "the daemon is still starting"},
		},
		{
			"test of no notice", "POST", "/v1/notices/3/test", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no notice \"3\"; `weir notify` lists them, with their numbers"},
		},
		{
			"test of the notice before the first", "POST", "/v1/notices/0/test", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no notice \"0\"; `weir notify` lists them, with their numbers"},
		},
		{
			"test of what is no number", "POST", "/v1/notices/mail/test", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no notice \"mail\"; `weir notify` lists them, with their numbers"},
		},
		{
			"test before the daemon has started", "POST", "/v1/notices/1/test", director{err: errors.New("the daemon is still starting")},
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "the daemon is still starting"},
		},
		{
			"step down from nothing that there is", "POST", "/v1/vrrp/step-down?router=front&router=fornt", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no virtual router \"fornt\"; `weir vrrp` lists them"},
		},
		{
			"step down of a backup", "POST", "/v1/vrrp/step-down?router=back", example(),
			api.Error{Title: "Conflict", Status: 409, Detail: "this director is not master of back: it is backup, and 10.0.0.2 is master, with priority 200"},
		},
		{
			"step down before it has begun", "POST", "/v1/vrrp/step-down?router=none", example(),
			api.Error{Title: "Conflict", Status: 409, Detail: "this director is not master of none: it is init"},
		},
		{
			"step down of a director that is alone", "POST", "/v1/vrrp/step-down", director{},
			api.Error{Title: "Conflict", Status: 409, Detail: "this director is master of no virtual router, so it has nothing to leave to another one; `weir vrrp` shows how they stand"},
		},
		{
			"step down before the daemon has started", "POST", "/v1/vrrp/step-down", director{err: errors.New("the daemon is still starting")},
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "the daemon is still starting"},
		},
		{
			"step down that fails", "POST", "/v1/vrrp/step-down?router=front", staying(errors.New("vrrp front: it has ended")),
			api.Error{Title: "Service Unavailable", Status: 503, Detail: "vrrp front: it has ended"},
		},
		{
			"unknown parameter", "GET", "/v1/connections?limt=3", example(),
			api.Error{Title: "Unprocessable Entity", Status: 422, Detail: "validation failed"},
		},
		{
			"limit of a count", "GET", "/v1/connections/count?limit=3", example(),
			api.Error{Title: "Unprocessable Entity", Status: 422, Detail: "validation failed"},
		},
		{
			"negative limit", "GET", "/v1/connections?limit=-3", example(),
			api.Error{Title: "Unprocessable Entity", Status: 422, Detail: "validation failed"},
		},
		{
			"no such path", "GET", "/v1/stauts", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no GET /v1/stauts; /openapi.json lists what there is"},
		},
		{
			"no such method", "DELETE", "/v1/status", example(),
			api.Error{
				Title: "Method Not Allowed", Status: 405,
				Detail: "there is no DELETE /v1/status; /openapi.json lists what there is",
			},
		},
		{
			"no page of documentation", "GET", "/docs", example(),
			api.Error{Title: "Not Found", Status: 404, Detail: "there is no GET /docs; /openapi.json lists what there is"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, text := ask(t, test.director, test.method, test.target, nil)
			var got api.Error
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || status != test.want.Status {
				t.Errorf("status %d (-want +got):\n%s", status, diff)
			}
		})
	}
}

func TestListThatBreaksOffIsCut(t *testing.T) {
	d := example()
	d.err, d.breakAfter = errors.New("read map conns: bad file descriptor"), 2
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("the answer ends as if it were whole: %v", got)
		}
	}()
	ask(t, d, "GET", "/v1/connections", nil)
}

func TestLongListIsWhole(t *testing.T) {
	d := example()
	for len(d.connections) < 5000 {
		d.connections = append(d.connections, d.connections[0])
	}
	_, text := ask(t, d, "GET", "/v1/connections", nil)
	var got []api.Connection
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 5000 {
		t.Errorf("%d connections", len(got))
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func indent(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", "  "); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out.String()
}
