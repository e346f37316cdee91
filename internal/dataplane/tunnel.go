// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
)

var toTunnelType = map[model.TunnelType]pathTunnel{
	model.IPIP: pathTunnelTUNNEL_IPIP,
	model.GRE:  pathTunnelTUNNEL_GRE,
	model.GUE:  pathTunnelTUNNEL_GUE,
}

// setTunnel writes what TUN needs to know of a server. A connection that began with TUN goes on with
// it, so all servers have it.
func setTunnel(s *pathServer, w model.ServerWant) {
	s.Tunnel = uint8(toTunnelType[w.Tunnel.Type])
	s.TunnelPort = toPort(w.Tunnel.Port)
	s.Overhead = uint16(w.Tunnel.Overhead(w.Key.Address))
	if w.Tunnel.Checksum {
		s.TunnelFlags = uint8(pathTunnelFlagTUNNEL_CHECKSUM)
	}
	if w.Tunnel.Source.IsValid() {
		s.Source = toAddr(w.Tunnel.Source.Masked().Addr())
		s.SourceMask = sourceMask(w.Tunnel.Source)
	}
}

// sourceMask has the bits that the flow decides: those of the host, in the last word of the address.
func sourceMask(p netip.Prefix) uint32 {
	free := min(p.Addr().BitLen()-p.Bits(), 32)
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], uint32(1<<free-1))
	return binary.NativeEndian.Uint32(bytes[:])
}
