// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestFlowIsRead(t *testing.T) {
	for _, row := range []struct{ client, virtual, protocol, want string }{
		{"203.0.113.7:40000", "192.0.2.10:80", "", "tcp 203.0.113.7:40000 192.0.2.10:80"},
		{"203.0.113.7:1", "192.0.2.10:65535", "UDP", "udp 203.0.113.7:1 192.0.2.10:65535"},
		{"[2001:db8::7]:40000", "[2001:db8::10]:3868", "sctp", "sctp [2001:db8::7]:40000 [2001:db8::10]:3868"},
		{"[::ffff:203.0.113.7]:40000", "192.0.2.10:80", "tcp", "tcp 203.0.113.7:40000 192.0.2.10:80"},
	} {
		f, err := model.ParseFlow(row.client, row.virtual, row.protocol)
		if got := f.Protocol.String() + " " + f.Client.String() + " " + f.Virtual.String(); err != nil || got != row.want {
			t.Errorf("%v: %s, %v", row, got, err)
		}
	}
}

func TestWhatIsNoFlowIsRefusedWithTheWayOut(t *testing.T) {
	const (
		client  = ": write it as 203.0.113.7:40000 or [2001:db8::7]:40000"
		virtual = ": write it as 192.0.2.10:80 or [2001:db8::10]:80"
		names   = ": not an address and port, and names are not looked up"
	)
	for _, row := range []struct{ client, virtual, protocol, want string }{
		{"203.0.113.7", "192.0.2.10:80", "", `client "203.0.113.7": the port is missing` + client},
		{"203.0.113.7:", "192.0.2.10:80", "", `client "203.0.113.7:": "" is no port from 1 to 65535` + client},
		{"203.0.113.7:0", "192.0.2.10:80", "", `client "203.0.113.7:0": no packet is to or from port 0` + client},
		{"client.example.org:9", "192.0.2.10:80", "", `client "client.example.org:9"` + names + client},
		{"", "192.0.2.10:80", "", `client ""` + names + client},
		{"203.0.113.7:9", "localhost", "", `virtual "localhost"` + names + virtual},
		{"203.0.113.7:9", "192.0.2.10:http", "", `virtual "192.0.2.10:http": "http" is no port from 1 to 65535` + virtual},
		{"203.0.113.7:9", "192.0.2.10:*", "", `virtual "192.0.2.10:*": "*" is no port from 1 to 65535` + virtual},
		{"203.0.113.7:9", "192.0.2.10:65536", "", `virtual "192.0.2.10:65536": "65536" is no port from 1 to 65535` + virtual},
		{"203.0.113.7:9", "192.0.2.300:80", "", `virtual "192.0.2.300:80"` + names + virtual},
		{"[2001:db8::7]:9", "[2001:db8::10]", "", `virtual "[2001:db8::10]": the port is missing` + virtual},
		{"[2001:db8::7]:9", "2001:db8::10:80", "", `virtual "2001:db8::10:80": an IPv6 address stands in brackets, with a port behind them` + virtual},
		{"[2001:db8::7]:9", "[fe80::1%eth0]:80", "", `virtual "[fe80::1%eth0]:80": an address of one link cannot be balanced` + virtual},
		{"[2001:db8::7]:9", "192.0.2.10:80", "", "client 2001:db8::7 and virtual 192.0.2.10: no packet is of IPv4 and of IPv6: write both in one family"},
		{"203.0.113.7:9", "192.0.2.10:80", "icmp", `protocol "icmp": there is no such protocol: write tcp, udp or sctp`},
	} {
		if f, err := model.ParseFlow(row.client, row.virtual, row.protocol); err == nil || err.Error() != row.want {
			t.Errorf("%v: %v, %v\nwant %s", row, f, err, row.want)
		}
	}
}
