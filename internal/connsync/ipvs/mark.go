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

	Persistent bool // its connections keep their clients' templates, which messages do not say
	Idle       bool // it is not served here
}

// Marks are the firewall marks that services have at the directors of LVS, and what else is known of these here. The
// zero value: none has one.
type Marks struct {
	named map[named]model.ServiceKey
	first map[asked]trait  // of templates: of the service that is known by it
	ports map[asked]trait  // of connections; port 0: all of an address
	spans map[asked][]span // of connections, by address and port 0
}

// trait is what is known of the service of a record.
type trait struct {
	mark             uint32
	persistent, idle bool
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
	key model.ServiceKey
	trait
}

// NewMarks are those of all services of this director. Those without a mark count: what goes to one of them does not
// go to one of any destination.
func NewMarks(services []Service) Marks {
	m := Marks{map[named]model.ServiceKey{}, map[asked]trait{}, map[asked]trait{}, map[asked][]span{}}
	for _, s := range services {
		first, of := s.Keys[0], trait{s.Mark, s.Persistent, s.Idle}
		m.first[askedOf(first)] = of
		if s.Mark != 0 {
			m.named[named{s.Mark, first.Address.Is4()}] = first
		}
		for _, key := range s.Keys {
			if at := askedOf(key); key.IsRange() {
				at.virtual = netip.AddrPortFrom(key.Address, model.AnyPort)
				m.spans[at] = append(m.spans[at], span{key, of})
			} else {
				m.ports[at] = of
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
	return m.service(p, virtual).mark
}

// service is that of packets to an address.
func (m Marks) service(p model.Protocol, virtual netip.AddrPort) trait {
	for _, address := range []netip.Addr{virtual.Addr(), model.AnyDestination(virtual.Addr())} {
		if t, ok := m.at(asked{p, netip.AddrPortFrom(address, virtual.Port())}); ok {
			return t
		}
	}
	return trait{}
}

// isIdle says whether another director serves what a record is of.
func (m Marks) isIdle(r model.Record) bool {
	if r.IsTemplate() {
		return m.first[asked{r.Protocol, r.Virtual}].idle
	}
	return m.service(r.Protocol, r.Virtual).idle
}

// at is the service that has an address and port: the very port goes before a range, and that before all.
func (m Marks) at(at asked) (t trait, ok bool) {
	if t, ok = m.ports[at]; ok {
		return t, true
	}
	all := asked{at.protocol, netip.AddrPortFrom(at.virtual.Addr(), model.AnyPort)}
	for _, span := range m.spans[all] {
		if span.key.HasPort(at.virtual.Port()) {
			return span.trait, true
		}
	}
	t, ok = m.ports[all]
	return t, ok
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
