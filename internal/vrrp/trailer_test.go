// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// draftKey is that of the draft's appendix, 00 to 1f, with the id 1.
const draftKey = "1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// signed are the images of the draft's appendix. That of IPv4 is the advert of RFC 9568's reading with a trailer.
var signed = map[string]struct {
	wire   string
	way    way
	advert advert
}{
	"IPv4": {"3133c80100644402c0000264" + "010100006800000080000000" + "1b84bc4e8e43892dc6d98448f8ee2265",
		way{netip.MustParseAddr("198.51.100.10"), group4, hops}, of4(model.VRRP3, model.ChecksumMessage)},
	"IPv6": {"3133c8010064a2e9fe800000000000000000000000000100" + "010100006800000080000000" + "c8c56146ebfd66ee10ec4d8186461b78",
		way{netip.MustParseAddr("fe80::10"), netip.MustParseAddr("fe80::20"), hops}, vectors["IPv6"].advert},
}

const draftSequence = sequence(0x6800000080000000)

func keysOf(t testing.TB, text string) Keys {
	t.Helper()
	keys, err := ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestDraftsVectorsAreReadAndMade(t *testing.T) {
	key := keysOf(t, draftKey)[0].secret
	for name, v := range signed {
		text := unhex(t, v.wire)
		got, why := parse(text, v.way)
		if why != Taken || got.trailer == nil || got.trailer.key != 1 || got.trailer.sequence != draftSequence {
			t.Errorf("%s: %s, %+v", name, why, got)
			continue
		}
		if !key.signed(text, v.way.source) {
			t.Errorf("%s: its signature is not right", name)
		}
		made := key.sign(v.advert, v.way.source, draftSequence)
		if wire := hex.EncodeToString(made.bytes(v.way)); wire != v.wire {
			t.Errorf("%s: made %s, want %s", name, wire, v.wire)
		}
		if !reflect.DeepEqual(made, got) {
			t.Errorf("%s: made %+v, read %+v", name, made, got)
		}
	}
}

// resum makes the checksum of an advert with a trailer right again.
func resum(b []byte, w way) []byte {
	b[checksumAt], b[checksumAt+1] = 0, 0
	covered := b[:len(b)-trailerLength]
	if w.source.Is6() {
		covered = append(pseudoHeader(w, len(b)), b...)
	}
	binary.BigEndian.PutUint16(b[checksumAt:], packet.Checksum(covered))
	return b
}

// TestNoBitCanBeFlipped: with the checksum left alone or made right again, no changed advert is believed. Only the
// checksum itself is not signed, and has to be right.
func TestNoBitCanBeFlipped(t *testing.T) {
	for name, v := range signed {
		for bit := range len(v.wire) * 4 {
			for _, summed := range []bool{false, true} {
				b := unhex(t, v.wire)
				b[bit/8] ^= 1 << (bit % 8)
				if summed {
					resum(b, v.way)
				}
				if why := admitted(t, b, v.way); why == Taken && !bytes.Equal(b, unhex(t, v.wire)) {
					t.Errorf("%s: bit %d flipped, checksum made %t: it is believed", name, bit, summed)
				}
			}
		}
	}
}

// admitted is what a router says of a message that has just begun, whose clock is the draft's.
func admitted(t *testing.T, text []byte, w way) Reason {
	a, why := parse(text, w)
	if why != Taken {
		return why
	}
	a.text = text
	g := guardOf(t, draftKey)
	return g.admit(draftTime, a, w.source)
}

func TestWhoseSignatureCounts(t *testing.T) {
	v := signed["IPv4"]
	change := func(at int, to byte) []byte {
		b := unhex(t, v.wire)
		b[at] = to
		return resum(b, v.way)
	}
	plain := unhex(t, v.wire)
	for name, c := range map[string]struct {
		text []byte
		from string
		want Reason
	}{
		"as it is":               {plain, "198.51.100.10", Taken},
		"from another":           {plain, "198.51.100.11", ReasonHMAC},
		"another id":             {change(1, 52), "198.51.100.10", ReasonHMAC},
		"another priority":       {change(2, 255), "198.51.100.10", ReasonHMAC},
		"priority 0":             {change(2, 0), "198.51.100.10", ReasonHMAC},
		"reserved bits":          {change(4, 0xf0), "198.51.100.10", ReasonHMAC}, // overlooked, but signed
		"another type":           {change(12, 2), "198.51.100.10", ReasonTrailer},
		"type 0":                 {change(12, 0), "198.51.100.10", ReasonTrailer},
		"reserved in trailer":    {change(14, 1), "198.51.100.10", ReasonTrailer},
		"reserved in trailer, 2": {change(15, 0x80), "198.51.100.10", ReasonTrailer},
		"another key":            {change(13, 2), "198.51.100.10", ReasonKey},
		"key 0":                  {change(13, 0), "198.51.100.10", ReasonKey},
		"another second":         {change(19, 1), "198.51.100.10", ReasonHMAC},
		"another count":          {change(23, 1), "198.51.100.10", ReasonHMAC},
		"no trailer":             {plain[:12], "198.51.100.10", ReasonUnsigned},
		"half a trailer":         {plain[:26], "198.51.100.10", ReasonLength},
		"more than a trailer":    {append(bytes.Clone(plain), 0), "198.51.100.10", ReasonLength},
		"two trailers":           {append(bytes.Clone(plain), plain[12:]...), "198.51.100.10", ReasonLength},
	} {
		if got := admitted(t, c.text, way{netip.MustParseAddr(c.from), group4, hops}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestVersion2IsSignedAsWell, as keepalived does it: its checksum is that of the message alone.
func TestVersion2IsSignedAsWell(t *testing.T) {
	key := keysOf(t, draftKey)[0].secret
	a := key.sign(of4(model.VRRP2, 0), left, draftSequence)
	text := a.bytes(from4)
	got, why := parse(text, from4)
	if why != Taken || !reflect.DeepEqual(got, a) || !key.signed(text, left) {
		t.Errorf("%s: %+v", why, got)
	}
	if !bytes.Equal(text[:20], unhex(t, vectors["version 2"].wire)) {
		t.Errorf("the advert itself is %x", text[:20])
	}
}

func TestMostAddressesFitWithATrailer(t *testing.T) {
	key, v := keysOf(t, draftKey)[0].secret, signed["IPv6"]
	a := v.advert
	a.addresses = nil
	for i := range 255 {
		a.addresses = append(a.addresses, netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(i)}))
	}
	text := key.sign(a, v.way.source, 1).bytes(v.way)
	if len(text)+60 > most {
		t.Errorf("%d bytes, and there is room for %d", len(text), most)
	}
	if _, why := parse(text, v.way); why != Taken {
		t.Error(why)
	}
}

func TestKeysAreRead(t *testing.T) {
	const hex1, hex2 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "0f0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	const base1 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for text, want := range map[string]string{
		"1 " + hex1: "[key 1]",
		"# new\n\n 255  " + hex1 + "\r\n7 " + hex2: "[key 255 key 7]",
		"3 hex:" + hex1: "[key 3]",
		"3 " + base1:    "[key 3]",
		hex1:            fmt.Sprint(keysOf(t, base1)), // the id is that of the key, however it is written
		hex1 + hex2:     fmt.Sprint(keysOf(t, hex1+hex2)),
		"":              "there is no key in it: write 32 to 64 random bytes",
		"# nothing":     "there is no key in it",
		"0 " + hex1:     "line 1: an id that is not from 1 to 255",
		"\n256 " + hex1: "line 2: an id that is not from 1 to 255",
		"one " + hex1:   "line 1: an id that is not from 1 to 255",
		"1 2 " + hex1:   "line 1: this is no key",
		"secret":        "line 1: this is no key",
		hex1[2:]:        "line 1: a key of 31 bytes",
		strings.Repeat("a5", 31) + "a6" + hex1 + "00": "line 1: a key of 65 bytes",
		strings.Repeat("00", 32):                      "line 1: a key of which all bytes are the same",
		"1 " + hex1 + "\n2 " + base1:                  "line 2: the same key again: take it away",
		"1 " + hex1 + "\n1 " + hex2:                   "line 2: a second key with the id 1: write another id",
		"1 " + hex1 + "\n2 " + hex2 + "\n3 a" + hex2[1:] + "\n4 b" + hex2[1:] + "\n5 c" + hex2[1:]: "line 5: more than 4 keys",
	} {
		keys, err := ParseKeys(text)
		got := fmt.Sprint(keys)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if strings.Contains(got, hex1[8:]) || strings.Contains(fmt.Sprintf("%+v %#v", keys, keys), "1f") {
			t.Errorf("%q: it tells the key: %s", text, got)
		}
	}
}

func TestKeysThatOthersCanReadAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vrrp.key")
	for mode, want := range map[os.FileMode]string{0o600: "", 0o400: "", 0o640: "can be read by others", 0o604: "can be read by others"} {
		if err := os.WriteFile(file, []byte(draftKey), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		keys, err := LoadKeys(file)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err == nil && len(keys) != 1 {
			t.Errorf("%o: %v, %v", mode, keys, err)
		}
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzSigned: whatever comes, nothing is believed but what somebody with the key has said from there, and that only
// as it was said.
func FuzzSigned(f *testing.F) {
	key := keysOf(f, draftKey)[0].secret
	for _, v := range signed {
		f.Add(unhex(f, v.wire), v.way.source.Is6())
		f.Add(unhex(f, v.wire)[:20], v.way.source.Is6())
	}
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		v := signed["IPv4"]
		if six {
			v = signed["IPv6"]
		}
		a, why := parse(b, v.way)
		if why != Taken {
			return
		}
		if again := a.bytes(v.way); a.trailer != nil && !bytes.Equal(again[len(again)-trailerLength:], b[len(b)-trailerLength:]) {
			t.Fatalf("%x was read, and made as %x", b, again)
		}
		if a.trailer != nil && key.signed(b, v.way.source) && !bytes.Equal(b[:checksumAt], unhex(t, v.wire)[:checksumAt]) {
			t.Fatalf("%x is believed", b)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add(draftKey)
	f.Add("# a\n7 " + strings.Repeat("ab", 64) + "\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseKeys(text)
		if (err == nil) != (len(keys) > 0) || len(keys) > mostKeys {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			if keys.with(k.secret.id) != k.secret || len(k.secret.key) < leastKey || len(k.secret.key) > mostKey {
				t.Fatalf("%v of %v", k, keys)
			}
		}
	})
}
