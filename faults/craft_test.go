// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// crafter sends frames of its own making over a link.
type crafter struct {
	link     packet.Ethernet
	raw      *os.File
	port     uint16 // that was used last
	fragment uint32 // id that was used last
}

// newCrafter sends from the client to the router.
func newCrafter(l *lab.Lab) (*crafter, error) {
	return newCrafterAt(&l.Client.Node, lab.FirstLink, l.Router, lab.FirstLink)
}

// newCrafterAt sends from a link of a host to a link of another one.
func newCrafterAt(from *lab.Node, link string, to *lab.Node, toLink string) (*crafter, error) {
	c := &crafter{port: 20000}
	source, err := macOf(from, link)
	if err != nil {
		return nil, err
	}
	destination, err := macOf(to, toLink)
	if err != nil {
		return nil, err
	}
	c.link = packet.Ethernet{Source: source, Destination: destination}
	return c, from.Do(func() error { return c.open(link) })
}

func macOf(host *lab.Node, link string) (mac packet.MAC, err error) {
	err = host.Do(func() error {
		i, err := net.InterfaceByName(link)
		if err == nil {
			mac = packet.MAC(i.HardwareAddr)
		}
		return err
	})
	return mac, err
}

// open opens a socket in the namespace of the calling thread. It receives nothing.
func (c *crafter) open(link string) error {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.raw = os.NewFile(uintptr(fd), "packet socket")
	return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index})
}

func (c *crafter) Close() error { return c.raw.Close() }

// send puts layers into frames.
func (c *crafter) send(packets ...packet.Layers) error {
	for _, layers := range packets {
		if err := c.sendFrame(c.frame(layers)); err != nil {
			return err
		}
	}
	return nil
}

func (c *crafter) frame(layers packet.Layers) []byte {
	return packet.Build(append(packet.Layers{c.link}, layers...)...)
}

func (c *crafter) sendFrame(frame []byte) error { return unix.Send(int(c.raw.Fd()), frame, 0) }

// newPort is one that was not used before.
func (c *crafter) newPort() uint16 {
	c.port++
	return c.port
}

// newID is one that no other packet under way has.
func (c *crafter) newID() uint32 {
	c.fragment = (c.fragment + 1) % (1 << 16)
	return c.fragment
}

// ipHeader is that of a packet of UDP.
func ipHeader(from, to netip.Addr) packet.Layer {
	if to.Is4() {
		return packet.IPv4{Source: from, Destination: to, TTL: 64, Protocol: packet.ProtocolUDP}
	}
	return packet.IPv6{Source: from, Destination: to, HopLimit: 64}
}

// datagram is one that is sent in pieces.
type datagram struct {
	from, to netip.AddrPort
	id       uint32
	body     []byte // of the whole: UDP's header and what it carries
}

func newDatagram(from, to netip.AddrPort, id uint32, text []byte) datagram {
	whole := packet.Build(ipHeader(from.Addr(), to.Addr()), packet.UDP{Source: from.Port(), Destination: to.Port()}, packet.Payload(text))
	return datagram{from, to, id, whole[len(whole)-len(text)-8:]}
}

// part is one fragment; begin is a multiple of 8.
func (p datagram) part(begin, end int) packet.Layers {
	f := packet.Fragment{Next: packet.ProtocolUDP, ID: p.id, Offset: uint16(begin / 8)}
	if end < len(p.body) {
		f.Flags = packet.MoreFragments
	}
	header := ipHeader(p.from.Addr(), p.to.Addr())
	ip, isIPv4 := header.(packet.IPv4)
	if !isIPv4 {
		return packet.Layers{header, f, packet.Payload(p.body[begin:end])}
	}
	ip.ID, ip.Offset, ip.Flags = uint16(p.id), f.Offset, f.Flags
	return packet.Layers{ip, packet.Payload(p.body[begin:end])}
}

// fragmentSize fits with all headers into every link of a lab.
const fragmentSize = 1280

// parts are all fragments, in order.
func (p datagram) parts() []packet.Layers {
	var out []packet.Layers
	for at := 0; at < len(p.body); at += fragmentSize {
		out = append(out, p.part(at, min(at+fragmentSize, len(p.body))))
	}
	return out
}
