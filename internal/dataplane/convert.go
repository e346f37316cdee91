// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
)

// Byte order and mapped addresses exist in bpf/ and in this file, and nowhere else in Go.

func toAddr(a netip.Addr) pathAddr {
	var out pathAddr
	if !a.IsValid() {
		return out
	}
	bytes := a.As16()
	for i := range out.Word {
		out.Word[i] = binary.NativeEndian.Uint32(bytes[4*i:])
	}
	return out
}

func fromAddr(a pathAddr) netip.Addr {
	var bytes [16]byte
	for i, word := range a.Word {
		binary.NativeEndian.PutUint32(bytes[4*i:], word)
	}
	return netip.AddrFrom16(bytes).Unmap()
}

// toPort and fromPort turn a port into network order and back.
func toPort(p uint16) uint16 {
	var bytes [2]byte
	binary.BigEndian.PutUint16(bytes[:], p)
	return binary.NativeEndian.Uint16(bytes[:])
}

func fromPort(p uint16) uint16 { return toPort(p) }

// addrPort is one end of a flow.
func addrPort(a pathAddr, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(fromAddr(a), fromPort(port))
}

func toServiceKey(k model.ServiceKey) pathServiceKey {
	return pathServiceKey{Address: toAddr(k.Address), Port: toPort(k.Port), Protocol: uint8(k.Protocol)}
}

// firstKey is the one by which a service is known.
func firstKey(s pathService) model.ServiceKey {
	return model.ServiceKey{
		Address: fromAddr(s.First.Address), Port: fromPort(s.First.Port), Last: fromPort(s.Last),
		Protocol: model.Protocol(s.First.Protocol),
	}
}

var toForwarding = map[model.Forwarding]pathForwarding{
	model.DR:  pathForwardingFORWARDING_DR,
	model.TUN: pathForwardingFORWARDING_TUN,
	model.NAT: pathForwardingFORWARDING_NAT,
}

var toScheduler = map[model.Scheduler]pathScheduler{
	model.RR:    pathSchedulerSCHEDULER_RR,
	model.WRR:   pathSchedulerSCHEDULER_WRR,
	model.LC:    pathSchedulerSCHEDULER_LC,
	model.WLC:   pathSchedulerSCHEDULER_WLC,
	model.SED:   pathSchedulerSCHEDULER_SED,
	model.NQ:    pathSchedulerSCHEDULER_NQ,
	model.FO:    pathSchedulerSCHEDULER_FO,
	model.OVF:   pathSchedulerSCHEDULER_OVF,
	model.TWOS:  pathSchedulerSCHEDULER_TWOS,
	model.DH:    pathSchedulerSCHEDULER_DH,
	model.SH:    pathSchedulerSCHEDULER_SH,
	model.MH:    pathSchedulerSCHEDULER_MH,
	model.LBLC:  pathSchedulerSCHEDULER_LBLC,
	model.LBLCR: pathSchedulerSCHEDULER_LBLCR,
}

var toLeaving = map[model.Leaving]pathLeaving{
	model.Drain: pathLeavingLEAVING_DRAIN,
	model.Reset: pathLeavingLEAVING_RESET,
	model.Drop:  pathLeavingLEAVING_DROP,
}

var toReuse = map[model.Reuse]pathServerFlag{
	model.ReuseClosing: pathServerFlagSERVER_REUSE_CLOSING,
	model.ReuseKept:    pathServerFlagSERVER_REUSE_KEPT,
}

func fromForwarding(f pathForwarding) model.Forwarding { return meaning(toForwarding, f) }
func fromScheduler(s pathScheduler) model.Scheduler    { return meaning(toScheduler, s) }

// meaning reads one of these tables backwards; zero: the value is not in it.
func meaning[M, V comparable](table map[M]V, value V) (none M) {
	for m, v := range table {
		if v == value {
			return m
		}
	}
	return none
}

// toServer is a server's value in the maps, without what only the maps know: ids and generations.
func toServer(w model.ServerWant, service model.ServiceWant) pathServer {
	s := pathServer{
		Port:       toPort(w.Key.Port),
		Forwarding: uint8(toForwarding[w.Forwarding]),
		Flags:      serverFlags(w, service),
		Address:    toAddr(w.Key.Address),
		Next:       toAddr(w.Next),
		Hop:        pathHop{Ifindex: uint32(w.Link), Mac: w.MAC, Vlan: w.VLAN},
		SourceMac:  w.SourceMAC,
		Mtu:        toMTU(w.MTU),
		Source:     toAddr(w.Source),
		Mss:        service.MSS,
		Leaving:    uint8(toLeaving[w.Leaving]),
		Weight:     w.Weight,
		Upper:      w.Thresholds.Upper,
		Lower:      w.Thresholds.Lower,
	}
	setTunnel(&s, w)
	return s
}

func serviceFlags(w model.ServiceWant) uint8 {
	var flags pathServiceFlag
	if w.Serving {
		flags |= pathServiceFlagSERVICE_SERVING
	}
	if w.Unknown != model.PassUnknown {
		flags |= pathServiceFlagSERVICE_FORWARD_UNKNOWN
	}
	if w.Flags.Port {
		flags |= pathServiceFlagSERVICE_HASH_PORT
	}
	if w.Flags.Fallback {
		flags |= pathServiceFlagSERVICE_HASH_FALLBACK
	}
	if w.Persistence.Timeout != 0 {
		flags |= pathServiceFlagSERVICE_PERSISTENT
	}
	if w.Persistence.Quiescent == model.ExpireQuiescent {
		flags |= pathServiceFlagSERVICE_EXPIRE_QUIESCENT
	}
	if w.OnePacket {
		flags |= pathServiceFlagSERVICE_ONE_PACKET
	}
	if _, ok := localServer(w); ok {
		flags |= pathServiceFlagSERVICE_LOCAL
	}
	return uint8(flags)
}

// toTemplate is by what a service's clients are known again. FTP's templates are for all ports, as in IPVS
// (ip_vs_sched_persist): its data connections follow the control connection. A service of more than one key
// has templates of its own: the ports that belong together are its keys.
func toTemplate(w model.ServiceWant, generation uint32) (out pathTemplate) {
	if w.Persistence.Timeout == 0 {
		return out
	}
	if w.Key.Port != model.FTP || w.Key.IsRange() || len(w.Also) > 0 {
		out.Port = toPort(w.Key.Port)
	}
	out.Generation, out.Address = generation, toAddr(w.Key.Address)
	out.Mask = toMask(w.Persistence.Mask, w.Key.Address.BitLen())
	out.Protocol = uint8(w.Key.Protocol) | uint8(pathLimitTEMPLATE_MARK)
	return out
}

// toMask is the mask of a prefix in an address that has so many bits; 0: all.
func toMask(length uint8, bits int) pathAddr {
	if length == 0 {
		length = uint8(bits)
	}
	var bytes [16]byte
	for bit := range 128 - bits + int(length) {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	return toAddr(netip.AddrFrom16(bytes))
}

func serverFlags(w model.ServerWant, service model.ServiceWant) uint8 {
	flags := toReuse[service.Reuse]
	if service.Serving {
		flags |= pathServerFlagSERVER_SERVING
	}
	if w.Local {
		flags |= pathServerFlagSERVER_LOCAL
	}
	if w.MAC != (model.MAC{}) {
		flags |= pathServerFlagSERVER_RESOLVED
	}
	if w.Weight == 0 {
		flags |= pathServerFlagSERVER_QUIESCED
	}
	if _, ok := localServer(service); ok {
		flags |= pathServerFlagSERVER_BESIDE_LOCAL
	}
	if service.Lingers {
		flags |= pathServerFlagSERVER_LINGERS
	}
	return uint8(flags)
}

// toMTU: an IP packet has no more than 65535 bytes, a loopback interface says 65536.
func toMTU(mtu int) uint16 { return uint16(min(max(mtu, 0), 65535)) }
