// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/packet"
)

// recorded are the messages of a capture of Linux 6.1: what a director of LVS said to its backup.
func recorded(t testing.TB, name string) (messages [][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".pcap")
	if err != nil {
		t.Fatal(err)
	}
	for b = b[24:]; len(b) > 0; { // the file's header
		size := int(binary.LittleEndian.Uint32(b[8:]))
		if layers, err := packet.Parse(b[16 : 16+size]); err == nil {
			if _, ok := packet.Find[packet.UDP](layers); ok {
				message, _ := packet.Find[packet.Payload](layers)
				messages = append(messages, message)
			}
		}
		b = b[16+size:]
	}
	return messages
}

// captures are those of version 1, and what they hold.
var captures = map[string]struct {
	messages, entries, templates, six, marked, engines int
	syncID                                             uint8
	most                                               int // --sync-maxlen
}{
	"sync_v1":       {3, 66, 34, 24, 8, 4, 7, 1472},
	"sync_v1_every": {4, 83, 34, 27, 9, 4, 7, 1472},
	"sync_opts":     {9, 66, 34, 24, 8, 4, 9, 500},
	"sync_v6":       {3, 66, 34, 24, 8, 4, 9, 1452},
}

func TestRecordedMessagesAreReadAndMadeAgain(t *testing.T) {
	for name, want := range captures {
		got := want
		got.messages, got.entries, got.templates, got.six, got.marked, got.engines = 0, 0, 0, 0, 0, 0
		again := batch{syncID: want.syncID, most: want.most}
		for i, b := range recorded(t, name) {
			m, why := parse(b)
			if why != Taken || m.syncID != want.syncID {
				t.Fatalf("%s %d: %s of sync id %d", name, i, why, m.syncID)
			}
			got.messages++
			for _, e := range m.entries {
				got.entries++
				count(&got.templates, e.flags&flagTemplate != 0)
				count(&got.six, e.client.Addr().Is6())
				count(&got.marked, e.mark != 0)
				count(&got.engines, e.has(optionEngine) && e.has(optionName))
				if !again.add(e) {
					t.Fatalf("%s %d: %+v has no room", name, i, e)
				}
			}
			if made := again.take(); !bytes.Equal(made, b) {
				t.Errorf("%s %d: made\n%x, was\n%x", name, i, made, b)
			}
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func count(n *int, is bool) {
	if is {
		*n++
	}
}

// bytes0 is a message of version 0, which only tests make.
func bytes0(m message) []byte {
	b := []byte{byte(len(m.entries)), m.syncID, 0, 0}
	for _, e := range m.entries {
		b = append(b, 0, e.protocol)
		for _, end := range []netip.AddrPort{e.client, e.virtual, e.server} {
			b = binary.BigEndian.AppendUint16(b, end.Port())
		}
		for _, end := range []netip.AddrPort{e.client, e.virtual, e.server} {
			b = append(b, end.Addr().AsSlice()...)
		}
		b = binary.BigEndian.AppendUint16(b, uint16(e.flags))
		b = binary.BigEndian.AppendUint16(b, e.state)
		if e.flags&flagsSequence != 0 {
			b = append(b, make([]byte, sequenceLength)...)
		}
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func TestRecordedVersion0IsRead(t *testing.T) {
	entries := 0
	for i, b := range recorded(t, "sync_v0") {
		m, why := parse(b)
		if why != Taken || m.syncID != 7 {
			t.Fatalf("%d: %s of sync id %d", i, why, m.syncID)
		}
		entries += len(m.entries)
		if again := bytes0(m); !bytes.Equal(again, b) {
			t.Errorf("%d: made\n%x, was\n%x", i, again, b)
		}
	}
	if entries != 33 {
		t.Errorf("%d entries", entries)
	}
}

var (
	tcp4 = entry{protocol: 6, flags: forwardMasquerade, state: tcpEstablished, timeout: 900,
		client:  netip.MustParseAddrPort("10.9.0.1:3001"),
		virtual: netip.MustParseAddrPort("10.0.0.100:80"),
		server:  netip.MustParseAddrPort("10.1.0.12:80")}
	tcp6 = entry{protocol: 6, flags: forwardRoute | flagNoOutput, state: tcpEstablished, timeout: 900,
		client:  netip.MustParseAddrPort("[fd00:9::1]:3001"),
		virtual: netip.MustParseAddrPort("[fd00:a::100]:80"),
		server:  netip.MustParseAddrPort("[fd00:b::12]:80")}
)

func (e entry) with(options ...option) entry {
	e.options = options
	return e
}

func messageOf(entries ...entry) []byte {
	m := batch{syncID: 7, most: 1472}
	for _, e := range entries {
		m.add(e)
	}
	return m.take()
}

// spoil changes a byte of a message.
func spoil(b []byte, at int, value byte) []byte {
	b = slices.Clone(b)
	b[at] = value
	return b
}

// resize makes a message shorter, or longer, and its size right.
func resize(b []byte, by int) []byte {
	b = append(slices.Clone(b), make([]byte, max(by, 0))...)
	b = b[:len(b)+min(by, 0)]
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// optionBytes is a message whose one entry has these bytes as its options.
func optionBytes(options ...byte) []byte {
	b := append(messageOf(tcp4), options...)
	b[headLength+3] += byte(len(options))
	return resize(b, 0)
}

// judgedMessage is a message, and why it does not count.
type judgedMessage struct {
	b    []byte
	want Reason
}

// judgedMessages are each wrong in one way, or right.
func judgedMessages() map[string]judgedMessage {
	one, two := messageOf(tcp4), messageOf(tcp4, tcp6)
	sequence := option{optionSequence, make([]byte, sequenceLength)}
	odd := messageOf(tcp4.with(option{optionEngine, []byte("x")}), tcp4)
	zero := bytes0(message{7, []entry{tcp4, tcp4}})
	shifted := tcp4
	shifted.flags |= 0x200
	second := headLength + size4
	return map[string]judgedMessage{
		"nothing":                 {nil, ReasonLength},
		"three bytes":             {one[:3], ReasonLength},
		"half a header":           {[]byte{0, 7, 0, 6, 0, 1}, ReasonLength},
		"a header of version 0":   {[]byte{0, 7, 0, 4}, ReasonLength},
		"says less":               {spoil(one, 3, one[3]-1), ReasonLength},
		"says more":               {spoil(one, 3, one[3]+1), ReasonLength},
		"cut":                     {one[:len(one)-1], ReasonLength},
		"a byte behind":           {append(slices.Clone(one), 0), ReasonLength},
		"version 2":               {spoil(one, 5, 2), ReasonVersion},
		"version -1":              {spoil(one, 5, 255), ReasonVersion},
		"no version":              {spoil(one, 5, 0), ReasonVersion},
		"spare":                   {spoil(one, 7, 1), ReasonVersion},
		"version of entry":        {spoil(one, headLength+2, 0x10), ReasonVersion},
		"version of second":       {spoil(two, second+2, 0xf0), ReasonVersion},
		"count 0":                 {spoil(one, 4, 0), ReasonCount},
		"count 1 of 2":            {spoil(two, 4, 1), ReasonCount},
		"count 2 of 1":            {spoil(one, 4, 2), ReasonCount},
		"count 255":               {spoil(two, 4, 255), ReasonCount},
		"byte behind, counted":    {resize(one, 1), ReasonCount},
		"padding at the end":      {resize(messageOf(tcp4.with(option{optionEngine, []byte("x")})), 1), ReasonCount},
		"size 0":                  {spoil(one, headLength+3, 0), ReasonEntry},
		"size 35":                 {spoil(one, headLength+3, 35), ReasonEntry},
		"size 37":                 {spoil(one, headLength+3, 37), ReasonEntry},
		"size 4095":               {spoil(spoil(one, headLength+2, 0x0f), headLength+3, 0xff), ReasonEntry},
		"size 71 of IPv6":         {spoil(two, second+3, 71), ReasonEntry},
		"entry cut at 20":         {resize(one, 20-size4), ReasonEntry},
		"entry cut at 35":         {resize(one, 35-size4), ReasonEntry},
		"IPv4's size of IPv6":     {spoil(one, headLength, 1), ReasonEntry},
		"type 2":                  {spoil(one, headLength, 2), ReasonType},
		"type 3":                  {spoil(two, second, 3), ReasonType},
		"type 255":                {spoil(one, headLength, 255), ReasonType},
		"padding":                 {spoil(odd, headLength+size4+3, 1), ReasonPadding},
		"option, one byte":        {optionBytes(1), ReasonOption},
		"option, empty":           {optionBytes(1, 0), ReasonOption},
		"option, past the end":    {optionBytes(optionEngine, 3, 'a', 'b'), ReasonOption},
		"option, 255 long":        {optionBytes(optionEngine, 255, 'a', 'b'), ReasonOption},
		"sequence too short":      {optionBytes(append([]byte{optionSequence, 23}, make([]byte, 23)...)...), ReasonOption},
		"sequence too long":       {messageOf(tcp4.with(option{optionSequence, make([]byte, 25)})), ReasonOption},
		"sequence twice":          {messageOf(tcp4.with(sequence, sequence)), ReasonOption},
		"sequence twice, once 64": {messageOf(tcp4.with(sequence, option{optionSequence | optional, sequence.data})), ReasonOption},
		"engine twice":            {optionBytes(optionEngine, 1, 'a', optionEngine, 1, 'b'), ReasonOption},
		"name twice":              {optionBytes(optionName, 1, 'a', optionName, 1, 'b'), ReasonOption},
		"name too long":           {messageOf(tcp4.with(option{optionName, make([]byte, 17)})), ReasonOption},
		"version 0, cut":          {resize(zero, -1), ReasonCount},
		"version 0, more":         {resize(zero, 1), ReasonCount},
		"version 0, count 255":    {spoil(zero, 0, 255), ReasonCount},
		"version 0, count 1 of 2": {spoil(zero, 0, 1), ReasonCount},
		"version 0, reserved":     {spoil(zero, headLength0, 1), ReasonType},
		"version 0, no sequence":  {resize(bytes0(message{7, []entry{shifted}}), -1), ReasonEntry},
		"version 0, sequence":     {bytes0(message{7, []entry{shifted, tcp4}}), Taken},
		"no entries":              {[]byte{0, 7, 0, 8, 0, 1, 0, 0}, Taken},
		"two entries":             {two, Taken},
		"odd, and another one":    {odd, Taken},
		"unknown option":          {optionBytes(9, 1, 0), Taken}, // of the entry: see TestOneEntryIsNotTaken
		"option 0":                {optionBytes(0, 1, 0), Taken},
	}
}

func TestNothingIsTakenOfAMessageThatIsWrong(t *testing.T) {
	for name, c := range judgedMessages() {
		m, why := parse(c.b)
		if why != c.want {
			t.Errorf("%s: %s, want %s", name, why, c.want)
		}
		if why != Taken && !reflect.DeepEqual(m, message{}) {
			t.Errorf("%s: %s, and yet %+v", name, why, m)
		}
	}
}

func TestNoLengthIsTooMuch(t *testing.T) {
	whole := messageOf(tcp4, tcp6, tcp4)
	for length := range 2049 {
		b := make([]byte, length)
		copy(b, whole)
		if _, why := parse(b); (why == Taken) != (length == len(whole)) {
			t.Fatalf("%d bytes: %s", length, why)
		}
		if length < headLength0 {
			continue
		}
		binary.BigEndian.PutUint16(b[2:], uint16(length))
		if _, why := parse(b); (why == Taken) != (length == len(whole)) {
			t.Fatalf("%d bytes that say so: %s", length, why)
		}
	}
}

func TestBatchesAreBounded(t *testing.T) {
	for _, most := range []int{500, 1452, 1472, 9000, 65507} {
		m := batch{syncID: 9, most: most}
		var messages [][]byte
		for i := range 1000 {
			e := tcp4
			if i%3 == 0 {
				e = tcp6
			}
			if i%5 == 0 {
				e = e.with(option{optionEngine, []byte("call-1")}, option{optionName, []byte("sip")})
			}
			if !m.add(e) {
				messages = append(messages, m.take())
				if !m.add(e) {
					t.Fatalf("%d: an empty message has no room", most)
				}
			}
		}
		messages = append(messages, m.take())
		if m.take() != nil {
			t.Errorf("%d: what was taken is there again", most)
		}
		entries := 0
		for i, b := range messages {
			got, why := parse(b)
			if why != Taken || len(b) > most || len(got.entries) > 255 {
				t.Errorf("%d: message of %d bytes, %d entries: %s", most, len(b), len(got.entries), why)
			}
			if i < len(messages)-1 && len(b)+size6+26 <= most && len(got.entries) < 255 {
				t.Errorf("%d: message of %d bytes had room", most, len(b))
			}
			entries += len(got.entries)
		}
		if entries != 1000 {
			t.Errorf("%d: %d entries", most, entries)
		}
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
	for _, name := range []string{"sync_v0", "sync_v1", "sync_v1_every", "sync_opts", "sync_v6"} {
		for _, b := range recorded(f, name) {
			f.Add(b)
		}
	}
	f.Add(messageOf(tcp4, tcp6.with(option{0x41, make([]byte, sequenceLength)})))
	f.Add(optionBytes(9, 1, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, why := parse(b)
		if why != Taken {
			if !reflect.DeepEqual(m, message{}) {
				t.Fatalf("%s, and yet %+v", why, m)
			}
			return
		}
		for _, e := range m.entries {
			if r, why := e.record(Marks{}); why == Taken {
				sane(t, r)
			}
		}
		if b[0] != 0 {
			return // version 0 is not made
		}
		again := batch{syncID: m.syncID, most: len(b)}
		for _, e := range m.entries {
			if !again.add(e) {
				t.Fatalf("%+v has no room", e)
			}
		}
		if made := again.take(); len(m.entries) > 0 && !bytes.Equal(made, b) {
			t.Fatalf("made %x, was %x", made, b)
		}
	})
}
