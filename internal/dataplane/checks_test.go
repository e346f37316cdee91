// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// checkWays are those that checks can go, each in both families.
var checkWays = []model.Detour{
	{Forwarding: model.DR},
	{Forwarding: model.TUN},
	{Forwarding: model.TUN, Tunnel: model.Tunnel{Type: model.GRE}},
	{Forwarding: model.TUN, Tunnel: model.Tunnel{Type: model.GUE, Port: packet.PortGUE}},
}

func aliasAddr(f family, n byte) netip.Addr {
	if f == 4 {
		return netip.AddrFrom4([4]byte{198, 19, 200, n})
	}
	return netip.MustParseAddr(fmt.Sprintf("fd77:6569:7200::%x:ffff:%d", 0xfff0+int(n), n))
}

func directorAddr(f family) netip.Addr {
	if f == 4 {
		return director4
	}
	return director6
}

// detoursOf leads to server n+1 by checkWays[n].
func detoursOf(f family) (out []model.DetourWant) {
	for n, detour := range checkWays {
		detour.Virtual, detour.Server = vip(f, 10), serverAddr(f, byte(n+1))
		out = append(out, model.DetourWant{Detour: detour, Alias: aliasAddr(f, byte(n)), Link: back, Next: detour.Server, Source: directorAddr(f)})
	}
	return out
}

// said is what one end of a check says to the other.
func said(source, destination netip.AddrPort, p model.Protocol, payload string) packet.Layers {
	out := packet.Layers{packet.Ethernet{Source: packet.MAC(macOf(1)), Destination: packet.MAC(backMAC)}}
	if source.Addr().Is4() {
		out = append(out, packet.IPv4{Source: source.Addr(), Destination: destination.Addr(), TTL: 64, Flags: packet.DontFragment})
	} else {
		out = append(out, packet.IPv6{Source: source.Addr(), Destination: destination.Addr(), HopLimit: 64})
	}
	if p == model.TCP {
		out = append(out, packet.TCP{Source: source.Port(), Destination: destination.Port(), Flags: packet.SYN, Seq: 7})
	} else {
		out = append(out, packet.UDP{Source: source.Port(), Destination: destination.Port()})
	}
	return append(out, packet.Payload(payload))
}

// tunnelledCheck is a packet as it leaves: by itself, or within another one.
func tunnelledCheck(w model.DetourWant, l packet.Layers, port uint16) []byte {
	if w.Forwarding == model.DR {
		return packet.Build(l...)
	}
	var outer packet.Layer = packet.IPv6{Source: w.Source, Destination: w.Server, HopLimit: 64}
	if w.Server.Is4() {
		outer = packet.IPv4{Source: w.Source, Destination: w.Server, TTL: 64, Flags: packet.DontFragment}
	}
	out := packet.Layers{l[0], outer}
	switch w.Tunnel.Type {
	case model.GRE:
		out = append(out, packet.GRE{})
	case model.GUE:
		out = append(out, packet.UDP{Source: port, Destination: w.Tunnel.Port, NoChecksum: true}, packet.GUE{})
	}
	return packet.Build(append(out, l[1:]...)...)
}

// checksBed has the detours of a family.
func checksBed(t *testing.T, f family) *testbed {
	b := newTestbed(t, 64)
	want := world()
	want.Detours = detoursOf(f)
	b.apply(t, want)
	return b
}

func (b *testbed) leave(t *testing.T, by int, frame []byte) (action int32, out []byte) {
	t.Helper()
	return b.leaveFrom(t, 0, by, frame)
}

// leaveFrom is leave of a frame that came by an interface; 0: the host's own.
func (b *testbed) leaveFrom(t *testing.T, from, by int, frame []byte) (action int32, out []byte) {
	t.Helper()
	var err error
	var code uint32
	b.do(func() { code, out, err = b.path.Leave(bytes.Clone(frame), from, by) })
	if err != nil {
		t.Fatal(err)
	}
	return int32(code), out
}

// comes sends what the host shall get as another frame.
func (b *testbed) comes(t *testing.T, frame, want []byte, exit verdict) {
	t.Helper()
	var err error
	var out []byte
	b.do(func() { _, out, err = b.path.Send(bytes.Clone(frame), back) })
	if err != nil {
		t.Fatal(err)
	}
	if got := b.counted(t); got != string(exit) {
		t.Errorf("%s: %s, want %s", text(frame), got, exit)
	}
	if !bytes.Equal(out, want) {
		t.Errorf("%s became\n%s, want\n%s\n got %x\nwant %x", text(frame), text(out), text(want), out, want)
	}
}

// TestChecksGoByTheirAliases, there and back, and errors about them find home.
func TestChecksGoByTheirAliases(t *testing.T) {
	t.Parallel()
	for _, f := range []family{4, 6} {
		b := checksBed(t, f)
		for n, w := range detoursOf(f) {
			for _, p := range []model.Protocol{model.TCP, model.UDP} {
				for _, payload := range []string{"", "odd", "an even number "} {
					b.checkGoes(t, w, p, uint16(20000+n), payload)
				}
			}
		}
	}
}

func (b *testbed) checkGoes(t *testing.T, w model.DetourWant, p model.Protocol, port uint16, payload string) {
	t.Helper()
	own, alias := netip.AddrPortFrom(w.Source, port), netip.AddrPortFrom(w.Alias, webPort(p))
	service := netip.AddrPortFrom(w.Virtual, alias.Port())
	action, out := b.leave(t, back, packet.Build(said(own, alias, p, payload)...))
	want := tunnelledCheck(w, said(own, service, p, payload), port)
	if action != -1 || !bytes.Equal(out, want) {
		t.Errorf("%s left as %d\n%s, want\n%s\n got %x\nwant %x", alias, action, text(out), text(want), out, want)
	}
	b.comes(t, packet.Build(said(service, own, p, payload)...), packet.Build(said(alias, own, p, payload)...), checkAnswer)
	b.comesTagged(t, said(service, own, p, payload), said(alias, own, p, payload))
	other := packet.Build(said(service, netip.AddrPortFrom(own.Addr(), port+1000), p, payload)...)
	b.comes(t, other, other, noService)
	quoted := packetOf(said(own, service, p, payload))
	home := slices.Clone(quoted)
	copy(home[map[bool]int{true: 16, false: 24}[w.Alias.Is4()]:], w.Alias.AsSlice())
	for from, to := range map[netip.Addr]netip.Addr{w.Virtual: w.Alias, w.Server: w.Server} {
		b.comes(t, packet.Build(atBack(unreachable(from, w.Source, quoted))...), packet.Build(atBack(unreachable(to, w.Source, home))...), checkAnswer)
	}
}

// atBack is addressed to the director's link to its servers.
func atBack(l packet.Layers) packet.Layers {
	return append(packet.Layers{packet.Ethernet{Source: packet.MAC(macOf(1)), Destination: packet.MAC(backMAC)}}, l[1:]...)
}

// comesTagged: the tag stays where the host's VLAN device expects it.
func (b *testbed) comesTagged(t *testing.T, l, want packet.Layers) {
	t.Helper()
	onVLAN := func(l packet.Layers) []byte {
		eth := packet.Ethernet{Source: packet.MAC(macOf(1)), Destination: packet.MAC(backVLANMAC)}
		return packet.Build(append(packet.Layers{eth, packet.VLAN{ID: backVLAN}}, l[1:]...)...)
	}
	b.comes(t, onVLAN(l), onVLAN(want), checkAnswer)
}

// TestWhatIsNoCheckIsLeftAlone, but nothing that is none reaches an alias.
func TestWhatIsNoCheckIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, f := range []family{4, 6} {
		b := checksBed(t, f)
		own := netip.AddrPortFrom(directorAddr(f), 20000)
		to := packet.Build(said(own, netip.AddrPortFrom(serverAddr(f, 1), 80), model.TCP, "hello")...)
		if action, out := b.leave(t, back, to); action != -1 || !bytes.Equal(out, to) {
			t.Errorf("%s left as %d %s", text(to), action, text(out))
		}
		failure := unreachable(own.Addr(), aliasAddr(f, 0), packetOf(said(own, own, model.UDP, "")))
		if action, _ := b.leave(t, back, packet.Build(atBack(failure)...)); action != 2 {
			t.Errorf("an error to an alias left as %d", action)
		}
		astray := packet.Build(said(own, netip.AddrPortFrom(aliasAddr(f, 0), 80), model.TCP, "hello")...)
		if action, _ := b.leave(t, front, astray); action != 2 {
			t.Errorf("a check by another interface left as %d", action)
		}
		if action, _ := b.leaveFrom(t, front, back, astray); action != 2 {
			t.Errorf("somebody else's packet left as %d", action)
		}
		b.apply(t, world())
		gone := packet.Build(said(own, netip.AddrPortFrom(aliasAddr(f, 0), 80), model.TCP, "hello")...)
		if action, out := b.leave(t, back, gone); action != -1 || !bytes.Equal(out, gone) {
			t.Errorf("%s left as %d %s, though nobody has it any more", text(gone), action, text(out))
		}
	}
}

// TestStrangersDoNotMoveChecks: what this host answers to an alias that somebody else writes for his source neither
// begins a check nor takes the answers of one. What it says to its own alias passes.
func TestStrangersDoNotMoveChecks(t *testing.T) {
	t.Parallel()
	for _, f := range []family{4, 6} {
		b := checksBed(t, f)
		own, service := netip.AddrPortFrom(directorAddr(f), 20000), netip.AddrPortFrom(vip(f, 10), 80)
		to := func(alias byte, flags packet.TCPFlags) int32 {
			l := with(said(own, netip.AddrPortFrom(aliasAddr(f, alias), 80), model.TCP, ""), func(s *packet.TCP) { s.Flags = flags })
			action, _ := b.leave(t, back, packet.Build(l...))
			return action
		}
		answer := packet.Build(said(service, own, model.TCP, "")...)
		for _, flags := range []packet.TCPFlags{packet.RST, packet.RST | packet.ACK, packet.SYN | packet.ACK, packet.ACK} {
			if action := to(0, flags); action != 2 {
				t.Errorf("%s without a check left as %d", flags, action)
			}
		}
		b.comes(t, answer, answer, noService)
		home := packet.Build(said(netip.AddrPortFrom(aliasAddr(f, 0), 80), own, model.TCP, "")...)
		for _, flags := range []packet.TCPFlags{packet.SYN | packet.ECE | packet.CWR, packet.ACK, packet.FIN | packet.ACK, packet.RST} {
			if action := to(0, flags); action != -1 {
				t.Errorf("%s of a check left as %d", flags, action)
			}
			if action := to(1, packet.RST|packet.ACK); action != 2 {
				t.Errorf("an RST to another alias left as %d", action)
			}
			b.comes(t, answer, home, checkAnswer)
		}
	}
}

// TestAnswersThatNobodyWaitsForAreNotTaken: long after a check, its port may be another socket's.
func TestAnswersThatNobodyWaitsForAreNotTaken(t *testing.T) {
	t.Parallel()
	b := checksBed(t, 4)
	own, alias := netip.AddrPortFrom(director4, 20000), netip.AddrPortFrom(aliasAddr(4, 0), 80)
	ask := packet.Build(said(own, alias, model.TCP, "")...)
	answer := packet.Build(said(netip.AddrPortFrom(vip(4, 10), 80), own, model.TCP, "")...)
	home := packet.Build(said(alias, own, model.TCP, "")...)
	b.leave(t, back, ask)
	age := func(by time.Duration) {
		if err := b.path.AgeChecks(by); err != nil {
			t.Fatal(err)
		}
	}
	age(4 * time.Minute)
	b.comes(t, answer, home, checkAnswer)
	age(2 * time.Minute)
	b.comes(t, answer, answer, noService)
	if action, _ := b.leave(t, back, ask); action != -1 {
		t.Errorf("the next packet left as %d", action)
	}
	b.comes(t, answer, home, checkAnswer)
}

// TestDatagramsWithoutAChecksum have none afterwards.
func TestDatagramsWithoutAChecksum(t *testing.T) {
	t.Parallel()
	b := checksBed(t, 4)
	own, alias := netip.AddrPortFrom(director4, 20000), netip.AddrPortFrom(aliasAddr(4, 0), 53)
	service := netip.AddrPortFrom(vip(4, 10), 53)
	bare := func(source, destination netip.AddrPort) []byte {
		return packet.Build(with(said(source, destination, model.UDP, "hello"), func(u *packet.UDP) { u.NoChecksum = true })...)
	}
	if _, out := b.leave(t, back, bare(own, alias)); !bytes.Equal(out, bare(own, service)) {
		t.Errorf("left as %s", text(out))
	}
	b.comes(t, bare(service, own), bare(alias, own), checkAnswer)
}
