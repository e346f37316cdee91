// SPDX-License-Identifier: Apache-2.0

package address

import (
	"bytes"
	"slices"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// closedRule is a rule of nftables. Its comment says all that it does, so two rules with the same one are the same.
type closedRule struct {
	comment string
	exprs   []expr.Any
}

func comments(rules []closedRule) (out []string) {
	for _, r := range rules {
		out = append(out, r.comment)
	}
	return out
}

// closedRules drop what is sent to an address and to no service of it, but for what no host can do without. They look
// at packets that the path has passed to the host; those that it sends on never meet them.
func closedRules(wants []model.ClosedAddress) []closedRule {
	rules := []closedRule{
		accept("what this host sends to itself", inputFrom("lo")),
		// RFC 9568 section 6.1: neighbour solicitations and advertisements must not be dropped.
		accept("neighbour discovery", protocolIs(unix.IPPROTO_ICMPV6), typeBetween(neighbourSolicitation, neighbourAdvertisement)),
		// Of connections to services that a server on this host has; without, their packets would stay too large.
		accept("errors by ICMPv6", protocolIs(unix.IPPROTO_ICMPV6), typeBetween(0, lastICMPv6Error)),
		accept("unreachable", protocolIs(unix.IPPROTO_ICMP), typeBetween(unreachable, unreachable)),
		accept("time exceeded and parameter problem", protocolIs(unix.IPPROTO_ICMP), typeBetween(timeExceeded, parameterProblem)),
		// IPv6 is put together behind this place. Pieces without their first one, which has the ports, come to nothing.
		accept("later fragments of IPv6", isLaterFragment()),
	}
	for _, want := range wants {
		for _, s := range want.Services {
			rules = append(rules, accept(s.String(), sentTo(want.Address), protocolIs(byte(s.Protocol)), sentToPorts(s)))
		}
		rules = append(rules, closedRule{"what else is sent to " + want.Address.String(),
			slices.Concat(sentTo(want.Address), []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}})})
	}
	return rules
}

// Types of ICMP (RFC 792), of ICMPv6 (RFC 4443 section 2.1), and of neighbour discovery (RFC 4861 section 4).
const (
	unreachable            = 3
	timeExceeded           = 11
	parameterProblem       = 12
	lastICMPv6Error        = 127
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
)

func accept(comment string, matches ...[]expr.Any) closedRule {
	return closedRule{comment, append(slices.Concat(matches...), &expr.Verdict{Kind: expr.VerdictAccept})}
}

// register is where a match puts what it compares.
const register = 1

func inputFrom(link string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, link)
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register}, is(name)}
}

func protocolIs(protocol byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}, is([]byte{protocol})}
}

// sentTo looks at the destination of one family.
func sentTo(a model.Addr) []expr.Any {
	family, offset := byte(unix.NFPROTO_IPV4), uint32(16)
	if a.Is6() {
		family, offset = unix.NFPROTO_IPV6, 24
	}
	destination := a.AsSlice()
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register}, is([]byte{family}),
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(destination))}, is(destination),
	}
}

// sentToPorts is nothing for a service of all ports. TCP, UDP and SCTP have the port at the same place.
func sentToPorts(s model.ServiceKey) []expr.Any {
	if s.Port == model.AnyPort {
		return nil
	}
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		between(binaryutil.BigEndian.PutUint16(s.Port), binaryutil.BigEndian.PutUint16(max(s.Port, s.Last))),
	}
}

func typeBetween(first, last byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		between([]byte{first}, []byte{last}),
	}
}

// isLaterFragment: the offset is 13 of 16 bits (RFC 8200 section 4.5).
func isLaterFragment() []expr.Any {
	return []expr.Any{
		&expr.Exthdr{DestRegister: register, Type: unix.IPPROTO_FRAGMENT, Offset: 2, Len: 2, Op: expr.ExthdrOpIpv6},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 2, Mask: []byte{0xff, 0xf8}, Xor: []byte{0, 0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: []byte{0, 0}},
	}
}

func between(first, last []byte) expr.Any {
	if bytes.Equal(first, last) {
		return is(first)
	}
	return &expr.Range{Op: expr.CmpOpEq, Register: register, FromData: first, ToData: last}
}

func is(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data} }
