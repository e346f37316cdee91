// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// words is hex with spaces, one word a field.
func words(text string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// bodies are one of each kind, and what it is on the wire: this is version 1, and no later one may read it otherwise.
var bodies = []struct {
	name string
	kind kind
	said interface{ body() []byte }
	wire string
}{
	{"hello", kindHello, hello{newest: 3, oldest: 1, role: RoleAll, inSync: true, challenge: 0x1122, answer: 0x3344, accepts: epoch{1, 15: 2}, latest: 9, kept: 4, applied: 7, services: 0x55},
		"03 01 02 01 0000000000001122 0000000000003344 01000000000000000000000000000002 0000000000000009 0000000000000004 0000000000000007 0000000000000055"},
	{"ack", kindAck, ack{258}, "0000000000000102"},
	{"a connection by NAT", kindChanges, changes{5, []item{{record: model.Record{Protocol: model.TCP, Client: ap("203.0.113.7:40000"), Virtual: ap("192.0.2.10:80"),
		Server: ap("10.0.0.1:8080"), Forwarding: model.NAT, State: "FIN_WAIT", ClientClosed: true, Settled: true, Persistent: true, Left: 2 * time.Minute}}}},
		"0000000000000005 01  34 06 13 00000078 cb007107 9c40 c000020a 0050 0a000001 1f90"},
	{"IPv6 in a tunnel of IPv4, a template, and an end", kindChanges, changes{6, []item{
		{record: model.Record{Protocol: model.UDP, Client: ap("[2001:db8::7]:5353"), Virtual: ap("[2001:db8::10]:53"), Server: ap("10.0.0.1:53"), Forwarding: model.TUN, State: "UDP", Left: time.Second}},
		{record: model.Record{Protocol: model.SCTP, Client: ap("203.0.113.0:0"), Virtual: ap("0.0.0.0:0"), Server: ap("10.0.0.1:0"), Forwarding: model.DR, State: model.Template, Left: model.MaxTimeout}},
		endedItem(model.Identity{Protocol: model.TCP, Client: ap("203.0.113.7:40000"), Virtual: ap("192.0.2.10:80")}),
		endedItem(model.Identity{Protocol: model.TCP, Client: ap("[2001:db8::]:0"), Virtual: ap("[2001:db8::10]:80"), Template: true})}},
		`0000000000000006 04
		01 11 26 00000001 20010db8000000000000000000000007 14e9 20010db8000000000000000000000010 0035 0a000001 0035
		00 84 37 0028de80 cb007100 0000 00000000 0000 0a000001 0000
		40 06 cb007107 9c40 c000020a 0050
		c1 06 20010db8000000000000000000000000 0000 20010db8000000000000000000000010 0050`},
	{"mark", kindMark, mark{7, edgeEnd, 3, sliceSet{1, 0, 0, 1 << 63}}, "0000000000000007 02 00000003 0000000000000001 0000000000000000 0000000000000000 8000000000000000"},
	{"digests", kindDigests, digests{position: 8, round: 2, half: 1, sums: [128]uint64{0: 0xaa, 127: 0xbb}}, "0000000000000008 00000002 01 00000000000000aa" + strings.Repeat(" 0000000000000000", 126) + "00000000000000bb"},
	{"ask", kindAsk, ask{digests: true, request: 4, slices: sliceSet{2}, holes: []hole{{9, 2}, {20, 1}}},
		"01 00000004 0000000000000002 0000000000000000 0000000000000000 0000000000000000 0000000000000009 0002 0000000000000014 0001"},
}

func ap(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// parseBody reads a body of any kind.
func parseBody(k kind, body []byte) (said interface{ body() []byte }, why Reason) {
	if len(body) < k.leastOf() || len(body) > k.mostOf() {
		return nil, ReasonLength
	}
	switch k {
	case kindHello:
		return parseHello(body)
	case kindAck:
		return parseAck(body)
	case kindChanges:
		return parseChanges(body)
	case kindMark:
		return parseMark(body)
	case kindDigests:
		return parseDigests(body)
	}
	return parseAsk(body)
}

func TestBodiesAreThese(t *testing.T) {
	for _, row := range bodies {
		if got := row.said.body(); !bytes.Equal(got, words(row.wire)) {
			t.Errorf("%s:\n got %x\nwant %x", row.name, got, words(row.wire))
		}
		got, why := parseBody(row.kind, words(row.wire))
		if why != Taken || !reflect.DeepEqual(got, row.said) {
			t.Errorf("%s: %s\n got %+v\nwant %+v", row.name, why, got, row.said)
		}
	}
}

// TestSealedDatagramIsThis: made from fixed key, epoch and sequence, so that another version can be compared.
func TestSealedDatagramIsThis(t *testing.T) {
	keys := mustKeys(t, testKey)
	got := keys.seal(header{version: 1, kind: kindAck, epoch: epoch{15: 9}, sequence: 77}, ack{258}.body())
	const want = "7773 01 02 KEY 00000000000000000000000000000009 000000000000004d"
	head := strings.ReplaceAll(want, "KEY", hex.EncodeToString(keys[0].secret.id[:]))
	if !bytes.HasPrefix(got, words(head)) || len(got) != headerSize+ackSize+sealSize {
		t.Errorf("got %x, want %s", got, head)
	}
	h, why := parseHeader(got)
	if why != Taken {
		t.Fatal(why)
	}
	body, ok := keys.with(h.key).open(got)
	if a, why := parseAck(body); !ok || why != Taken || a.applied != 258 {
		t.Errorf("%v, %s, %+v", ok, why, a)
	}
	for at := range got {
		for bit := range 8 {
			spoilt := bytes.Clone(got)
			spoilt[at] ^= 1 << bit
			h, why := parseHeader(spoilt)
			if why != Taken {
				continue
			}
			if s := keys.with(h.key); s == nil {
				continue
			} else if _, ok := s.open(spoilt); ok {
				t.Fatalf("bit %d of byte %d may be changed", bit, at)
			}
		}
	}
}

func TestNothingBrokenIsTaken(t *testing.T) {
	record := func(flags, protocol, what, left, client, virtual, server string) string {
		return strings.Join([]string{"0000000000000005 01", flags, protocol, what, left, client, virtual, server}, " ")
	}
	const client, virtual, server = "cb007107 9c40", "c000020a 0050", "0a000001 1f90"
	good := record("34", "06", "13", "00000078", client, virtual, server)
	for _, row := range []struct {
		name string
		kind kind
		body string
		want Reason
	}{
		{"good", kindChanges, good, Taken},
		{"position 0", kindChanges, strings.Replace(good, "05 01", "00 01", 1), ReasonPosition},
		{"no items", kindChanges, strings.Replace(good, "05 01", "05 00", 1), ReasonCount},
		{"fewer items than there are", kindChanges, good + " 40 06" + client + virtual, ReasonCount},
		{"more items than there are", kindChanges, strings.Replace(good, "05 01", "05 02", 1), ReasonCount},
		{"255 items", kindChanges, strings.Replace(good, "05 01", "05 ff", 1), ReasonCount},
		{"a byte more", kindChanges, good + "00", ReasonCount},
		{"a byte less", kindChanges, good[:len(good)-2], ReasonCount},
		{"all flags", kindChanges, record("ff", "06", "13", "00000078", client, virtual, server), ReasonCount}, // what has ended is shorter
		{"a record with the flag of a template", kindChanges, record("b4", "06", "13", "00000078", client, virtual, server), ReasonFlags},
		{"an end that is settled", kindChanges, "0000000000000005 01 50 06" + client + virtual, ReasonFlags},
		{"an end of IPv6 servers", kindChanges, "0000000000000005 01 42 06" + client + virtual, ReasonFlags},
		{"UDP that a client has closed", kindChanges, record("04", "11", "16", "00000078", client, virtual, server), ReasonFlags},
		{"a template that a server has closed", kindChanges, record("08", "06", "17", "00000078", "cb007107 0000", virtual, server), ReasonFlags},
		{"a template that keeps a template", kindChanges, record("20", "06", "17", "00000078", "cb007107 0000", virtual, server), ReasonFlags},
		{"ICMP", kindChanges, record("34", "01", "13", "00000078", client, virtual, server), ReasonProtocol},
		{"method 0", kindChanges, record("34", "06", "03", "00000078", client, virtual, server), ReasonForwarding},
		{"method 4", kindChanges, record("34", "06", "43", "00000078", client, virtual, server), ReasonForwarding},
		{"state 0", kindChanges, record("34", "06", "10", "00000078", client, virtual, server), ReasonState},
		{"state 8", kindChanges, record("34", "06", "18", "00000078", client, virtual, server), ReasonState},
		{"state 15", kindChanges, record("34", "06", "1f", "00000078", client, virtual, server), ReasonState},
		{"TCP in the state of UDP", kindChanges, record("10", "06", "16", "00000078", client, virtual, server), ReasonState},
		{"UDP in a state of TCP", kindChanges, record("10", "11", "12", "00000078", client, virtual, server), ReasonState},
		{"no time left", kindChanges, record("34", "06", "13", "00000000", client, virtual, server), ReasonLeft},
		{"a second too much left", kindChanges, record("34", "06", "13", "0028de81", client, virtual, server), ReasonLeft},
		{"all time left", kindChanges, record("34", "06", "13", "ffffffff", client, virtual, server), ReasonLeft},
		{"client 0", kindChanges, record("34", "06", "13", "00000078", "00000000 9c40", virtual, server), ReasonAddress},
		{"virtual 0", kindChanges, record("34", "06", "13", "00000078", client, "00000000 0050", server), ReasonAddress},
		{"server 0", kindChanges, record("34", "06", "13", "00000078", client, virtual, "00000000 0050"), ReasonAddress},
		{"a template's server 0", kindChanges, record("00", "06", "17", "00000078", "cb007107 0000", virtual, "00000000 0050"), ReasonAddress},
		{"IPv4 as IPv6", kindChanges, record("35", "06", "23", "00000078", "00000000000000000000ffffcb007107 9c40", "00000000000000000000ffffc000020a 0050", server), ReasonAddress},
		{"an end of client 0", kindChanges, "0000000000000005 01 40 06 00000000 9c40" + virtual, ReasonAddress},
		{"IPv6 by NAT to IPv4", kindChanges, record("35", "06", "13", "00000078", "20010db8000000000000000000000007 9c40", "20010db8000000000000000000000010 0050", server), ReasonFamily},
		{"IPv4 by DR to IPv6", kindChanges, record("36", "06", "33", "00000078", client, virtual, "20010db8000000000000000000000010 0050"), ReasonFamily},
		{"client port 0", kindChanges, record("30", "11", "16", "00000078", "cb007107 0000", virtual, server), Taken},
		{"an end of client port 0", kindChanges, "0000000000000005 01 40 11 cb007107 0000" + virtual, Taken},
		{"virtual port 0", kindChanges, record("34", "06", "13", "00000078", client, "c000020a 0000", server), ReasonPort},
		{"NAT to port 0", kindChanges, record("34", "06", "13", "00000078", client, virtual, "0a000001 0000"), ReasonPort},
		{"a template with a client's port", kindChanges, record("10", "06", "17", "00000078", client, virtual, server), ReasonPort},
		{"an end of a template with a client's port", kindChanges, "0000000000000005 01 c0 06" + client + virtual, ReasonPort},

		{"hello of version 0", kindHello, "01 00 02 00" + zeros(8+8+16+8) + "0000000000000001" + zeros(16), ReasonVersion},
		{"hello of no versions", kindHello, "01 02 02 00" + zeros(8+8+16+8) + "0000000000000001" + zeros(16), ReasonVersion},
		{"hello of role 0", kindHello, "01 01 00 00" + zeros(8+8+16+8) + "0000000000000001" + zeros(16), ReasonRole},
		{"hello of role 4", kindHello, "01 01 04 00" + zeros(8+8+16+8) + "0000000000000001" + zeros(16), ReasonRole},
		{"hello with flags", kindHello, "01 01 02 02" + zeros(8+8+16+8) + "0000000000000001" + zeros(16), ReasonFlags},
		{"hello that keeps position 0", kindHello, "01 01 02 00" + zeros(8+8+16+8) + zeros(8) + zeros(16), ReasonPosition},
		{"hello that keeps what was never sent", kindHello, "01 01 02 00" + zeros(8+8+16+8) + "0000000000000002" + zeros(16), ReasonPosition},
		{"hello at the last position", kindHello, "01 01 02 00" + zeros(8+8+16) + "ffffffffffffffff 0000000000000001" + zeros(16), ReasonPosition},
		{"a byte less of hello", kindHello, "01 01 02 00" + zeros(8+8+16+8) + "0000000000000001" + zeros(15), ReasonLength},
		{"a byte more of an ack", kindAck, "0000000000000102 00", ReasonLength},
		{"mark at position 0", kindMark, "0000000000000000 02 00000003 0000000000000001" + zeros(24), ReasonPosition},
		{"mark of edge 0", kindMark, "0000000000000001 00 00000003 0000000000000001" + zeros(24), ReasonEdge},
		{"mark of edge 4", kindMark, "0000000000000001 04 00000003 0000000000000001" + zeros(24), ReasonEdge},
		{"mark of no request", kindMark, "0000000000000001 01 00000000 0000000000000001" + zeros(24), ReasonSlices},
		{"mark of no slices", kindMark, "0000000000000001 01 00000001" + zeros(32), ReasonSlices},
		{"digests of a third half", kindDigests, "0000000000000008 00000002 02" + zeros(1024), ReasonSlices},
		{"ask for nothing", kindAsk, "00 00000000" + zeros(32), ReasonCount},
		{"ask with flags", kindAsk, "02 00000001 0000000000000001" + zeros(24), ReasonFlags},
		{"ask for slices without a number", kindAsk, "00 00000000 0000000000000001" + zeros(24), ReasonSlices},
		{"ask for no slices with a number", kindAsk, "00 00000001" + zeros(32), ReasonSlices},
		{"ask for position 0", kindAsk, "00 00000000" + zeros(32) + "0000000000000000 0001", ReasonPosition},
		{"ask for no positions", kindAsk, "00 00000000" + zeros(32) + "0000000000000001 0000", ReasonPosition},
		{"ask for positions beyond the last", kindAsk, "00 00000000" + zeros(32) + "ffffffffffffffff 0001", ReasonPosition},
		{"ask for half a hole", kindAsk, "00 00000000" + zeros(32) + "00000000000000", ReasonLength},
	} {
		said, why := parseBody(row.kind, words(row.body))
		if why != row.want {
			t.Errorf("%s: %s, want %s", row.name, why, row.want)
		}
		if c, ok := said.(changes); ok && why != Taken && len(c.items) > 0 {
			t.Errorf("%s: %d items are left", row.name, len(c.items))
		}
	}
}

func zeros(n int) string { return strings.Repeat("00", n) }

// TestHeadersAreJudged before anything is deciphered.
func TestHeadersAreJudged(t *testing.T) {
	good := mustKeys(t, testKey).seal(header{version: 1, kind: kindAck, sequence: 1}, ack{1}.body())
	with := func(at int, b byte) []byte {
		out := bytes.Clone(good)
		out[at] = b
		return out
	}
	for _, row := range []struct {
		name     string
		datagram []byte
		want     Reason
	}{
		{"good", good, Taken},
		{"nothing", nil, ReasonLength},
		{"a header alone", good[:headerSize], ReasonLength},
		{"no body", good[:headerSize+sealSize], ReasonLength},
		{"a byte less", good[:len(good)-1], ReasonLength},
		{"a byte more", append(bytes.Clone(good), 0), ReasonLength},
		{"too much", append(bytes.Clone(good), make([]byte, mostDatagram)...), ReasonLength},
		{"another magic", with(0, 'W'), ReasonMagic},
		{"version 0", with(2, 0), ReasonVersion},
		{"version 2", with(2, 2), ReasonVersion},
		{"kind 0", with(3, 0), ReasonKind},
		{"kind 7", with(3, 7), ReasonKind},
		{"kind 255", with(3, 255), ReasonKind},
		{"another kind of another length", with(3, byte(kindHello)), ReasonLength},
	} {
		if _, why := parseHeader(row.datagram); why != row.want {
			t.Errorf("%s: %s, want %s", row.name, why, row.want)
		}
	}
}

// TestItemsComeBack: what may be said is read again as it was, and what a size says is what it takes.
func TestItemsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		want := randomItem(r)
		if want.judge() != Taken {
			continue
		}
		b := want.append(nil)
		if len(b) != want.size() || len(b) < leastItem || len(b) > mostItem {
			t.Fatalf("%+v: %d bytes, size %d", want, len(b), want.size())
		}
		from := reader{rest: b}
		if got, why := parseItem(&from); why != Taken || got != want || !from.done() {
			t.Fatalf("%s\n got %+v\nwant %+v", why, got, want)
		}
	}
}

func randomItem(r *rand.Rand) item {
	end := func(port uint16) netip.AddrPort {
		b := make([]byte, 16)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			b = b[:4]
		}
		a, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(a, port)
	}
	states := append(model.States(), model.Template)
	i := item{record: model.Record{Protocol: []model.Protocol{model.TCP, model.UDP, model.SCTP}[r.IntN(3)], Client: end(uint16(r.IntN(3))), Virtual: end(uint16(r.IntN(3))),
		Server: end(uint16(r.IntN(3))), Forwarding: model.Forwardings()[r.IntN(3)], State: states[r.IntN(len(states))], ClientClosed: r.IntN(3) == 0, ServerClosed: r.IntN(3) == 0,
		Settled: r.IntN(2) == 0, Persistent: r.IntN(3) == 0, Left: time.Duration(1+r.IntN(100)) * time.Second}}
	if r.IntN(3) == 0 {
		i = endedItem(i.record.Identity())
	}
	return i
}

func TestTimeIsRoundedUp(t *testing.T) {
	i := item{record: model.Record{Protocol: model.TCP, Client: ap("203.0.113.7:1"), Virtual: ap("192.0.2.10:80"), Server: ap("10.0.0.1:80"), Forwarding: model.DR, State: "CLOSE"}}
	for left, want := range map[time.Duration]time.Duration{1: time.Second, time.Second: time.Second, time.Second + 1: 2 * time.Second, model.MaxTimeout: model.MaxTimeout} {
		i.record.Left = left
		from := reader{rest: i.append(nil)}
		if got, why := parseItem(&from); why != Taken || got.record.Left != want {
			t.Errorf("%s: %s, %s", left, why, got.record.Left)
		}
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasons {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d is %q", r, r)
		}
		seen[r.String()] = true
	}
}

// TestStatesHaveNumbers: a state of the model that has none could not be told.
func TestStatesHaveNumbers(t *testing.T) {
	for _, state := range append(model.States(), model.Template) {
		if numberOf(stateNames[:], state) == 0 {
			t.Errorf("%s has none", state)
		}
	}
	for _, f := range model.Forwardings() {
		if numberOf(methodNames[:], f) == 0 {
			t.Errorf("%s has none", f)
		}
	}
}

// TestWindowTakesEachOnce is a comparison with a set.
func TestWindowTakesEachOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var w window
	taken, top := map[uint64]bool{}, uint64(0)
	for range 200_000 {
		n := top + uint64(r.IntN(40))
		switch r.IntN(10) {
		case 0:
			n = top + uint64(r.IntN(3*windowSize))
		case 1, 2, 3, 4, 5:
			n = top - min(top, uint64(r.IntN(2*windowSize)))
		}
		want := n == 0 || taken[n] || n+windowSize <= top
		if got := w.has(n); got != want {
			t.Fatalf("%d at %d: %v", n, top, got)
		}
		if !want {
			w.take(n)
			taken[n], top = true, max(top, n)
		}
	}
}

func TestSlicesOfASet(t *testing.T) {
	var s sliceSet
	for i := range model.Slices {
		for each := range model.Slices {
			if s.has(uint8(each)) != (each < i) {
				t.Fatalf("with %d slices: %d", i, each)
			}
		}
		s.add(uint8(i))
	}
	if s != allSlices || s.isEmpty() || !(sliceSet{}).isEmpty() {
		t.Error(s)
	}
}

// FuzzBody: nothing breaks, and what is taken is said again in the same bytes.
func FuzzBody(f *testing.F) {
	for _, row := range bodies {
		f.Add(byte(row.kind), words(row.wire))
	}
	f.Fuzz(func(t *testing.T, k byte, body []byte) {
		if k == 0 || kind(k) >= kinds {
			return
		}
		said, why := parseBody(kind(k), body)
		if why == Taken && !bytes.Equal(said.body(), body) {
			t.Errorf("%x is said again as %x", body, said.body())
		}
		if c, ok := said.(changes); ok {
			for _, i := range c.items {
				if i.judge() != Taken {
					t.Errorf("%+v: %s", i, i.judge())
				}
			}
		}
	})
}

func TestKeysAreRead(t *testing.T) {
	one, two := testKey, otherKey
	for _, row := range []struct {
		name, text, want string
		keys             int
	}{
		{"one", one, "", 1},
		{"two, with words", "# new\n\n" + two + "\r\n  # old\n" + one + "\n", "", 2},
		{"none", "# nothing\n", "there is no key in it: write 32 random bytes", 0},
		{"no key", "pass word", "line 1: this is no key: write 32 random bytes", 0},
		{"short", "\n" + one[:62], "line 2: a key of 31 bytes: write 32 random bytes", 0},
		{"long", one + "00", "line 1: a key of 33 bytes: write 32 random bytes", 0},
		{"all the same", strings.Repeat("aa", 32), "line 1: a key of which all bytes are the same", 0},
		{"twice", one + "\n" + strings.ToUpper(one), "line 2: the same key again: take it away", 0},
		{"three", one + "\n" + two + "\n" + strings.Repeat("ab", 31) + "cd", "line 3: more than 2 keys", 0},
	} {
		keys, err := ParseKeys(row.text)
		if len(keys) != row.keys || (err == nil) != (row.want == "") || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: %d keys, %v", row.name, len(keys), err)
		}
		if err != nil && (strings.Contains(err.Error(), one[:8]) || strings.Contains(err.Error(), "pass word")) {
			t.Errorf("%s: the error tells the key: %v", row.name, err)
		}
	}
}

// TestKeysPrintAsTheirIDs, wherever they are in what is printed.
func TestKeysPrintAsTheirIDs(t *testing.T) {
	raw := words(testKey)
	type around struct{ keys Keys }
	keys := mustKeys(t, testKey)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, v := range []any{keys, keys[0], around{keys}, &around{keys}, settings{keys: keys}} {
			text := fmt.Sprintf(format, v)
			for _, form := range []string{hex.EncodeToString(raw[:4]), fmt.Sprint(raw[:4])[1:12], fmt.Sprintf("%#v", raw[:4])[7:20], string(raw[:4])} {
				if strings.Contains(text, form) {
					t.Errorf("%s of %T prints the key: %s", format, v, text)
				}
			}
		}
	}
	if got := keys[0].String(); !strings.HasPrefix(got, "key ") || len(got) != 12 {
		t.Error(got)
	}
}
