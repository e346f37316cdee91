// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// told: who sends what cannot be sent on hears of it.
func (tb *table) told(f family) {
	name := func(s string) string { return fmt.Sprintf("told ipv%d: %s", f, s) }
	wide := func(n int) packet.Layers {
		return append(uncut(tb.talk(f, oddHost, oddNarrowDR, model.TCP).open()), packet.Payload(make([]byte, n)))
	}
	for _, n := range []int{161, 300, 507, 508, 509, 1171, 1172, 1173, 1400} { // around what is quoted
		tb.add(name(fmt.Sprintf("%d bytes", n)), in(wide(n), tooBigTold), in(append(wide(n), packet.Trailer("padding")), tooBigTold),
			in(tagged(wide(n)), tooBigTold), in(taggedAs(wide(n), 0), tooBigTold))
	}
	last := func(n int) packet.Layers { return ttl(append(wide(n), packet.Payload("hop")), 1) }
	tb.add(name("TTL before size"), in(last(1000), ttlTold), in(last(0), ttlTold), in(tagged(last(0)), ttlTold))
	other := fromMAC(ttl(tb.talk(f, 10, 80, model.TCP).open(), 1), macOf(77))
	tb.add(name("goes back to where it came from"), in(other, ttlTold))
	tb.add(name("but not of a martian"), in(with(with(last(0), func(ip *packet.IPv4) { ip.Source = vip(f, oddHost) }),
		func(ip *packet.IPv6) { ip.Source = vip(f, oddHost) }), martian))
	tb.add(name("but not without a service"), in(ttl(talkTo(f, 200, 80, model.TCP, 9).open(), 1), noService))
	here := tb.talk(f, oddHost, oddLocal, model.TCP)
	tb.add(name("but not by a local server"), in(ttl(here.open(), 1), local), in(append(ttl(here.more(), 0), large), local))
	tb.add(name("by a backup not"), in(ttl(tb.talk(f, oddHost, oddBackup, model.TCP).open(), 1), notServing))
	if f == 4 {
		options := with(wide(300), func(ip *packet.IPv4) { ip.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0} })
		tb.add(name("options are quoted"), in(options, tooBigTold), in(ttl(options, 1), ttlTold))
		evil := with(wide(300), func(ip *packet.IPv4) { ip.Flags = packet.Evil })
		tb.add(name("the reserved flag is not DF"), in(evil, tooBig))
		return
	}
	tb.add(name("extension headers are quoted"), in(behind(wide(300), packet.Extension{Kind: packet.ProtocolDstOptions}), tooBigTold))
}

// TestToldMTU: what is told fits, whatever is put around it. Its numbers are not the twin's.
func TestToldMTU(t *testing.T) {
	w := newTwin(64, [10]uint32{})
	w.apply(world())
	for _, row := range []struct {
		f    family
		port uint16
		mtu  uint32
	}{
		{4, oddNarrowDR, 200}, {4, oddNarrowTUN, 180}, {4, oddNarrowGUE, 168},
		{6, oddNarrowDR, 200}, {6, oddNarrowTUN, 160}, {6, oddNarrowGUE, 148},
	} {
		c := talkTo(row.f, oddHost, row.port, model.TCP, 9)
		came := packet.Build(append(uncut(c.open()), large)...)
		got := w.frame(front, came)
		message := got.out[map[family]int{4: 34, 6: 54}[row.f]:]
		most := map[family]int{4: 576, 6: 1280}[row.f]
		if got.verdict != tooBigTold || mtuIn(message) != row.mtu || !bytes.HasPrefix(came[14:], message[8:]) || len(got.out) != 14+most {
			t.Errorf("ipv%d port %d: %s of %d bytes, MTU %d: %s", row.f, row.port, got.verdict, len(got.out), mtuIn(message), text(got.out))
		}
		from, _ := netip.AddrFromSlice(got.out[map[family]int{4: 26, 6: 22}[row.f]:][:len(vip(row.f, 1).AsSlice())])
		if from != vip(row.f, oddHost) {
			t.Errorf("ipv%d: told by %s", row.f, from)
		}
	}
}

// mtuIn is what an error says of the MTU.
func mtuIn(message []byte) uint32 { return binary.BigEndian.Uint32(message[4:]) }

// mss: no SYN through the service offers more than its limit.
func (tb *table) mss(f family) {
	ways := map[uint16]verdict{mssDR: dr, mssTUN: tun, mssNAT: natIn, mssOdd: dr}
	for _, port := range slices.Sorted(maps.Keys(ways)) {
		v := ways[port]
		for _, name := range slices.Sorted(maps.Keys(mssOptions)) {
			options := mssOptions[name]
			c := tb.talk(f, mssHost, port, model.TCP)
			open := with(c.open(), func(t *packet.TCP) { t.Options = options })
			data := with(c.more(), func(t *packet.TCP) { t.Options = options })
			odd := append(open, packet.Payload("odd"))
			tb.add(fmt.Sprintf("mss ipv%d port %d: %s", f, port, name), in(open, v), in(data, v), in(odd, v), in(tagged(open), v))
		}
	}
	c := tb.talk(f, mssHost, mssNAT, model.TCP)
	server := netip.AddrPortFrom(serverAddr(f, 82), 8080)
	offer := func(flags packet.TCPFlags) packet.Layers {
		return with(c.answer(server, flags), func(t *packet.TCP) { t.Options = []byte{2, 4, 0x05, 0xb4} })
	}
	tb.add(fmt.Sprintf("mss ipv%d of an answer", f), in(c.open(), natIn), fromBack(offer(packet.SYN|packet.ACK), natOut), fromBack(offer(packet.ACK), natOut))
	big := with(append(tb.talk(f, mssHost, mssNAT, model.TCP).open(), hundred), func(t *packet.TCP) { t.Options = []byte{1, 2, 4, 0x05, 0xb4} })
	tb.add(fmt.Sprintf("mss ipv%d in fragments", f), each(cut(big, tb.newID(), 64), natIn)...)
	wrong := with(tb.talk(f, mssHost, mssNAT, model.TCP).open(), func(t *packet.TCP) { t.Options, t.Checksum = []byte{2, 4, 0x05, 0xb4}, 0xbad })
	d := tb.talk(f, mssHost, mssNAT, model.TCP)
	again := with(d.open(), func(t *packet.TCP) { t.Options, t.Checksum = []byte{2, 4, 0x05, 0xb4}, 0xbad })
	tb.add(fmt.Sprintf("mss ipv%d does not mend a checksum", f), in(wrong, badChecksum), in(d.open(), natIn), in(again, natIn))
}

// mssOptions are options of SYNs, with the MSS in every place.
var mssOptions = map[string][]byte{
	"none":                    {},
	"as Linux has it":         {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7},
	"at an odd place":         {1, 2, 4, 0x05, 0xb4, 0},
	"at the end":              {3, 3, 7, 1, 2, 4, 0x05, 0xb4},
	"at an odd end":           {3, 3, 7, 2, 4, 0x05, 0xb4, 0},
	"small":                   {2, 4, 0x02, 0x18},
	"the limit":               {2, 4, 0x05, 0x78},
	"one above the limit":     {2, 4, 0x05, 0x79},
	"the largest":             {2, 4, 0xff, 0xff},
	"of another length":       {2, 3, 0xff, 2, 5, 0xff, 0xff, 0xff},
	"behind an end":           {0, 1, 1, 1, 2, 4, 0xff, 0xff},
	"behind a lie":            {5, 0, 1, 1, 2, 4, 0xff, 0xff},
	"behind another lie":      {5, 1, 1, 1, 2, 4, 0xff, 0xff},
	"behind a long option":    {5, 60, 1, 1, 2, 4, 0xff, 0xff},
	"without a length":        {1, 1, 1, 2},
	"without a value":         {1, 1, 2, 4},
	"without half of a value": {1, 2, 4, 0xff},
	"the tenth":               {1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 0xff, 0xff},
	"the eleventh":            {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 0xff, 0xff},
	"twice":                   {2, 4, 0xff, 0xff, 2, 4, 0xff, 0xfe},
	"40 bytes":                append(bytes.Repeat([]byte{254, 9, 1, 1, 1, 1, 1, 1, 1}, 4), 2, 4, 0xff, 0xff),
}

// TestNobodyIsToldTooOften: a thousand times a second on each CPU, then not until the next second.
func TestNobodyIsToldTooOften(t *testing.T) {
	b := newTestbed(t, 64)
	b.apply(t, small(model.DR))
	for what, row := range map[string]struct {
		frame        packet.Layers
		told, silent verdict
	}{
		"TTL":  {ttl(talkTo(4, 10, 80, model.TCP, 9).open(), 1), ttlTold, ttlExceeded},
		"size": {append(uncut(talkTo(4, 10, 80, model.UDP, 9).open()), large), tooBigTold, tooBig},
	} {
		if got := b.verdictOf(t, row.frame); got != row.told {
			t.Errorf("%s: the first ends as %s, want %s", what, got, row.told)
		}
		if !b.becomesSilent(t, row.frame, row.silent) {
			t.Errorf("%s: no end of telling", what)
		}
		time.Sleep(1200 * time.Millisecond)
		if got := b.verdictOf(t, row.frame); got != row.told {
			t.Errorf("%s: a second later it ends as %s, want %s", what, got, row.told)
		}
	}
}

// verdictOf sends a frame past the twin.
func (b *testbed) verdictOf(t *testing.T, layers packet.Layers) verdict {
	t.Helper()
	b.send(t, packet.Build(layers...))
	return verdict(b.counted(t))
}

// becomesSilent: a second is long, but not for a test whose thread has to wait. A try that did not end within the half
// second that ExhaustTold leaves says nothing, and another one is made.
func (b *testbed) becomesSilent(t *testing.T, layers packet.Layers, want verdict) bool {
	t.Helper()
	tries, giveUp := 0, time.Now().Add(time.Minute)
	for tries < 10 && time.Now().Before(giveUp) {
		begin := time.Now()
		if err := b.path.ExhaustTold(); err != nil {
			t.Fatal(err)
		}
		if b.verdictOf(t, layers) == want {
			return true
		}
		if time.Since(begin) < time.Second/4 {
			tries++
		}
	}
	return false
}
