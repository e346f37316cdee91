// SPDX-License-Identifier: Apache-2.0

package health

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/weir-lb/weir/internal/model"
)

// resolve is a name server: what it answers to a query, which may be several messages.
type resolve func(q dnsmessage.Message, tcp bool) []dnsmessage.Message

// datagram is a resolver for datagramServer.
func (r resolve) datagram(query []byte) (out [][]byte) {
	var q dnsmessage.Message
	if q.Unpack(query) != nil {
		return nil
	}
	for _, m := range r(q, false) {
		if packed, err := m.Pack(); err == nil {
			out = append(out, packed)
		}
	}
	return out
}

// stream is one for lineServer.
func (r resolve) stream(c net.Conn) {
	query, err := readMessage(c)
	var q dnsmessage.Message
	if err != nil || q.Unpack(query) != nil {
		return
	}
	for _, m := range r(q, true) {
		if packed, err := m.Pack(); err == nil {
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
		}
	}
	_, _ = io.Copy(io.Discard, c)
}

// nameServer listens over both, at one port. One that is free for TCP may be taken for UDP.
func nameServer(t *testing.T, r resolve) netip.AddrPort {
	t.Helper()
	var err error
	for range 20 {
		to := lineServer(t, r.stream)
		if _, err = datagramServer(t, to.String(), r.datagram); err == nil {
			return to
		}
	}
	t.Fatal(err)
	return netip.AddrPort{}
}

// dnsReplyTo answers a query with records that have the name of the question.
func dnsReplyTo(q dnsmessage.Message, rcode dnsmessage.RCode, records ...dnsmessage.ResourceBody) dnsmessage.Message {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RCode: rcode}, Questions: q.Questions}
	for _, body := range records {
		header := dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: body})
	}
	return m
}

// resolveAlways answers all queries in the same way.
func resolveAlways(rcode dnsmessage.RCode, records ...dnsmessage.ResourceBody) resolve {
	return func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
		return []dnsmessage.Message{dnsReplyTo(q, rcode, records...)}
	}
}

func addressRecord(last byte) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: [4]byte{192, 0, 2, last}}
}

// dnsTest is a check of a name server, and what is said about it.
type dnsTest struct {
	ask    model.AskDNS
	server resolve
	want   string
}

func runDNSTests(t *testing.T, tests map[string]dnsTest) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within := forever
			if strings.HasPrefix(tt.want, "no answer") {
				within = later
			}
			p := probeMade(probeDNS(tt.ask))
			wantReason(t, answered(t, p, nameServer(t, tt.server), within), tt.want)
		})
	}
}

func TestNameServersAreJudged(t *testing.T) {
	three := resolveAlways(dnsmessage.RCodeSuccess, addressRecord(1), addressRecord(2), addressRecord(3))
	alias := &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("www.example.org.")}
	runDNSTests(t, map[string]dnsTest{
		"the root":     {model.AskDNS{}, resolveAlways(dnsmessage.RCodeSuccess), ""},
		"any answer":   {model.AskDNS{Name: "example.org"}, three, ""},
		"with its dot": {model.AskDNS{Name: "example.org."}, three, ""},
		"that answer":  {model.AskDNS{Name: "example.org", Answer: "192.0.2.3"}, three, ""},
		"over TCP":     {model.AskDNS{Name: "example.org", Answer: "192.0.2.3", TCP: true}, three, ""},
		"not that": {model.AskDNS{Name: "example.org", Answer: "192.0.2.9"}, three,
			"dns: no 192.0.2.9 among 3 answers"},
		"alias": {model.AskDNS{Name: "example.org", Answer: "192.0.2.9"}, resolveAlways(dnsmessage.RCodeSuccess, alias, addressRecord(1)),
			"dns: no 192.0.2.9 among 1 answers"},
		"none": {model.AskDNS{Name: "example.org", Answer: "192.0.2.9"}, resolveAlways(dnsmessage.RCodeSuccess),
			"dns: no 192.0.2.9 among 0 answers"},
		"fails": {model.AskDNS{Name: "example.org"}, resolveAlways(dnsmessage.RCodeServerFailure),
			"dns SERVFAIL, expected NOERROR"},
		"no such name":        {model.AskDNS{Name: "nx.example.org", Rcode: "NXDOMAIN"}, resolveAlways(dnsmessage.RCodeNameError), ""},
		"no such name at all": {model.AskDNS{Name: "example.org", Rcode: "NXDOMAIN"}, three, "dns NOERROR, expected NXDOMAIN"},
		"unnamed rcode":       {model.AskDNS{Name: "example.org"}, resolveAlways(11), "dns rcode 11, expected NOERROR"},
	})
}

func TestOtherAnswersAreOverlooked(t *testing.T) {
	ask := model.AskDNS{Name: "example.org"}
	spoilt := func(spoil func(*dnsmessage.Message), then ...dnsmessage.RCode) resolve {
		return func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			bad := dnsReplyTo(q, dnsmessage.RCodeServerFailure)
			spoil(&bad)
			out := []dnsmessage.Message{bad}
			for _, rcode := range then {
				out = append(out, dnsReplyTo(q, rcode))
			}
			return out
		}
	}
	otherID := func(m *dnsmessage.Message) { m.ID++ }
	otherQuestion := func(m *dnsmessage.Message) {
		m.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("example.net."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	}
	twoQuestions := func(m *dnsmessage.Message) { m.Questions = append(slices.Clone(m.Questions), m.Questions[0]) }
	runDNSTests(t, map[string]dnsTest{
		"another id":       {ask, spoilt(otherID, dnsmessage.RCodeSuccess), ""},
		"another question": {ask, spoilt(otherQuestion, dnsmessage.RCodeSuccess), ""},
		"a query":          {ask, spoilt(func(m *dnsmessage.Message) { m.Response = false }, dnsmessage.RCodeSuccess), ""},
		"nothing else":     {ask, spoilt(otherID), "no answer to our question, only 1 to others"},
		"over TCP": {model.AskDNS{Name: "example.org", TCP: true}, spoilt(otherID, dnsmessage.RCodeSuccess),
			"dns: an answer to another question"},
		"other case": {ask, spoilt(func(m *dnsmessage.Message) {
			m.Questions = slices.Clone(m.Questions)
			m.Questions[0].Name = dnsmessage.MustNewName("EXAMPLE.org.")
		}), "dns SERVFAIL, expected NOERROR"},
		"refused without the question": {ask, spoilt(func(m *dnsmessage.Message) {
			m.Questions, m.RCode = nil, dnsmessage.RCodeFormatError
		}), "dns FORMERR, expected NOERROR"},
		"good without the question": {ask, spoilt(func(m *dnsmessage.Message) {
			m.Questions, m.RCode = nil, dnsmessage.RCodeSuccess
		}), "no answer to our question, only 1 to others"},
		"question twice": {ask, spoilt(twoQuestions), "no answer to our question, only 1 to others"},
		"a flood": {ask, func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			bad := dnsReplyTo(q, dnsmessage.RCodeSuccess)
			bad.ID++
			return slices.Repeat([]dnsmessage.Message{bad}, 2*maxStrange)
		}, "dns: 32 answers, none to our question"},
	})
}

// TestTruncatedAnswerIsEnoughForTheRcode: over TCP is asked only where the rest matters.
func TestTruncatedAnswerIsEnoughForTheRcode(t *testing.T) {
	for wanted, overTCP := range map[string]int64{"": 0, "192.0.2.1": 1} {
		var streams atomic.Int64
		to := nameServer(t, func(q dnsmessage.Message, tcp bool) []dnsmessage.Message {
			if tcp {
				streams.Add(1)
				return []dnsmessage.Message{dnsReplyTo(q, dnsmessage.RCodeSuccess, addressRecord(1))}
			}
			m := dnsReplyTo(q, dnsmessage.RCodeSuccess)
			m.Truncated = true
			return []dnsmessage.Message{m}
		})
		p := probeMade(probeDNS(model.AskDNS{Name: "example.org", Answer: wanted}))
		wantReason(t, answered(t, p, to, forever), "")
		if n := streams.Load(); n != overTCP {
			t.Errorf("answer %q: asked %d times over TCP, want %d", wanted, n, overTCP)
		}
	}
}

func TestAnswersOfEveryTypeAreFound(t *testing.T) {
	host := dnsmessage.MustNewName("Host.example.org.")
	types := map[string]struct {
		body  dnsmessage.ResourceBody
		texts []string
	}{
		"A":     {addressRecord(1), []string{"192.0.2.1"}},
		"AAAA":  {&dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()}, []string{"2001:db8::1", "2001:DB8:0::1"}},
		"NS":    {&dnsmessage.NSResource{NS: host}, []string{"host.example.org", "HOST.example.org."}},
		"CNAME": {&dnsmessage.CNAMEResource{CNAME: host}, []string{"host.example.org"}},
		"PTR":   {&dnsmessage.PTRResource{PTR: host}, []string{"host.example.org"}},
		"MX":    {&dnsmessage.MXResource{Pref: 10, MX: host}, []string{"host.example.org", "10 host.example.org."}},
		"SRV":   {&dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 443, Target: host}, []string{"host.example.org", "1 2 443 host.example.org"}},
		"SOA":   {&dnsmessage.SOAResource{NS: host, MBox: host, Serial: 2026112601}, []string{"host.example.org", "2026112601"}},
		"TXT":   {&dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}}, []string{"v=spf1 -all"}},
	}
	for _, kind := range model.DNSTypes() {
		tt, ok := types[kind]
		if !ok {
			t.Errorf("type %s has no test", kind)
			continue
		}
		to := nameServer(t, resolveAlways(dnsmessage.RCodeSuccess, tt.body))
		for _, text := range tt.texts {
			p := probeMade(probeDNS(model.AskDNS{Name: "example.org", Type: kind, Answer: text}))
			wantReason(t, answered(t, p, to, forever), "")
		}
		p := probeMade(probeDNS(model.AskDNS{Name: "example.org", Type: kind, Answer: "nothing"}))
		wantReason(t, answered(t, p, to, forever), "dns: no nothing among 1 answers")
	}
}

// TestLyingDatagramsAreOverlooked: they are no answer, whatever is in them.
func TestLyingDatagramsAreOverlooked(t *testing.T) {
	for name, lie := range map[string]func([]byte) [][]byte{
		"echo":    func(query []byte) [][]byte { return [][]byte{query} },
		"empty":   func([]byte) [][]byte { return [][]byte{{}} },
		"garbage": func([]byte) [][]byte { return [][]byte{[]byte(strings.Repeat("\xc0\x0c\xff", 300))} },
		"a stump": func(query []byte) [][]byte { return [][]byte{append(slices.Clone(query[:2]), 0x80)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to, err := datagramServer(t, "127.0.0.1:0", lie)
			if err != nil {
				t.Fatal(err)
			}
			p := probeMade(probeDNS(model.AskDNS{Name: "example.org", Answer: "192.0.2.1"}))
			wantReason(t, answered(t, p, to, later), "no answer to our question, only 1 to others")
		})
	}
}

// TestBrokenRecordsAreBad: the question is ours, and then the message ends.
func TestBrokenRecordsAreBad(t *testing.T) {
	to, err := datagramServer(t, "127.0.0.1:0", func(query []byte) [][]byte {
		out := slices.Clone(query)
		out[2] |= 0x80 // a response
		out[7] = 1     // with one answer
		return [][]byte{out}
	})
	if err != nil {
		t.Fatal(err)
	}
	p := probeMade(probeDNS(model.AskDNS{Name: "example.org", Answer: "192.0.2.1"}))
	if err := answered(t, p, to, forever); err == nil || !strings.HasPrefix(err.Error(), "dns: broken answer: ") {
		t.Errorf("got %v", err)
	}
	silent := probeMade(probeDNS(model.AskDNS{Name: "example.org"}))
	wantReason(t, answered(t, silent, to, forever), "")
}

func TestDNSChecksThatCannotBe(t *testing.T) {
	for _, ask := range []model.AskDNS{
		{Type: "ANY"}, {Rcode: "WRONG"}, {Name: "a..b"}, {Name: strings.Repeat("a", 64)}, {Name: strings.Repeat("a.", 200)},
	} {
		if _, err := probeDNS(ask); err == nil || errors.Is(err, errSilent) {
			t.Errorf("%+v: got %v", ask, err)
		}
	}
}

// FuzzDNSAnswers: whatever comes, it is judged or overlooked.
func FuzzDNSAnswers(f *testing.F) {
	d, err := newDNSCheck(model.AskDNS{Name: "example.org", Answer: "192.0.2.1"})
	if err != nil {
		f.Fatal(err)
	}
	q := dnsmessage.Message{Questions: []dnsmessage.Question{d.question}}
	m := dnsReplyTo(q, dnsmessage.RCodeSuccess, addressRecord(1), &dnsmessage.TXTResource{TXT: []string{"x"}})
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, message []byte) {
		if reply, ok := d.accept(0, message); ok {
			_ = d.judge(reply)
		}
	})
}
