// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestTraceFilterIsRead(t *testing.T) {
	end := func(text string) netip.AddrPort {
		if text == "" {
			return netip.AddrPort{}
		}
		return netip.MustParseAddrPort(text)
	}
	for _, row := range []struct {
		client, virtual, protocol string
		wantClient, wantVirtual   string
		want                      model.Protocol
		refused                   string
	}{
		{},
		{client: "any"},
		{client: "203.0.113.7", wantClient: "203.0.113.7:0"},
		{client: "::ffff:203.0.113.7", wantClient: "203.0.113.7:0"},
		{client: "203.0.113.7:40000", virtual: "192.0.2.10", wantClient: "203.0.113.7:40000", wantVirtual: "192.0.2.10:0"},
		{client: "any", virtual: "[2001:db8::10]:53", protocol: "UDP", wantVirtual: "[2001:db8::10]:53", want: model.UDP},
		{client: "2001:db8::7", virtual: "2001:db8::10", wantClient: "[2001:db8::7]:0", wantVirtual: "[2001:db8::10]:0"},
		{client: "alice", refused: "write it as 203.0.113.7 or"},
		{client: "203.0.113.7:0", refused: "port 0"},
		{client: "0.0.0.0", refused: "no packet that is balanced"},
		{client: "fe80::1%eth0", refused: "no packet that is balanced"},
		{virtual: "any", refused: "write it as 192.0.2.10 or"},
		{client: "203.0.113.7", virtual: "2001:db8::10", refused: "write both in one family"},
		{protocol: "icmp", refused: "write tcp, udp or sctp"},
	} {
		got, err := model.ParseTraceFilter(row.client, row.virtual, row.protocol)
		if row.refused != "" {
			if err == nil || !strings.Contains(err.Error(), row.refused) {
				t.Errorf("%+v: %v, want %q", row, err, row.refused)
			}
			continue
		}
		want := model.TraceFilter{Client: end(row.wantClient), Virtual: end(row.wantVirtual), Protocol: row.want}
		if err != nil || got != want {
			t.Errorf("%+v: %+v, %v", row, got, err)
		}
	}
}

func TestTraceFilterIsTold(t *testing.T) {
	for want, f := range map[string]model.TraceFilter{
		"any to any, any protocol": {},
		"203.0.113.7 to [2001:db8::10]:80, tcp": {
			Client: netip.MustParseAddrPort("203.0.113.7:0"), Virtual: netip.MustParseAddrPort("[2001:db8::10]:80"), Protocol: model.TCP,
		},
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
