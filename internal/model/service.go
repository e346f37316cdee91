// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
)

// Protocol is a transport protocol that a service can balance.
// Its values are IANA's protocol numbers, so that they mean the same in a packet.
type Protocol uint8

const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// ParseProtocol is the inverse of Protocol.String.
func ParseProtocol(s string) (Protocol, bool) {
	for _, p := range []Protocol{TCP, UDP, SCTP} {
		if p.String() == s {
			return p, true
		}
	}
	return 0, false
}

// AnyPort as the port of a service means every port of its address.
// As the port of a server it means the port that the client asked for.
const AnyPort = 0

// FTP is the port of FTP's control connections. Its data connections go to other ports, so templates of a
// persistent service of this port are for all ports of its address, as in IPVS.
const FTP = 21

// ServiceKey says which packets belong to a service.
type ServiceKey struct {
	Address  netip.Addr
	Port     uint16 // AnyPort: all ports of Address
	Protocol Protocol
}

// Compare orders keys by protocol, address and port.
func (k ServiceKey) Compare(other ServiceKey) int {
	return cmp.Or(cmp.Compare(k.Protocol, other.Protocol), k.Address.Compare(other.Address), cmp.Compare(k.Port, other.Port))
}

func (k ServiceKey) String() string {
	return k.Protocol.String() + " " + HostPort(k.Address, k.Port)
}

// HostPort prints an address and port as the config file writes them: any port is "*".
func HostPort(a netip.Addr, port uint16) string {
	p := "*"
	if port != AnyPort {
		p = strconv.Itoa(int(port))
	}
	if a.Is6() {
		return "[" + a.String() + "]:" + p
	}
	return a.String() + ":" + p
}

// Service is one virtual service: an address in front of real servers.
type Service struct {
	Name        string
	Key         ServiceKey
	Scheduler   Scheduler
	Flags       SchedulerFlags
	MSS         uint16   // TCP: the largest MSS that a SYN may offer; 0: as it came
	Timeouts    Timeouts // of its protocol's states
	Leaving     Departure
	Persistence Persistence
	Unknown     Unknown  // 0: ForwardUnknown
	HalfOpen    int      // the most connections that may wait for their client's second packet; 0: the default
	Servers     []Server // in the order in which they were added; schedulers begin with the last, as IPVS does
}

// MaxServers is the largest number of servers of one service.
const MaxServers = 4096

// MaxWeight is the largest weight of a server, as in ipvsadm.
const MaxWeight = 65535

// ServerKey names a server within its service.
type ServerKey struct {
	Address netip.Addr
	Port    uint16 // AnyPort: the port that the client asked for
}

func (k ServerKey) String() string { return HostPort(k.Address, k.Port) }

// Server is a real server of one service.
type Server struct {
	Key        ServerKey
	Forwarding Forwarding
	Tunnel     Tunnel // of forwarding method TUN
	Weight     uint16 // 0: quiesced, no new connections
	Thresholds Thresholds
}
