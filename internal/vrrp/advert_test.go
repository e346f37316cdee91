// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

var (
	left   = netip.MustParseAddr("192.0.2.1")
	right  = netip.MustParseAddr("192.0.2.2")
	vip    = netip.MustParseAddr("192.0.2.100")
	group4 = netip.MustParseAddr("224.0.0.18")
	left6  = netip.MustParseAddr("fe80::9")
	right6 = netip.MustParseAddr("fe80::10") // greater, but not as a text
	vip6   = netip.MustParseAddr("fe80::100")
	group6 = netip.MustParseAddr("ff02::12")
	from4  = way{left, group4, 255}
	from6  = way{right6, group6, 255}
)

func of4(version model.VRRPVersion, checksum model.VRRPChecksum) advert {
	return advert{version: version, id: 51, priority: 200, interval: time.Second, addresses: []netip.Addr{vip}, checksum: checksum}
}

// vectors were computed of the RFCs, and keepalived 2.2.7 sends those of version 2 and of RFC 5798's reading.
var vectors = map[string]struct {
	wire   string
	way    way
	advert advert
}{
	"version 3, RFC 9568": {"3133c80100644402c0000264", from4, of4(model.VRRP3, model.ChecksumMessage)},
	"version 3, RFC 5798": {"3133c8010064a171c0000264", from4, of4(model.VRRP3, model.ChecksumPseudo)},
	"version 2":           {"2133c80100015465c00002640000000000000000", from4, of4(model.VRRP2, 0)},
	"IPv6": {"3133c801006408b8fe800000000000000000000000000100", from6, advert{version: model.VRRP3, id: 51, priority: 200,
		interval: time.Second, addresses: []netip.Addr{netip.MustParseAddr("fe80::100")}}},
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectorsAreReadAndMade(t *testing.T) {
	for name, v := range vectors {
		got, why := parse(unhex(t, v.wire), v.way)
		if why != Taken || !reflect.DeepEqual(got, v.advert) {
			t.Errorf("%s: %s, %+v", name, why, got)
		}
		if wire := hex.EncodeToString(v.advert.bytes(v.way)); wire != v.wire {
			t.Errorf("%s: made %s, want %s", name, wire, v.wire)
		}
	}
}

// recorded is what a capture holds of VRRP: its message, and how it went.
func recorded(t *testing.T, name string) (messages [][]byte, ways []way) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for b = b[24:]; len(b) > 0; { // the file's header
		size := int(binary.LittleEndian.Uint32(b[8:]))
		if layers, err := packet.Parse(b[16 : 16+size]); err == nil {
			message, _ := packet.Find[packet.Payload](layers)
			if ip, ok := packet.Find[packet.IPv4](layers); ok && ip.Protocol == protocol {
				messages, ways = append(messages, message), append(ways, way{ip.Source, ip.Destination, int(ip.TTL)})
			}
			if ip, ok := packet.Find[packet.IPv6](layers); ok && ip.Next == protocol {
				messages, ways = append(messages, message), append(ways, way{ip.Source, ip.Destination, int(ip.HopLimit)})
			}
		}
		b = b[16+size:]
	}
	return messages, ways
}

func TestRecordedKeepalivedIsReadAndMadeAgain(t *testing.T) {
	messages, ways := recorded(t, "testdata/keepalived.pcap")
	seen := map[string]int{}
	for i, message := range messages {
		a, why := parse(message, ways[i])
		if why != Taken {
			t.Fatalf("%d: %s of %x", i, why, message)
		}
		if again := a.bytes(ways[i]); !bytes.Equal(again, message) {
			t.Errorf("%d: made %x, was %x", i, again, message)
		}
		seen[string(rune('0'+a.version))+" "+a.checksum.String()+" "+string(bytes.TrimRight(a.auth.data[:], "\x00"))]++
	}
	for _, kind := range []string{"2 peer secret12", "3 rfc5798 ", "3 peer "} {
		if seen[kind] < 10 {
			t.Errorf("%q: %d adverts of %v", kind, seen[kind], seen)
		}
	}
}

// spoil changes an advert and makes its checksum right again.
func spoil(wire string, at int, value byte) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		b := unhex(t, wire)
		b[at] = value
		b[checksumAt], b[checksumAt+1] = 0, 0
		binary.BigEndian.PutUint16(b[checksumAt:], packet.Checksum(b))
		return b
	}
}

func plain(wire string) func(t *testing.T) []byte {
	return func(t *testing.T) []byte { return unhex(t, wire) }
}

func TestNothingIsReadOfWhatIsWrong(t *testing.T) {
	const v3, v2 = "3133c80100644402c0000264", "2133c80100015465c00002640000000000000000"
	far := way{left, group4, 254}
	for name, c := range map[string]struct {
		make func(*testing.T) []byte
		way  way
		want Reason
	}{
		"nothing":              {plain(""), from4, ReasonLength},
		"from far":             {plain(v3), far, ReasonTTL},
		"from far, nothing":    {plain(""), far, ReasonTTL},
		"version 0":            {spoil(v3, 0, 0x01), from4, ReasonVersion},
		"version 1":            {spoil(v3, 0, 0x11), from4, ReasonVersion},
		"version 4":            {spoil(v3, 0, 0x41), from4, ReasonVersion},
		"version 15":           {spoil(v3, 0, 0xf1), from4, ReasonVersion},
		"version 2 over IPv6":  {plain(v2), from6, ReasonVersion},
		"type 0":               {spoil(v3, 0, 0x30), from4, ReasonType},
		"type 2":               {spoil(v3, 0, 0x32), from4, ReasonType},
		"type 15":              {spoil(v2, 0, 0x2f), from4, ReasonType},
		"no address":           {plain("3133c80000640667"), from4, ReasonChecksum},
		"no address, summed":   {func(*testing.T) []byte { return none().bytes(from4) }, from4, ReasonCount},
		"count says more":      {spoil(v3, 3, 2), from4, ReasonLength},
		"count says 255":       {spoil(v3, 3, 255), from4, ReasonLength},
		"count says less":      {spoil(v3, 3, 0), from4, ReasonLength},
		"a trailer":            {plain(v3 + "00"), from4, ReasonLength},
		"version 2, no auth":   {plain(v2[:24]), from4, ReasonLength},
		"flipped bit":          {plain("3133c80100644402c0000265"), from4, ReasonChecksum},
		"flipped bit, IPv6":    {plain("3133c801006408b8fe800000000000000000000000000101"), from6, ReasonChecksum},
		"flipped bit, 2":       {plain("2133c80100015465c00002650000000000000000"), from4, ReasonChecksum},
		"somebody else's sum":  {plain("3133c8010064a171c0000264"), way{right, group4, 255}, ReasonChecksum},
		"IPv6 without pseudo":  {func(*testing.T) []byte { return unsummed6() }, from6, ReasonChecksum},
		"interval 0":           {spoil(v3, 5, 0), from4, ReasonInterval},
		"interval 0, 2":        {spoil(v2, 5, 0), from4, ReasonInterval},
		"reserved bits":        {spoil(v3, 4, 0xf0), from4, Taken},
		"priority 0":           {spoil(v3, 2, 0), from4, Taken},
		"auth is not judged":   {spoil(v2, 4, 1), from4, Taken},
		"longest interval":     {spoil(v3, 4, 0x0f), from4, Taken},
		"any id":               {spoil(v3, 1, 0), from4, Taken},
		"a version 2 of IPv4":  {plain(v2), from4, Taken},
		"both readings, first": {plain(v3), from4, Taken},
	} {
		if _, got := parse(c.make(t), c.way); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func none() advert {
	return advert{version: model.VRRP3, id: 51, priority: 200, interval: time.Second, checksum: model.ChecksumMessage}
}

// unsummed6 is an advert of IPv6 with the checksum that only IPv4 has.
func unsummed6() []byte {
	b := vectors["IPv6"].advert.bytes(from6)
	b[checksumAt], b[checksumAt+1] = 0, 0
	binary.BigEndian.PutUint16(b[checksumAt:], packet.Checksum(b))
	return b
}

func TestNoLengthIsTooMuch(t *testing.T) {
	for _, v := range vectors {
		for length := range 2049 {
			b := make([]byte, length)
			copy(b, unhex(t, v.wire))
			_, why := parse(b, v.way)
			if whole := length == len(v.wire)/2; whole != (why == Taken) {
				t.Fatalf("%x with %d bytes: %s", v.wire, length, why)
			}
		}
	}
}

func TestMostAddressesFit(t *testing.T) {
	a := none()
	for i := range 255 {
		a.addresses = append(a.addresses, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	if got, why := parse(a.bytes(from4), from4); why != Taken || !reflect.DeepEqual(got, a) {
		t.Errorf("%s, %d addresses", why, len(got.addresses))
	}
}

func TestReasonsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for r := range reasons {
		if r.String() == "" || names[r.String()] {
			t.Errorf("reason %d: %q", r, r)
		}
		names[r.String()] = true
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.wire), 255, v.way.source.Is6())
		f.Add(unhex(f, v.wire)[:9], 255, v.way.source.Is6())
	}
	f.Add(unhex(f, "3133c8010064a171c0000264"), 1, false)
	f.Fuzz(func(t *testing.T, b []byte, ttl int, six bool) {
		w := from4
		if six {
			w = from6
		}
		w.hops = ttl
		a, why := parse(b, w)
		if why != Taken {
			if !reflect.DeepEqual(a, advert{}) {
				t.Fatalf("%s, and yet %+v", why, a)
			}
			return
		}
		again, why := parse(a.bytes(w), w)
		if why != Taken || !reflect.DeepEqual(again, a) {
			t.Fatalf("%+v was made, and read as %s %+v", a, why, again)
		}
	})
}
