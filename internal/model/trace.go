// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// TraceFilter says whose packets are traced: those of a client to what it asks for, and those for it. Its zero
// value is all packets for services.
type TraceFilter struct {
	Client   netip.AddrPort // not valid: anybody; port 0: any
	Virtual  netip.AddrPort // not valid: whatever they ask for; port 0: any
	Protocol Protocol       // 0: any
}

func (f TraceFilter) String() string {
	end := func(a netip.AddrPort) string {
		switch {
		case !a.IsValid():
			return "any"
		case a.Port() == 0:
			return a.Addr().String()
		}
		return a.String()
	}
	protocol := "any protocol"
	if f.Protocol != 0 {
		protocol = f.Protocol.String()
	}
	return fmt.Sprintf("%s to %s, %s", end(f.Client), end(f.Virtual), protocol)
}

// AnyClient stands for a client where one is asked for.
const AnyClient = "any"

// ParseTraceFilter reads the three as people write them; "" is any. The error ends with the way out.
func ParseTraceFilter(client, virtual, protocol string) (f TraceFilter, err error) {
	if client != AnyClient {
		if f.Client, err = parseTraced("client", client, "203.0.113.7 or 203.0.113.7:40000, or any"); err != nil {
			return f, err
		}
	}
	if f.Virtual, err = parseTraced("virtual", virtual, "192.0.2.10 or 192.0.2.10:80"); err != nil {
		return f, err
	}
	if f.Client.IsValid() && f.Virtual.IsValid() && f.Client.Addr().Is4() != f.Virtual.Addr().Is4() {
		return f, fmt.Errorf("client %s and virtual %s: no packet is of IPv4 and of IPv6: write both in one family",
			f.Client.Addr(), f.Virtual.Addr())
	}
	if protocol == "" {
		return f, nil
	}
	known := false
	if f.Protocol, known = ParseProtocol(strings.ToLower(protocol)); !known {
		return f, fmt.Errorf("protocol %q: there is no such protocol: write tcp, udp or sctp", protocol)
	}
	return f, nil
}

// parseTraced reads an address, with a port or without.
func parseTraced(what, text, example string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return parseEnd(what, text, example)
	}
	if address.Zone() != "" || address.IsUnspecified() {
		return netip.AddrPort{}, fmt.Errorf("%s %q: no packet that is balanced has this address: write it as %s", what, text, example)
	}
	return netip.AddrPortFrom(address.Unmap(), 0), nil
}

// Traced is a packet, and what the path made of it.
type Traced struct {
	At      time.Time
	Missed  uint64 // packets before it that came too fast to be told
	Link    int    // index of the interface that it came in by; of a VLAN device: the one below
	Part    TracedPart
	Flow    Flow // of its connection; of what has none, from its source to its destination, as far as that was read
	Verdict string
	Means   string // the verdict, in words
	In      Frame  // as it came
	Sent    *Frame // what was sent on; nil: nothing was
	Egress  int    // index of the interface that it was sent by
	Told    bool   // what was sent tells the packet's sender that it cannot go on

	Connection string // its state behind the packet; "": there is none
	Fresh      bool   // this packet has begun the connection
	Ended      bool   // the packet had a connection, which is over
	Back       bool   // the packet is the server's

	Service   *ServiceKey // nil: not looked for, as where a connection is known, or there is none
	Scheduler Scheduler   // of Service
	Template  TracedTemplate

	Server     *ServerKey // nil: none
	Hashed     bool       // the hash of the flow named the server
	Forwarding Forwarding
}

// TracedPart is what a packet is a part of.
type TracedPart string

const (
	TracedWhole TracedPart = "a whole packet"
	TracedFirst TracedPart = "the first fragment"
	TracedLater TracedPart = "a later fragment"
	TracedQuote TracedPart = "an ICMP error"
)

// TracedTemplate is what was made of the client's template.
type TracedTemplate string

const (
	NoTemplate       TracedTemplate = "" // neither
	TemplateBegun    TracedTemplate = "begun"
	TemplateFollowed TracedTemplate = "followed"
)

// Frame is a frame, or its beginning.
type Frame struct {
	Bytes  []byte
	Length int // of the whole
}
