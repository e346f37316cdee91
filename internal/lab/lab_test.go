// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// requireRoot skips a test that cannot run here; in CI that is a failure.
func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("network namespaces need root")
	default:
		t.Skip("network namespaces need root")
	}
}

// within is a context that ends a test which hangs, with time to spare on a busy machine.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, config lab.Config) *lab.Lab {
	t.Helper()
	requireRoot(t)
	config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	l, err := lab.New(within(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// forward makes directors pass packets on, as weir does where it must.
func forward(t *testing.T, l *lab.Lab) {
	t.Helper()
	for _, d := range l.Directors {
		for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
			if err := d.Sysctl(key, "1"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestClientsReachServersInEveryShape(t *testing.T) {
	for _, shape := range lab.Shapes() {
		for _, method := range shape.Forwardings() {
			t.Run(fmt.Sprintf("%s/%s", shape, method), func(t *testing.T) {
				t.Parallel()
				l := start(t, lab.Config{Shape: shape, Forwarding: method, Web: lab.WebOwn})
				forward(t, l)
				if err := l.Serve(within(t)); err != nil {
					t.Fatal(err)
				}
				for _, s := range l.Servers {
					for _, f := range lab.Families() {
						exchange(t, l, s, f)
					}
				}
			})
		}
	}
}

// exchange asks one server over TCP and UDP, from the client's first address and from its last.
func exchange(t *testing.T, l *lab.Lab, s *lab.Server, f lab.Family) {
	t.Helper()
	clients := l.Client.Addresses(f)
	for _, from := range []netip.Addr{clients[0], clients[len(clients)-1]} {
		want := lab.Answer{Server: s.Name, Client: from, Local: s.Address.In(f)}
		got, err := l.Client.Get(within(t), from, netip.AddrPortFrom(s.Address.In(f), lab.WebPort))
		if err != nil || got != want {
			t.Errorf("web server said %q, %v; want %q", got, err, want)
		}
		got, err = l.Client.Ask(within(t), from, netip.AddrPortFrom(s.Address.In(f), lab.EchoPort))
		if err != nil || got != want {
			t.Errorf("UDP echo said %q, %v; want %q", got, err, want)
		}
	}
}

func TestNginxSaysWhatTheOwnServerSays(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Web: lab.WebNginx})
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	s := l.Servers[0]
	for _, f := range lab.Families() {
		from := l.Client.Addresses(f)[7]
		want := lab.Answer{Server: s.Name, Client: from, Local: s.Address.In(f)}
		to := netip.AddrPortFrom(s.Address.In(f), lab.WebPort)
		if got, err := l.Client.Get(within(t), from, to); err != nil || got != want {
			t.Errorf("in process: %q, %v; want %q", got, err, want)
		}
		if got, err := l.Client.Curl(within(t), from, to); err != nil || got != want {
			t.Errorf("curl: %q, %v; want %q", got, err, want)
		}
	}
	if err := s.StopServing(); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(s.Address.IPv4, lab.WebPort)
	if got, err := l.Client.Get(within(t), l.Client.Address.IPv4, to); err == nil {
		t.Errorf("a server that was stopped said %q", got)
	}
}

func TestLabHasAHundredAndTwentyClientsInEachFamily(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1})
	for _, f := range lab.Families() {
		distinct := map[netip.Addr]bool{}
		for _, a := range l.Client.Addresses(f) {
			distinct[a] = true
		}
		if len(distinct) != 120 {
			t.Errorf("%s: %d addresses", f, len(distinct))
		}
	}
}

func TestAddressesAreParameters(t *testing.T) {
	networks := lab.DefaultAddresses()
	networks.IPv4.Front = netip.MustParsePrefix("10.1.0.0/22")
	networks.IPv6.Front = netip.MustParsePrefix("fd00:1::/96")
	l := start(t, lab.Config{Shape: lab.LAN, Directors: 2, Servers: 1, Addresses: networks})
	want := lab.Pair{IPv4: netip.MustParseAddr("10.1.0.10"), IPv6: netip.MustParseAddr("fd00:1::10")}
	if l.VIP != want {
		t.Errorf("the VIP is %v, want %v", l.VIP, want)
	}
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, f := range lab.Families() {
		exchange(t, l, l.Servers[0], f)
	}
}

// TestNetworksElsewhereAreRouted: their clients reach servers, and are reached; what is for their services
// comes to the director.
func TestNetworksElsewhereAreRouted(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.TwoArm, Servers: 1, Web: lab.WebOwn, Elsewhere: lab.Elsewhere{
		Clients:  prefixes("10.9.0.0/16", "10.0.0.2/32", "fd00:9::/64"),
		Services: prefixes("10.0.0.100/32", "fd00:a::100/128"),
		Servers:  prefixes("10.20.0.0/16", "fd00:20::/64"),
	}})
	forward(t, l)
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.ServeOn(within(t), l.Directors[0]); err != nil {
		t.Fatal(err)
	}
	service := lab.Pair{IPv4: netip.MustParseAddr("10.0.0.100"), IPv6: netip.MustParseAddr("fd00:a::100")}
	for _, f := range lab.Families() {
		if _, err := l.Directors[0].Output(within(t), "ip", "address", "add", service.In(f).String(), "dev", "lo"); err != nil {
			t.Fatal(err)
		}
	}
	for client, f := range map[string]lab.Family{"10.9.200.3": lab.IPv4, "10.0.0.2": lab.IPv4, "fd00:9::77": lab.IPv6} {
		from := netip.AddrPortFrom(netip.MustParseAddr(client), 30001)
		asked(t, l, from, lab.Answer{Server: "real1", Client: from.Addr(), Local: l.Servers[0].Address.In(f)})
		asked(t, l, from, lab.Answer{Server: "director1", Client: from.Addr(), Local: service.In(f)})
	}
	for _, server := range []string{"10.20.30.40:80", "[fd00:20::9]:80"} {
		err := l.Directors[0].Do(func() error {
			conn, err := net.Dial("tcp", server)
			if err == nil {
				err = conn.Close()
			}
			return err
		})
		if err != nil {
			t.Errorf("the director does not reach %s: %v", server, err)
		}
	}
}

// asked asks the web server at an address from a port.
func asked(t *testing.T, l *lab.Lab, from netip.AddrPort, want lab.Answer) {
	t.Helper()
	conn, err := l.Client.DialFrom(within(t), "tcp", from, netip.AddrPortFrom(want.Local, lab.WebPort))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if conn.LocalAddr().String() != from.String() {
		t.Errorf("connected from %v, want %v", conn.LocalAddr(), from)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(text), want.String()) {
		t.Errorf("%v said %q, %v; want %q", want.Local, text, err, want)
	}
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestTwoLabsDoNotMeet(t *testing.T) {
	first := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Web: lab.WebOwn})
	second := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Web: lab.WebOwn})
	if err := first.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(first.Servers[0].Address.IPv4, lab.WebPort)
	if _, err := first.Client.Get(within(t), first.Client.Address.IPv4, to); err != nil {
		t.Error(err)
	}
	if got, err := second.Client.Get(within(t), second.Client.Address.IPv4, to); err == nil {
		t.Errorf("a client of another lab was told %q", got)
	}
}

func TestConfigIsRefusedWithTheReason(t *testing.T) {
	overlap := lab.DefaultAddresses()
	overlap.IPv4.Back = overlap.IPv4.Front
	for want, config := range map[string]lab.Config{
		`lab: no shape "star": it is one of lan, routed, two-arm`:                               {Shape: "star"},
		`lab: forwarding "dr" does not work in shape routed: it is one of tun`:                  {Shape: lab.Routed, Forwarding: lab.DR},
		`lab: 3 directors: one or two`:                                                          {Shape: lab.LAN, Directors: 3},
		`lab: networks 198.51.100.0/24 and 2001:db8:c::/64: too small for host number 311`:      {Shape: lab.LAN, Clients: 300},
		`lab: networks 198.51.100.0/24, 192.0.2.0/24 and 192.0.2.0/24 overlap`:                  {Shape: lab.LAN, Addresses: overlap},
		`lab: MTU 9000: from 1500, what clients send, to 3506, what native XDP takes on a veth`: {Shape: lab.LAN, MTU: 9000},
		`lab: a tunnel or its MSS for forwarding "nat"`:                                         {Shape: lab.TwoArm, MSS: "off"},
	} {
		l, err := lab.New(t.Context(), config)
		if err == nil {
			l.Close()
			t.Errorf("accepted; want %s", want)
			continue
		}
		if err.Error() != want {
			t.Errorf("said %s\nwant %s", err, want)
		}
	}
}

func TestLANsMayBeWiderThanWhatIsBeyond(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.Routed, MTU: 1600, Web: lab.WebOwn})
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[*lab.Node]int{&l.Client.Node: 1500, &l.Directors[0].Node: 1600, l.Inner: 1600, &l.Servers[0].Node: 1600} {
		err := node.Do(func() error {
			link, err := net.InterfaceByName(lab.FirstLink)
			if err == nil && link.MTU != want {
				t.Errorf("%s: MTU %d, want %d", node.Name, link.MTU, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, f := range lab.Families() { // the first one: nobody has to be told of a smaller MTU
		to := netip.AddrPortFrom(l.Servers[0].Address.In(f), lab.EchoPort)
		if _, err := l.Client.Question(within(t), l.Client.Address.In(f), to, lab.Question(60000)); err != nil {
			t.Errorf("%v: %v", to, err)
		}
	}
}

func TestEchoThatSaysSomethingElseIsNotBelieved(t *testing.T) {
	const line = "real1 198.51.100.11 192.0.2.10\n"
	question := lab.Question(100)
	right := line + string(question[len(line):])
	if _, err := lab.ParseReply([]byte(right), question); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{line, right + "x", right[:99], line + string(question[:100-len(line)]), ""} {
		if answer, err := lab.ParseReply([]byte(wrong), question); err == nil {
			t.Errorf("believed %q: %v", wrong, answer)
		}
	}
	if answer, err := lab.ParseReply([]byte(line), []byte("who?")); err != nil || answer.String() != line {
		t.Errorf("a short question was answered by %v, %v", answer, err)
	}
}

func TestAnswerReadsWhatItPrints(t *testing.T) {
	want := lab.Answer{Server: "real2", Client: netip.MustParseAddr("2001:db8::7"), Local: netip.MustParseAddr("192.0.2.10")}
	got, err := lab.ParseAnswer(want.String())
	if err != nil || got != want {
		t.Errorf("read %v, %v", got, err)
	}
	for _, bad := range []string{"", "real1", "real1 here there", "real1 192.0.2.1 there", "<html> 1 2 3"} {
		if got, err := lab.ParseAnswer(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}
