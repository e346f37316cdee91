// SPDX-License-Identifier: Apache-2.0

package model

import "net/netip"

// TunnelType is what forwarding method TUN puts around a packet. The names are ipvsadm's.
type TunnelType uint8

const (
	IPIP TunnelType = iota // IP in IP: RFC 2003, RFC 2473, RFC 4213
	GRE                    // RFC 2784
	GUE                    // Generic UDP encapsulation, variant 0: draft-ietf-intarea-gue
)

var tunnelTypes = map[TunnelType]string{IPIP: "ipip", GRE: "gre", GUE: "gue"}

func (t TunnelType) String() string { return tunnelTypes[t] }

// TunnelTypes lists every type, the default first.
func TunnelTypes() []TunnelType { return []TunnelType{IPIP, GRE, GUE} }

// ParseTunnelType is the inverse of TunnelType.String.
func ParseTunnelType(s string) (TunnelType, bool) {
	for _, t := range TunnelTypes() {
		if t.String() == s {
			return t, true
		}
	}
	return 0, false
}

// Tunnel is how packets reach a server by forwarding method TUN. The zero value is plain IPIP.
type Tunnel struct {
	Type     TunnelType
	Port     uint16       // GUE: UDP port that the server listens on; else 0
	Checksum bool         // GRE: of header and packet, RFC 2784 section 2.3; GUE: UDP's
	Source   netip.Prefix // outer sources are varied within it by flow; zero: the host's address towards the server
}

// Sizes of headers, in bytes.
const (
	ipv4Header  = 20
	ipv6Header  = 40
	greHeader   = 4
	greChecksum = 4
	udpHeader   = 8
	gueHeader   = 4
)

// Overhead is how many bytes the tunnel to a server of this address puts in front of a packet.
func (t Tunnel) Overhead(server Addr) int {
	outer := ipv4Header
	if server.Is6() {
		outer = ipv6Header
	}
	switch {
	case t.Type == GRE && t.Checksum:
		return outer + greHeader + greChecksum
	case t.Type == GRE:
		return outer + greHeader
	case t.Type == GUE:
		return outer + udpHeader + gueHeader
	}
	return outer
}
