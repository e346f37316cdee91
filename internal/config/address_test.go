// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/config"
)

// TestServiceAddresses goes through what may stand, and may not, as the address of a service.
func TestServiceAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.10:1":              "tcp 192.0.2.10:1",
		"192.0.2.10:65535":          "tcp 192.0.2.10:65535",
		"192.0.2.10:*":              "tcp 192.0.2.10:*",
		"[2001:db8::10]:80":         "tcp [2001:db8::10]:80",
		"[2001:DB8:0:0::10]:*":      "tcp [2001:db8::10]:*",
		"192.0.2.10":                "no port",
		"[2001:db8::10]":            "no port",
		"2001:db8::10":              "no port",
		"192.0.2.10:":               "no port behind the colon",
		"192.0.2.10:080":            `port "080" is not a number`,
		"192.0.2.10:-1":             "port -1 is out of range",
		"192.0.2.10:99999999999999": "out of range",
		"192.0.2.010:80":            `"192.0.2.010" is not an IPv4 address`,
		"192.0.2:80":                `"192.0.2" is not an IPv4 address`,
		":80":                       "the address is missing",
		"[192.0.2.10]:80":           "brackets are for IPv6 addresses",
		"[2001:db8::10":             "is not an address",
		"[2001:db8::10]80":          "is not an address",
		"[2001:db8::1::2]:80":       `"2001:db8::1::2" is not an IPv6 address`,
		"[]:80":                     "the address is missing",
		"0.0.0.0:80":                "0.0.0.0 is no host's address",
		"[::]:80":                   ":: is no host's address",
		"255.255.255.255:80":        "255.255.255.255 is the broadcast address",
		"[ff02::1]:80":              "ff02::1 is a multicast address",
		"[::1]:80":                  "::1 is a loopback address",
		"[fe80::1]:80":              "fe80::1 is link-local",
		"[::/0]:80":                 "tcp ::/0:80",
		"::/0:80":                   "tcp ::/0:80",
		"0.0.0.0/0:*":               "tcp 0.0.0.0/0:*",
		"192.0.2.10:3000-3999":      "tcp 192.0.2.10:3000-3999",
		"localhost:80":              `"localhost" is not an address`,
		"http://192.0.2.10/":        `"http" is not an address`,
		"192.0.2.0/24:80":           "is a network, not an address",
	} {
		spec, err := config.Parse("weir.yaml", fmt.Appendf(nil, "services: [{address: %q, scheduler: rr}]", text))
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: got %v, want %s", text, err, want)
		case err == nil && spec.Services[0].Key.String() != want:
			t.Errorf("%s: got %s, want %s", text, spec.Services[0].Key, want)
		}
	}
}

// TestServerPorts goes through services with and without a port, methods, and ports of servers.
func TestServerPorts(t *testing.T) {
	for _, tt := range []struct{ service, forwarding, server, want string }{
		{"192.0.2.10:80", "dr", "10.0.0.11", "10.0.0.11:80"},
		{"192.0.2.10:80", "dr", "10.0.0.11:80", "10.0.0.11:80"},
		{"192.0.2.10:80", "dr", "10.0.0.11:81", "dr does not change ports"},
		{"192.0.2.10:80", "tun", "10.0.0.11:81", "tun does not change ports"},
		{"192.0.2.10:80", "nat", "10.0.0.11:81", "10.0.0.11:81"},
		{"192.0.2.10:80", "nat", "10.0.0.11:*", "any port for a service of port 80"},
		{"192.0.2.10:80", "nat", "10.0.0.11:0", "port 0 is not a port"},
		{"192.0.2.10:*", "dr", "10.0.0.11", "10.0.0.11:*"},
		{"192.0.2.10:*", "nat", "10.0.0.11:*", "10.0.0.11:*"},
		{"192.0.2.10:*", "nat", "10.0.0.11:80", "fixed port 80 for a service of any port"},
		{"192.0.2.10:*", "dr", "10.0.0.11:80", "fixed port 80 for a service of any port"},
		{"192.0.2.10:80", "tun", "2001:db8::11", "[2001:db8::11]:80"},
		{"192.0.2.10:80", "tun", "2001:db8::80", "[2001:db8::80]:80"},
		{"192.0.2.10:80", "tun", "2001:db8::11:80", "ends in the service's port"},
		{"192.0.2.10:80", "tun", "2001:db8:1:2:3:4:5:80", "[2001:db8:1:2:3:4:5:80]:80"},
		{"192.0.2.10:80", "tun", "[2001:db8::11:80]", "[2001:db8::11:80]:80"},
		{"192.0.2.10:*", "tun", "2001:db8::11:80", "[2001:db8::11:80]:*"},
		{"192.0.2.10:80", "nat", "2001:db8::11", "only for tunneling servers"},
		{"[2001:db8::10]:80", "dr", "10.0.0.11", "only for tunneling servers"},
		{"[2001:db8::10]:80", "tun", "10.0.0.11", "10.0.0.11:80"},
	} {
		spec, err := config.Parse("weir.yaml", fmt.Appendf(nil,
			"services: [{address: %q, scheduler: rr, forwarding: %s, servers: [%q]}]", tt.service, tt.forwarding, tt.server))
		switch {
		case err != nil && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%v: got %v", tt, err)
		case err == nil && spec.Services[0].Servers[0].Key.String() != tt.want:
			t.Errorf("%v: got %s", tt, spec.Services[0].Servers[0].Key)
		}
	}
}

// FuzzServiceAddress finds addresses that are taken for something that they do not say.
func FuzzServiceAddress(f *testing.F) {
	for _, seed := range []string{"192.0.2.10:80", "[2001:db8::10]:*", "::", "[%]:1", "1.2.3.4:0-9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := config.Parse("weir.yaml", fmt.Appendf(nil, "services: [{address: %q, scheduler: rr}]", text))
		if err != nil {
			checkComplaints(t, err)
			return
		}
		key := spec.Services[0].Key
		if a := key.Address; !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() || a.Zone() != "" {
			t.Fatalf("%q gave %s", text, key)
		}
	})
}
