// SPDX-License-Identifier: Apache-2.0

package model

// Forwarding is the way in which packets reach a server. It belongs to the server, as in LVS.
type Forwarding uint8

const (
	DR  Forwarding = iota + 1 // the frame goes to the server's MAC; the server holds the VIP and answers the client itself
	TUN                       // the packet goes to the server in an IP tunnel; the server answers the client itself
	NAT                       // destination rewritten; the answer comes back through the director
)

var forwardings = map[Forwarding]string{DR: "dr", TUN: "tun", NAT: "nat"}

func (f Forwarding) String() string { return forwardings[f] }

// Forwardings lists every method, in LVS's order of fame.
func Forwardings() []Forwarding { return []Forwarding{NAT, TUN, DR} }

// ParseForwarding is the inverse of Forwarding.String.
func ParseForwarding(s string) (Forwarding, bool) {
	for _, f := range Forwardings() {
		if f.String() == s {
			return f, true
		}
	}
	return 0, false
}
