// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"
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
	Address  netip.Addr // 0.0.0.0 or ::, any destination of this family
	Port     uint16     // AnyPort: all ports of Address
	Last     uint16     // of a range of ports that begins with Port; 0: Port alone
	Protocol Protocol
}

// Compare orders keys by protocol, address and port.
func (k ServiceKey) Compare(other ServiceKey) int {
	return cmp.Or(cmp.Compare(k.Protocol, other.Protocol), k.Address.Compare(other.Address),
		cmp.Compare(k.Port, other.Port), cmp.Compare(k.Last, other.Last))
}

func (k ServiceKey) String() string { return k.Protocol.String() + " " + k.Where() }

// Where prints address and port as the config file writes them: 192.0.2.10:80, 192.0.2.10:*,
// 192.0.2.10:3000-3999, 0.0.0.0/0:80, [2001:db8::10]:80, ::/0:80.
func (k ServiceKey) Where() string {
	where := HostPort(k.Address, k.Port)
	if k.IsAnyDestination() {
		where = k.Address.String() + "/0:" + printPort(k.Port)
	}
	if k.IsRange() {
		where += "-" + strconv.Itoa(int(k.Last))
	}
	return where
}

// AnyDestination is that of the family of an address.
func AnyDestination(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// IsAnyDestination tells whether packets to every address are meant that is not the host's own.
func (k ServiceKey) IsAnyDestination() bool { return k.Address.IsUnspecified() }

// IsRange tells whether more than one port is meant, but not all.
func (k ServiceKey) IsRange() bool { return k.Last != 0 }

// HasManyPorts tells whether more than one is meant: a server may well listen at some of them only.
func (k ServiceKey) HasManyPorts() bool { return k.Port == AnyPort || k.IsRange() }

// HasPort tells whether packets to a port are meant.
func (k ServiceKey) HasPort(port uint16) bool {
	return k.Port == AnyPort || k.Port == port || k.Port <= port && port <= k.Last
}

// Overlaps tells whether packets belong to both keys, and neither is the more special one: a port, or a
// range, is more special than all ports.
func (k ServiceKey) Overlaps(other ServiceKey) bool {
	if k.Protocol != other.Protocol || k.Address != other.Address {
		return false
	}
	if k.Port == AnyPort || other.Port == AnyPort {
		return k.Port == other.Port
	}
	return k.Port <= max(other.Port, other.Last) && other.Port <= max(k.Port, k.Last)
}

// HostPort prints an address and port as the config file writes them: any port is "*".
func HostPort(a netip.Addr, port uint16) string {
	if a.Is6() {
		return "[" + a.String() + "]:" + printPort(port)
	}
	return a.String() + ":" + printPort(port)
}

func printPort(port uint16) string {
	if port == AnyPort {
		return "*"
	}
	return strconv.Itoa(int(port))
}

// Service is one virtual service: an address in front of real servers, or several.
type Service struct {
	Name        string
	Key         ServiceKey   // the service is known by it
	Also        []ServiceKey // what else it has, all of the same family: LVS does it with firewall marks
	Scheduler   Scheduler
	Flags       SchedulerFlags
	MSS         uint16   // TCP: the largest MSS that a SYN may offer; 0: as it came
	Timeouts    Timeouts // of its protocol's states
	Leaving     Departure
	Down        Leaving // what becomes of connections to a server that its checks found down; 0: Reset
	Quorum      Quorum
	Panic       int           // percent: when less than this of the weight is healthy, those that are down are kept; 0: never
	Maintenance Maintenance   // of all its servers
	SlowStart   time.Duration // in which a server that comes to others reaches its weight; 0: at once
	Passive     Passive       // 0: PassiveWarn
	Persistence Persistence
	Reuse       Reuse    // 0: ReuseClosed
	Unknown     Unknown  // 0: ForwardUnknown
	OnePacket   bool     // UDP: each datagram is scheduled for itself, without a connection
	HalfOpen    int      // the most connections that may wait for their client's second packet; 0: the default
	Servers     []Server // in the order in which they were added; schedulers begin with the last, as IPVS does
}

// Keys are all that the service has, the one first by which it is known.
func (s Service) Keys() []ServiceKey { return append([]ServiceKey{s.Key}, s.Also...) }

// Speaks tells whether the service has a key of a protocol.
func (s Service) Speaks(p Protocol) bool {
	return slices.ContainsFunc(s.Keys(), func(k ServiceKey) bool { return k.Protocol == p })
}

// MaxServers is the largest number of servers of one service.
const MaxServers = 4096

// MaxAllServers is the largest number of servers of all services together.
const MaxAllServers = 16384

// MaxWeight is the largest weight of a server, as in ipvsadm.
const MaxWeight = 65535

// ServerKey names a server within its service.
type ServerKey struct {
	Address netip.Addr
	Port    uint16 // AnyPort: the port that the client asked for
}

func (k ServerKey) String() string { return HostPort(k.Address, k.Port) }

// ServiceServer names a server of a service: one address may serve several.
type ServiceServer struct {
	Service ServiceKey
	Server  ServerKey
}

// Server is a real server of one service.
type Server struct {
	Key         ServerKey
	Forwarding  Forwarding
	Tunnel      Tunnel // of forwarding method TUN
	Weight      uint16 // 0: quiesced, no new connections
	Thresholds  Thresholds
	Checks      Checks
	Maintenance Maintenance
	Sorry       bool       // it takes connections only while no other server of the service does
	LentBy      ServiceKey // of a sorry server: whose checks and policies say how it does; zero: none's, it is the service's own
}

// IsLent tells whether the server is another service's, which is the sorry service of this one.
func (s Server) IsLent() bool { return s.LentBy != ServiceKey{} }

// LenderKeys are what a server that is lent may be called by its own service: where that has many ports, the server
// has none there.
func (s Server) LenderKeys() [2]ServerKey {
	return [2]ServerKey{s.Key, {Address: s.Key.Address, Port: AnyPort}}
}
