// SPDX-License-Identifier: Apache-2.0

package health

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// datagramServer answers each datagram by a function with any number of others.
func datagramServer(t *testing.T, address string, answer func([]byte) [][]byte) (netip.AddrPort, error) {
	t.Helper()
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		space := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(space)
			if err != nil {
				return
			}
			for _, datagram := range answer(space[:n]) {
				_, _ = c.WriteTo(datagram, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return netip.MustParseAddrPort(c.LocalAddr().String()), nil
}

// TestFloodsOfDatagramsHaveAnEnd: in many small ones, and in few large ones.
func TestFloodsOfDatagramsHaveAnEnd(t *testing.T) {
	radius := probeRADIUS(model.AskRADIUS{SecretFile: secretFile(t, "s3cret")})
	for name, tt := range map[string]struct {
		ask   probe
		size  int
		count int
		want  string
	}{
		"dns":           {probeMade(probeDNS(model.AskDNS{})), 9, maxStrange, "dns: 32 answers, none to our question"},
		"dns, large":    {probeMade(probeDNS(model.AskDNS{})), maxDatagram, 17, "more than 64 KiB of answers, none to our question"},
		"sip":           {probeSIP(model.AskSIP{}), 9, maxStrange, "sip: 32 answers, none to our question"},
		"sip, large":    {probeSIP(model.AskSIP{}), 50_000, 2, "more than 64 KiB of answers, none to our question"},
		"radius":        {radius, 9, maxStrange, "radius: 32 answers, none signed with our secret"},
		"radius, large": {radius, maxRADIUS, 17, "radius: 16 answers, none signed with our secret"},
	} {
		t.Run(name, func(t *testing.T) {
			datagram := []byte(strings.Repeat("x", tt.size))
			to, err := datagramServer(t, "127.0.0.1:0", func([]byte) [][]byte { return slices.Repeat([][]byte{datagram}, tt.count) })
			if err != nil {
				t.Fatal(err)
			}
			wantReason(t, answered(t, tt.ask, to, forever), tt.want)
		})
	}
}

func TestDatagramsAreJudged(t *testing.T) {
	replies := func(texts ...string) func([]byte) [][]byte {
		return func(got []byte) (out [][]byte) {
			if string(got) != "ping\x00" {
				return nil
			}
			for _, text := range texts {
				out = append(out, []byte(text))
			}
			return out
		}
	}
	for name, tt := range map[string]struct {
		reply  string
		answer func([]byte) [][]byte
		want   string
	}{
		"good":         {"pong", replies("pong\x00\x01"), ""},
		"exact":        {"pong", replies("pong"), ""},
		"anything":     {"", replies("\xff\xff"), ""},
		"empty":        {"", replies(""), ""},
		"short":        {"pong", replies("pon"), "udp: unexpected reply pon"},
		"empty is bad": {"pong", replies(""), `udp: unexpected reply ""`},
		"other":        {"pong", replies("ERR\r\nbusy\x00"), `udp: unexpected reply ERR\r\nbusy\x00`},
		"late":         {"pong", replies("x", "pong"), "udp: unexpected reply x"},
		"long":         {"pong", replies(strings.Repeat("x", 9000)), "udp: unexpected reply " + strings.Repeat("x", 72) + "…"},
		"silent":       {"pong", replies(), "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := datagramServer(t, "127.0.0.1:0", tt.answer)
			if err != nil {
				t.Fatal(err)
			}
			within := forever
			if tt.want == "no answer" {
				within = soon
			}
			p := probeMade(probeUDP(model.AskUDP{Payload: "ping\x00", Reply: tt.reply}))
			wantReason(t, answered(t, p, to, within), tt.want)
		})
	}
}

// TestClosedUDPPortIsRefused: ICMP says so, and the probe need not wait.
func TestClosedUDPPortIsRefused(t *testing.T) {
	for _, p := range []probe{
		probeMade(probeUDP(model.AskUDP{Payload: "ping"})),
		probeMade(probeDNS(model.AskDNS{Name: "example.org"})),
		probeSIP(model.AskSIP{}),
		probeRADIUS(model.AskRADIUS{SecretFile: secretFile(t, "s3cret")}),
	} {
		wantReason(t, answered(t, p, closedUDPPort(t), forever), "connection refused")
	}
}

func closedUDPPort(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return netip.MustParseAddrPort(c.LocalAddr().String())
}
