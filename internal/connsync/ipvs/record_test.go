// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

// sane fails if a record is none that could be taken over.
func sane(t *testing.T, r model.Record) {
	t.Helper()
	states := append(model.StatesOf(r.Protocol), model.Template)
	switch {
	case r.Forwarding.String() == "", !slices.Contains(states, r.State), r.Left <= 0, r.Left > model.MaxTimeout,
		r.IsTemplate() != (r.Client.Port() == 0), !r.IsTemplate() && r.Virtual.Port() == 0,
		r.Client.Addr().Is4() != r.Virtual.Addr().Is4(), r.Client.Addr().Is4() != r.Server.Addr().Is4(),
		r.Virtual.Addr().IsUnspecified() || r.Server.Addr().IsUnspecified():
		t.Fatalf("taken: %+v", r)
	}
}

func key(address string, port uint16) model.ServiceKey {
	return model.ServiceKey{Address: addr(address), Port: port, Protocol: model.TCP}
}

var marks = NewMarks([]Service{
	{Keys: []model.ServiceKey{key("10.0.0.100", 80)}},
	{Keys: []model.ServiceKey{key("10.5.0.7", 80), key("10.5.0.7", 443)}, Mark: 5},
	{Keys: []model.ServiceKey{key("fd00:a::100", 80)}},
	{Keys: []model.ServiceKey{key("::", 80)}, Mark: 6},
	{Keys: []model.ServiceKey{{Address: addr("10.5.0.8"), Port: 1000, Last: 1999, Protocol: model.TCP}}, Mark: 7},
	{Keys: []model.ServiceKey{key("10.5.0.8", 0)}, Mark: 8},
	{Keys: []model.ServiceKey{key("10.5.0.8", 1500)}},
})

// line is a record as `ipvsadm -Lnc` lists it.
func line(r model.Record) string {
	closed := ""
	if r.ClientClosed {
		closed += " client"
	}
	if r.ServerClosed {
		closed += " server"
	}
	return fmt.Sprintf("%s %s %s %s %s %s %s%s", r.Protocol, r.Left, r.State, r.Client, r.Virtual, r.Server, r.Forwarding, closed)
}

// TestRecordsAreTheRecordedDirectors compares the last that was said of each connection with what the director listed
// then: `ipvsadm -Lnc` beside the capture, where TIME_WAIT had 01:55 left of two minutes.
func TestRecordsAreTheRecordedDirectors(t *testing.T) {
	want := strings.Split(strings.TrimSpace(`
tcp 15m0s ESTABLISHED 10.9.0.1:3001 10.0.0.100:80 10.1.0.12:80 nat
tcp 1m0s FIN_WAIT 10.9.0.1:3001 10.0.0.100:80 10.1.0.12:80 nat client
tcp 2m0s TIME_WAIT 10.9.0.1:3001 10.0.0.100:80 10.1.0.12:80 nat client server
tcp 2m0s TIME_WAIT 10.9.0.1:3001 10.0.0.100:81 10.1.0.13:80 nat client server
tcp 2m0s TIME_WAIT 10.9.0.2:3002 10.0.0.100:80 10.1.0.11:80 nat client server
tcp 2m0s TIME_WAIT 10.9.0.2:3002 10.0.0.100:81 10.1.0.13:80 nat client server
tcp 2m0s TIME_WAIT 10.9.0.3:3003 10.0.0.100:80 10.1.0.12:80 nat client server
tcp 2m0s TIME_WAIT 10.9.0.4:3004 10.0.0.100:80 10.1.0.11:80 nat client server
tcp 2m0s TIME_WAIT 10.9.0.9:3009 10.5.0.7:80 10.1.0.12:80 nat client server
tcp 2m0s TIME_WAIT [fd00:9::1]:3001 [fd00:a::100]:80 [fd00:b::12]:80 nat client server
tcp 2m0s TIME_WAIT [fd00:9::2]:3002 [fd00:a::100]:80 [fd00:b::11]:80 nat client server
tcp 2m0s TIME_WAIT [fd00:9::3]:3003 [fd00:a::100]:80 [fd00:b::12]:80 nat client server
tcp 1m0s TEMPLATE 10.9.0.0:0 10.0.0.100:81 10.1.0.13:80 nat
tcp 1m0s TEMPLATE 10.9.0.9:0 10.5.0.7:80 10.1.0.12:80 nat
tcp 1m0s TEMPLATE [fd00:9::1]:0 [fd00:a::100]:80 [fd00:b::12]:80 nat
tcp 1m0s TEMPLATE [fd00:9::2]:0 [fd00:a::100]:80 [fd00:b::11]:80 nat
tcp 1m0s TEMPLATE [fd00:9::3]:0 [fd00:a::100]:80 [fd00:b::12]:80 nat
udp 5m0s UDP 10.9.0.5:3005 10.0.0.100:53 10.1.0.11:53 nat
udp 5m0s UDP 10.9.0.6:3006 10.0.0.100:5060 10.1.0.11:5060 nat
`), "\n")
	lines, last := map[string]bool{}, map[model.Identity]model.Record{}
	refused := map[Reason]int{}
	for _, b := range recorded(t, "sync_v1") {
		m, _ := parse(b)
		for _, e := range m.entries {
			r, why := e.record(marks)
			if why != Taken {
				refused[why]++
				continue
			}
			sane(t, r)
			lines[line(r)], last[r.Identity()] = true, r
		}
	}
	if len(refused) != 1 || refused[ReasonEngine] != 4 {
		t.Errorf("not taken: %v; the templates of SIP calls alone are not for weir", refused)
	}
	for _, line := range want {
		if !lines[line] {
			t.Errorf("nobody said %s", line)
		}
	}
	for _, r := range last {
		if !slices.Contains(want, line(r)) {
			t.Errorf("said in the end: %s", line(r))
		}
		if !r.Settled {
			t.Errorf("not settled in the end: %s", line(r))
		}
	}
	if len(last) != len(want)-2 { // the two first states of one connection
		t.Errorf("%d connections and templates, want %d", len(last), len(want)-2)
	}
}

func TestVersion0HasTimesOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range recorded(t, "sync_v0") {
		m, _ := parse(b)
		for _, e := range m.entries {
			if r, why := e.record(marks); why == Taken {
				seen[line(r)] = true
			}
		}
	}
	for _, line := range []string{
		"tcp 15m0s ESTABLISHED 10.9.0.1:3201 10.0.0.100:80 10.1.0.12:80 nat",
		"tcp 2m0s FIN_WAIT 10.9.0.1:3201 10.0.0.100:80 10.1.0.12:80 nat client",
		"tcp 2m0s TIME_WAIT 10.9.0.1:3201 10.0.0.100:80 10.1.0.12:80 nat client server",
		"tcp 3m0s TEMPLATE 10.9.0.0:0 10.0.0.100:81 10.1.0.13:80 nat",
		"tcp 3m0s TEMPLATE 10.9.0.9:0 10.5.0.7:80 10.1.0.12:80 nat",
		"udp 5m0s UDP 10.9.0.5:3205 10.0.0.100:53 10.1.0.11:53 nat",
	} {
		if !seen[line] {
			t.Errorf("nobody said %s", line)
		}
	}
}

// changed is an entry that is another one in one thing.
func changed(e entry, change func(e *entry)) entry {
	change(&e)
	return e
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// judgedEntry is an entry, and why it is not taken.
type judgedEntry struct {
	entry entry
	want  Reason
}

// judgedEntries are each wrong in one way, or right.
func judgedEntries() map[string]judgedEntry {
	of := func(change func(e *entry)) entry { return changed(tcp4, change) }
	template := of(func(e *entry) {
		e.flags, e.client = flagTemplate|flagInactive, netip.MustParseAddrPort("10.9.0.0:0")
	})
	tpl := func(change func(e *entry)) entry { return changed(template, change) }
	marked := tpl(func(e *entry) { e.protocol, e.mark, e.virtual = 0, 5, netip.MustParseAddrPort("0.0.0.5:0") })
	mark := func(change func(e *entry)) entry { return changed(marked, change) }
	at := func(a string) func(*entry) {
		return func(e *entry) { e.virtual = netip.AddrPortFrom(addr(a), 80) }
	}
	return map[string]judgedEntry{
		"a connection":                {tcp4, Taken},
		"of IPv6":                     {tcp6, Taken},
		"a template":                  {template, Taken},
		"a template of a mark":        {marked, Taken},
		"synced before":               {of(func(e *entry) { e.flags |= flagSync | flagNFCT }), Taken},
		"unknown option":              {tcp4.with(option{9, []byte{0}}), ReasonMandatory},
		"option 0":                    {tcp4.with(option{0, []byte{0}}), ReasonMandatory},
		"unknown, not mandatory":      {tcp4.with(option{0x49, []byte{0}}), Taken},
		"flags all ones":              {of(func(e *entry) { e.flags = math.MaxUint32 }), ReasonFlags},
		"one-packet":                  {of(func(e *entry) { e.flags |= 0x2000 }), ReasonFlags},
		"template and one-packet":     {tpl(func(e *entry) { e.flags |= 0x2000 }), ReasonFlags},
		"hashed":                      {of(func(e *entry) { e.flags |= 0x40 }), ReasonFlags},
		"to the director":             {of(func(e *entry) { e.flags |= 1 }), ReasonForwarding},
		"past all servers":            {of(func(e *entry) { e.flags |= 4 }), ReasonForwarding},
		"method 7":                    {of(func(e *entry) { e.flags |= 7 }), ReasonForwarding},
		"shifted in":                  {of(func(e *entry) { e.flags |= 0x400 }), ReasonSequence},
		"shifted out":                 {of(func(e *entry) { e.flags |= 0x200 }), ReasonSequence},
		"shifted by option":           {tcp4.with(option{optionSequence, make([]byte, sequenceLength)}), ReasonSequence},
		"template of an engine":       {template.with(option{optionEngine, []byte("call")}, option{optionName, []byte("sip")}), ReasonEngine},
		"connection of an engine":     {tcp4.with(option{optionEngine, []byte("call")}, option{optionName, []byte("sip")}), Taken},
		"ESP":                         {of(func(e *entry) { e.protocol = 50 }), ReasonProtocol},
		"protocol 0":                  {of(func(e *entry) { e.protocol = 0 }), ReasonProtocol},
		"template of ESP":             {tpl(func(e *entry) { e.protocol = 50 }), ReasonProtocol},
		"TCP in NONE":                 {of(func(e *entry) { e.state = 0 }), ReasonState},
		"TCP in LISTEN":               {of(func(e *entry) { e.state = 9 }), ReasonState},
		"TCP in SYNACK":               {of(func(e *entry) { e.state = 10 }), Taken},
		"TCP in LAST":                 {of(func(e *entry) { e.state = 11 }), ReasonState},
		"TCP in 65535":                {of(func(e *entry) { e.state = 65535 }), ReasonState},
		"UDP in NORMAL":               {of(func(e *entry) { e.protocol, e.state = 17, 0 }), Taken},
		"UDP in LAST":                 {of(func(e *entry) { e.protocol = 17 }), ReasonState},
		"SCTP in NONE":                {of(func(e *entry) { e.protocol, e.state = 132, 0 }), ReasonState},
		"SCTP in CLOSED":              {of(func(e *entry) { e.protocol, e.state = 132, 13 }), Taken},
		"SCTP in LAST":                {of(func(e *entry) { e.protocol, e.state = 132, 14 }), ReasonState},
		"template in NONE":            {tpl(func(e *entry) { e.state = 0 }), Taken},
		"template in LAST":            {tpl(func(e *entry) { e.state = 2 }), ReasonState},
		"template in 65535":           {tpl(func(e *entry) { e.state = 65535 }), ReasonState},
		"unknown mark":                {mark(func(e *entry) { e.mark, e.virtual = 9, netip.MustParseAddrPort("0.0.0.9:0") }), ReasonMark},
		"mark of IPv6":                {mark(func(e *entry) { e.mark, e.virtual = 6, netip.MustParseAddrPort("0.0.0.6:0") }), ReasonMark},
		"two marks":                   {mark(func(e *entry) { e.mark = 6 }), ReasonMark},
		"mark with a port":            {mark(func(e *entry) { e.virtual = netip.MustParseAddrPort("0.0.0.5:80") }), ReasonMark},
		"no client":                   {of(func(e *entry) { e.client = netip.MustParseAddrPort("0.0.0.0:3001") }), ReasonAddress},
		"no service":                  {of(at("0.0.0.0")), ReasonAddress},
		"service of a group":          {of(at("224.0.0.81")), ReasonAddress},
		"service of all":              {of(at("255.255.255.255")), ReasonAddress},
		"service on the loopback":     {of(at("127.0.0.1")), ReasonAddress},
		"template of no service":      {tpl(at("0.0.0.0")), ReasonAddress},
		"template of all clients":     {tpl(func(e *entry) { e.client = netip.MustParseAddrPort("0.0.0.0:0") }), Taken},
		"template of a group":         {tpl(func(e *entry) { e.client = netip.MustParseAddrPort("224.0.0.0:0") }), ReasonAddress},
		"no server":                   {of(func(e *entry) { e.server = netip.MustParseAddrPort("0.0.0.0:80") }), ReasonAddress},
		"template of no server":       {tpl(func(e *entry) { e.server = netip.MustParseAddrPort("0.0.0.0:80") }), ReasonAddress},
		"IPv4 in IPv6":                {changed(tcp6, func(e *entry) { e.server = netip.MustParseAddrPort("[::ffff:10.1.0.12]:80") }), ReasonAddress},
		"client's port 0":             {of(func(e *entry) { e.client = netip.MustParseAddrPort("10.9.0.1:0") }), ReasonPort},
		"client's port to come":       {of(func(e *entry) { e.flags |= flagNoClientPort }), ReasonPort},
		"service's port 0":            {of(func(e *entry) { e.virtual = netip.MustParseAddrPort("10.0.0.100:0") }), ReasonPort},
		"server's port 0":             {of(func(e *entry) { e.server = netip.MustParseAddrPort("10.1.0.12:0") }), ReasonPort},
		"template with client's port": {tpl(func(e *entry) { e.client = netip.MustParseAddrPort("10.9.0.0:1") }), ReasonPort},
		"template of all ports":       {tpl(func(e *entry) { e.virtual = netip.MustParseAddrPort("10.0.0.100:0") }), Taken},
		"timeout 0":                   {of(func(e *entry) { e.timeout = 0 }), Taken},
		"timeout of 31 days":          {of(func(e *entry) { e.timeout = 31 * 86400 }), Taken},
		"timeout of a second more":    {of(func(e *entry) { e.timeout = 31*86400 + 1 }), ReasonTimeout},
		"timeout all ones":            {tpl(func(e *entry) { e.timeout = math.MaxUint32 }), ReasonTimeout},
	}
}

func TestOneEntryIsNotTaken(t *testing.T) {
	for name, c := range judgedEntries() {
		m, why := parse(messageOf(tcp4, c.entry, tcp6))
		if why != Taken || len(m.entries) != 3 {
			t.Errorf("%s: the message is not taken: %s", name, why)
			continue
		}
		r, why := m.entries[1].record(marks)
		if why != c.want {
			t.Errorf("%s: %s, want %s", name, why, c.want)
		}
		if why == Taken {
			sane(t, r)
		} else if r != (model.Record{}) {
			t.Errorf("%s: %s, and yet %+v", name, why, r)
		}
	}
}

// told are the records that directors of LVS are told of, without their times.
func told() (out []model.Record) {
	ends := map[bool][3]netip.AddrPort{
		true:  {tcp4.client, tcp4.virtual, tcp4.server},
		false: {tcp6.client, tcp6.virtual, tcp6.server},
	}
	for _, four := range []bool{true, false} {
		for _, forwarding := range model.Forwardings() {
			for _, protocol := range []model.Protocol{model.TCP, model.SCTP} {
				r := model.Record{Protocol: protocol, Client: ends[four][0], Virtual: ends[four][1], Server: ends[four][2],
					Forwarding: forwarding, State: "ESTABLISHED", Settled: true}
				out = append(out, r)
				r.State = "CLOSE"
				out = append(out, r)
				r.State, r.ClientClosed = "FIN_WAIT", true
				out = append(out, r)
				if forwarding == model.NAT { // elsewhere nobody sees what the server sends
					r.ClientClosed, r.ServerClosed = false, true
					out = append(out, r)
				}
				r.State, r.ClientClosed, r.ServerClosed = "TIME_WAIT", true, true
				out = append(out, r)
				r.State, r.ClientClosed, r.ServerClosed = model.Template, false, false
				r.Client = netip.AddrPortFrom(r.Client.Addr(), 0)
				out = append(out, r)
				many := r
				many.Virtual, many.Server = netip.AddrPortFrom(r.Virtual.Addr(), 0), netip.AddrPortFrom(r.Server.Addr(), 0)
				out = append(out, many)
				if protocol == model.TCP && four {
					r.Virtual = netip.MustParseAddrPort("10.5.0.7:80") // of mark 5
					out = append(out, r)
				}
				if protocol == model.TCP && !four {
					r.Virtual = netip.MustParseAddrPort("[::]:80") // of mark 6
					out = append(out, r)
				}
			}
			out = append(out, model.Record{Protocol: model.UDP, Client: ends[four][0], Virtual: ends[four][1],
				Server: ends[four][2], Forwarding: forwarding, State: "UDP", Settled: true})
		}
	}
	return out
}

func TestWhatIsToldIsReadAgain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, r := range told() {
		r.Left = time.Duration(1+random.Int64N(int64(model.MaxTimeout/time.Second))) * time.Second
		e, ok := entryOf(r, marks)
		if !ok {
			t.Errorf("not told: %+v", r)
			continue
		}
		m, why := parse(messageOf(e))
		if why != Taken {
			t.Fatalf("%s: %s", line(r), why)
		}
		if got, why := m.entries[0].record(marks); why != Taken {
			t.Errorf("%s: %s", line(r), why)
		} else if diff := cmp.Diff(r, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s: (-told +read)\n%s", line(r), diff)
		}
	}
}

// TestRecordedEntriesAreToldAlike says again what the recorded director said of settled connections, byte for byte.
func TestRecordedEntriesAreToldAlike(t *testing.T) {
	for name := range captures {
		same := 0
		for _, b := range recorded(t, name) {
			m, _ := parse(b)
			for _, e := range m.entries {
				r, why := e.record(marks)
				if why != Taken || !r.Settled {
					continue
				}
				if again, ok := entryOf(r, marks); !ok || string(again.append(nil)) != string(e.append(nil)) {
					t.Fatalf("%s: %s: %v, said\n%+v, was\n%+v", name, line(r), ok, again, e)
				}
				same++
			}
		}
		if same < 50 {
			t.Errorf("%s: %d entries", name, same)
		}
	}
}

func TestBeginningsAreNotTold(t *testing.T) {
	r := model.Record{Protocol: model.TCP, Client: tcp4.client, Virtual: tcp4.virtual, Server: tcp4.server,
		Forwarding: model.NAT, State: "SYN_RECV", Settled: true, Left: time.Minute}
	with := func(change func(r *model.Record)) model.Record {
		r := r
		change(&r)
		return r
	}
	for name, r := range map[string]model.Record{
		"a SYN":                r,
		"an INIT":              with(func(r *model.Record) { r.Protocol = model.SCTP }),
		"a first datagram":     with(func(r *model.Record) { r.Protocol, r.State, r.Settled = model.UDP, "UDP", false }),
		"a first template":     with(func(r *model.Record) { r.State, r.Settled = model.Template, false }),
		"kept":                 with(func(r *model.Record) { r.State = model.Kept }),
		"no method":            with(func(r *model.Record) { r.State, r.Forwarding = "ESTABLISHED", 0 }),
		"another protocol":     with(func(r *model.Record) { r.State, r.Protocol = "ESTABLISHED", 50 }),
		"no mark for anywhere": with(func(r *model.Record) { r.State, r.Virtual = model.Template, netip.MustParseAddrPort("0.0.0.0:80") }),
	} {
		if e, ok := entryOf(r, marks); ok {
			t.Errorf("%s: told as %+v", name, e)
		}
	}
}

func TestConnectionsOfAMarkHaveIt(t *testing.T) {
	r := model.Record{Protocol: model.TCP, Client: tcp4.client, Server: tcp4.server, Forwarding: model.DR, State: "ESTABLISHED"}
	for virtual, want := range map[string]uint32{
		"10.5.0.7:80": 5, "10.5.0.7:443": 5, "10.5.0.7:81": 0, "10.9.9.9:80": 0,
		"[2001:db8::1]:80": 6, "[2001:db8::1]:81": 0, "[fd00:a::100]:80": 0, // a service of its own
		"10.5.0.8:1000": 7, "10.5.0.8:1999": 7, "10.5.0.8:2000": 8, "10.5.0.8:1500": 0,
	} {
		r.Virtual = netip.MustParseAddrPort(virtual)
		if e, ok := entryOf(r, marks); !ok || e.mark != want {
			t.Errorf("%s: mark %d, %v; want %d", virtual, e.mark, ok, want)
		}
	}
}

func TestTimesAreWholeSeconds(t *testing.T) {
	for left, want := range map[time.Duration]uint32{
		-time.Second: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 15 * time.Minute: 900, math.MaxInt64: 31 * 86400,
	} {
		if got := seconds(left); got != want {
			t.Errorf("%s: %d, want %d", left, got, want)
		}
	}
}

// TestNothingWrongIsTaken changes recorded messages, one to eight bytes of each, and cuts or stretches some. What is
// taken of them all the same is a record that could be true.
func TestNothingWrongIsTaken(t *testing.T) {
	var whole [][]byte
	for _, name := range []string{"sync_v0", "sync_v1", "sync_v1_every", "sync_opts", "sync_v6"} {
		whole = append(whole, recorded(t, name)...)
	}
	random := rand.New(rand.NewPCG(3, 4))
	var seen [reasons]int
	for range 100_000 {
		b := slices.Clone(whole[random.IntN(len(whole))])
		for range 1 + random.IntN(8) {
			b[random.IntN(len(b))] = byte(random.IntN(256) >> random.IntN(8)) // small numbers mean more
		}
		if random.IntN(4) == 0 {
			b = resize(b, random.IntN(80)-60)
		} else if random.IntN(4) > 0 {
			b = resize(b, 0)
		}
		m, why := parse(b)
		seen[why]++
		for _, e := range m.entries {
			r, why := e.record(marks)
			if seen[why]++; why == Taken {
				sane(t, r)
			}
		}
	}
	for why, n := range seen {
		if why := Reason(why); n == 0 && why != ReasonSource && why != ReasonSyncID { // these are the socket's
			t.Errorf("no message was refused by %s: the test is too tame", why)
		}
	}
}
