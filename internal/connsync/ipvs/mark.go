// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"encoding/binary"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
)

// Service is one of this director's. Directors of LVS know one that has several addresses, or any, by a firewall mark.
type Service struct {
	Keys []model.ServiceKey // all that it has, the one first by which it is known here
	Mark uint32             // 0: it is known to them by its address, too
}

// Marks are the firewall marks that services have at the directors of LVS. The zero value: none has one.
type Marks struct {
	named map[named]model.ServiceKey
	first map[asked]uint32 // of templates: of the service that is known by it
	ports map[asked]uint32 // of connections; port 0: all of an address
	spans map[asked][]span // of connections, by address and port 0
}

// named is a mark: those of IPv4 and of IPv6 are apart.
type named struct {
	number uint32
	four   bool
}

type asked struct {
	protocol model.Protocol
	virtual  netip.AddrPort
}

type span struct {
	key  model.ServiceKey
	mark uint32
}

// NewMarks are those of all services of this director. Those without a mark count: what goes to one of them does not
// go to one of any destination.
func NewMarks(services []Service) Marks {
	m := Marks{map[named]model.ServiceKey{}, map[asked]uint32{}, map[asked]uint32{}, map[asked][]span{}}
	for _, s := range services {
		if s.Mark != 0 {
			first := s.Keys[0]
			m.named[named{s.Mark, first.Address.Is4()}] = first
			m.first[askedOf(first)] = s.Mark
		}
		for _, key := range s.Keys {
			if at := askedOf(key); key.IsRange() {
				at.virtual = netip.AddrPortFrom(key.Address, model.AnyPort)
				m.spans[at] = append(m.spans[at], span{key, s.Mark})
			} else {
				m.ports[at] = s.Mark
			}
		}
	}
	return m
}

func askedOf(key model.ServiceKey) asked {
	return asked{key.Protocol, netip.AddrPortFrom(key.Address, key.Port)}
}

// of is the mark that packets to an address have; 0: none.
func (m Marks) of(p model.Protocol, virtual netip.AddrPort) uint32 {
	if len(m.named) == 0 {
		return 0
	}
	for _, address := range []netip.Addr{virtual.Addr(), model.AnyDestination(virtual.Addr())} {
		if mark, ok := m.at(asked{p, netip.AddrPortFrom(address, virtual.Port())}); ok {
			return mark
		}
	}
	return 0
}

// at is the mark of the service that has an address and port: the very port goes before a range, and that before all.
func (m Marks) at(at asked) (mark uint32, ok bool) {
	if mark, ok = m.ports[at]; ok {
		return mark, true
	}
	all := asked{at.protocol, netip.AddrPortFrom(at.virtual.Addr(), model.AnyPort)}
	for _, span := range m.spans[all] {
		if span.key.HasPort(at.virtual.Port()) {
			return span.mark, true
		}
	}
	mark, ok = m.ports[all]
	return mark, ok
}

// The kernel has the template of a firewall mark as one of protocol 0, to an address whose first four bytes are the
// mark (ip_vs_sched_persist).

// markOf reads such an address; false: it is none.
func markOf(virtual netip.AddrPort) (number uint32, ok bool) {
	b := virtual.Addr().AsSlice()
	for _, rest := range b[4:] {
		if rest != 0 {
			return 0, false
		}
	}
	return binary.BigEndian.Uint32(b), virtual.Port() == 0
}

// markAddress makes one.
func markAddress(number uint32, like netip.Addr) netip.AddrPort {
	b := make([]byte, len(like.AsSlice()))
	binary.BigEndian.PutUint32(b, number)
	address, _ := netip.AddrFromSlice(b) // 4 or 16 bytes are one
	return netip.AddrPortFrom(address, 0)
}
