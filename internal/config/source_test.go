// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

const (
	server4 = "198.51.100.11"
	server6 = "2001:db8:1::11"
)

// TestTunnelSources goes through what may stand, and may not, as the source of a tunnel.
func TestTunnelSources(t *testing.T) {
	for _, tt := range []struct{ source, server, want string }{
		{"10.200.0.0/16", server4, "10.200.0.0/16"},
		{"10.200.0.0/31", server4, "10.200.0.0/31"},
		{"64.0.0.0/2", server4, "has loopback addresses in it (127.0.0.0/8)"},
		{"2001:db8:7::/64", server6, "2001:db8:7::/64"},
		{"2001:DB8:7::/127", server6, "2001:db8:7::/127"},
		{"10.200.0.0/16", server6, "source 10.200.0.0/16 for a server whose address is IPv6"},
		{"2001:db8:7::/64", server4, "source 2001:db8:7::/64 for a server whose address is IPv4"},
		{"198.51.100.8/29", server4, "has the server's own address in it"},
		{"198.51.100.16/29", server4, "198.51.100.16/29"},
		{"2001:db8::/32", server6, "has the server's own address in it"},
		{"10.200.0.0/32", server4, "is one address, which leaves nothing to vary"},
		{"2001:db8:7::/128", server6, "is one address, which leaves nothing to vary"},
		{"10.200.0.0/0", server4, `"0" is not the length of an IPv4 network`},
		{"10.200.0.0/016", server4, `"016" is not the length of an IPv4 network`},
		{"10.200.0.0/-1", server4, `"-1" is not the length of an IPv4 network`},
		{"10.200.0.0/255.255.0.0", server4, `"255.255.0.0" is not the length of an IPv4 network`},
		{"10.200.0.0/", server4, `"" is not the length of an IPv4 network`},
		{"2001:db8:7::/129", server6, `"129" is not the length of an IPv6 network`},
		{"10.200.0.0", server4, "10.200.0.0 is one address, not a network"},
		{"/16", server4, "the network is missing"},
		{"10.200/16", server4, `"10.200" is not an IPv4 address`},
		{"eth0", server4, `"eth0" is not an address`},
		{"10.200.1.0/16", server4, "10.200.1.0/16 has bits behind its length"},
		{"0.0.0.0/8", server4, "has unspecified addresses in it"},
		{"127.1.0.0/16", server4, "has loopback addresses in it"},
		{"239.0.0.0/8", server4, "has multicast addresses in it"},
		{"255.255.255.0/24", server4, "has reserved addresses in it"},
		{"::/64", server6, "has unspecified addresses in it"},
		{"::ffff:0:0/95", server6, "is an IPv4 address mapped into IPv6"},
		{"::fffe:0:0/95", server6, "has IPv4-mapped addresses in it"},
		{"fe80::/64", server6, "has link-local addresses in it"},
		{"ff00::/8", server6, "has multicast addresses in it"},
		{"fe80::%eth0/64", server6, "zones (%) are not supported"},
	} {
		spec, err := config.Parse("weir.yaml", tunnelled(tt.server, tt.source))
		switch {
		case err != nil && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%v: got %v", tt, err)
		case err == nil && spec.Services[0].Servers[0].Tunnel.Source.String() != tt.want:
			t.Errorf("%v: got %s", tt, spec.Services[0].Servers[0].Tunnel.Source)
		}
	}
}

// tunnelled is a file with one server behind a tunnel with this source.
func tunnelled(server, source string) []byte {
	return fmt.Appendf(nil, "services: [{address: 192.0.2.10:80, scheduler: rr, forwarding: tun, servers: [{address: %q, tunnel: {source: %q}}]}]",
		server, source)
}

// TestServerTakesTheServicesTunnel, or its own as a whole, and none with another method.
func TestServerTakesTheServicesTunnel(t *testing.T) {
	source := netip.MustParsePrefix("10.200.0.0/16")
	standard := model.Tunnel{Type: model.GUE, Port: 7000, Checksum: true, Source: source}
	for server, want := range map[string]model.Tunnel{
		server4:                                 standard,
		"{address: 198.51.100.11, weight: 3}":   standard,
		"{address: 198.51.100.11, tunnel: gue}": {Type: model.GUE, Port: 6080},
		"{address: 198.51.100.11, tunnel: {checksum: false, type: gue}}": {Type: model.GUE, Port: 6080},
		"{address: 198.51.100.11, tunnel: {type: gre, checksum: true}}":  {Type: model.GRE, Checksum: true},
		"{address: 198.51.100.11, tunnel: {source: 10.200.0.0/16}}":      {Source: source},
		"{address: 198.51.100.11, tunnel: ipip}":                         {},
		"{address: 198.51.100.11, forwarding: dr}":                       {},
		"{address: 198.51.100.11, forwarding: nat}":                      {},
	} {
		spec, err := config.Parse("weir.yaml", fmt.Appendf(nil, `services: [{address: 192.0.2.10:80, scheduler: rr, forwarding: tun,
  tunnel: {type: gue, port: 7000, checksum: true, source: 10.200.0.0/16}, servers: [%s]}]`, server))
		if err != nil {
			t.Errorf("%s: %v", server, err)
		} else if got := spec.Services[0].Servers[0].Tunnel; got != want {
			t.Errorf("%s: got %+v, want %+v", server, got, want)
		}
	}
}

// FuzzTunnelSource finds networks that are taken for something that they do not say, or out of
// which a packet could not come.
func FuzzTunnelSource(f *testing.F) {
	for _, seed := range []string{"10.200.0.0/16", "2001:db8:7::/64", "0.0.0.0/1", "::/1", "10.1/8", "1.2.3.4/+8", "fe80::%1/64"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, server := range []string{server4, server6} {
			spec, err := config.Parse("weir.yaml", tunnelled(server, text))
			if err != nil {
				checkComplaints(t, err)
				continue
			}
			p, a := spec.Services[0].Servers[0].Tunnel.Source, netip.MustParseAddr(server)
			first := p.Addr()
			if !p.IsValid() || p.IsSingleIP() || p != p.Masked() || p.Contains(a) || first.Is4() != a.Is4() ||
				first.IsMulticast() || first.IsLoopback() || first.IsUnspecified() {
				t.Fatalf("%q gave %s", text, p)
			}
		}
	})
}
