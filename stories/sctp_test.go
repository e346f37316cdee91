// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// sctp begins an association with a service, and prints which server answered, and on which port it
// was asked. Kernels without SCTP have no sockets of it: both ends speak it over raw ones, and heed
// nothing whose CRC32c is wrong.
func sctp(ctx context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "ADDRESS"); err != nil {
		return "", err
	}
	to, err := target(args[0])
	if err != nil {
		return "", err
	}
	for _, server := range s.lab.Servers {
		ear, err := listenSCTP(&server.Node, family(to))
		if err != nil {
			return "", err
		}
		defer ear.Close()
		go acceptSCTP(ear, server.Name) // ends with Close
	}
	conn, err := listenSCTP(&s.lab.Client.Node, family(to))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()
	const port, tag = 40000, 7
	init := sctpChunk(packet.SCTP{Source: port, Destination: to.Port()}, packet.ChunkInit, binary.BigEndian.AppendUint32(nil, tag))
	if _, err := conn.WriteTo(init, &net.IPAddr{IP: to.Addr().AsSlice()}); err != nil {
		return "", err
	}
	heard, err := hearSCTP(conn, packet.ChunkInitAck)
	if err != nil {
		return "", err
	}
	if want := netip.AddrPortFrom(to.Addr(), to.Port()); heard.from != want || heard.to != port || heard.tag != tag {
		return "", fmt.Errorf("the answer comes from %v to port %d with tag %d", heard.from, heard.to, heard.tag)
	}
	return strings.TrimRight(string(heard.body), "\x00") + "\n", nil
}

func listenSCTP(host *lab.Node, f lab.Family) (conn net.PacketConn, err error) {
	network := "ip4:132"
	if f == lab.IPv6 {
		network = "ip6:132"
	}
	err = host.Do(func() (err error) {
		conn, err = net.ListenPacket(network, host.Address.In(f).String())
		return err
	})
	return conn, err
}

// acceptSCTP answers each INIT with the server's name and the port that it came to.
func acceptSCTP(conn net.PacketConn, name string) {
	for {
		init, err := hearSCTP(conn, packet.ChunkInit)
		if err != nil {
			return
		}
		answer := packet.SCTP{Source: init.to, Destination: init.from.Port(), Tag: binary.BigEndian.Uint32(init.body)}
		text := fmt.Sprintf("%s port %d, client %v", name, init.to, init.from.Addr())
		conn.WriteTo(sctpChunk(answer, packet.ChunkInitAck, []byte(text)), &net.IPAddr{IP: init.from.Addr().AsSlice()})
	}
}

// sctpChunk is a packet with one chunk, which is filled up to a multiple of 4.
func sctpChunk(head packet.SCTP, kind uint8, body []byte) []byte {
	padding := make([]byte, (4-len(body)%4)%4)
	return packet.Build(head, packet.Chunk{Type: kind, Length: uint16(4 + len(body))}, packet.Payload(body), packet.Payload(padding))
}

// saidSCTP is a chunk that came.
type saidSCTP struct {
	from netip.AddrPort
	to   uint16
	tag  uint32
	body []byte
}

// hearSCTP waits for a chunk of a type, in a packet with the right checksum.
func hearSCTP(conn net.PacketConn, kind uint8) (saidSCTP, error) {
	const head = 12 + 4 // common header and chunk's, RFC 9260 section 3
	b := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return saidSCTP{}, fmt.Errorf("no SCTP chunk of type %d came: %w", kind, err)
		}
		if n < head+4 || b[12] != kind || binary.LittleEndian.Uint32(b[8:]) != packet.ChecksumSCTP(b[:n]) {
			continue
		}
		address, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
		return saidSCTP{
			from: netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(b)),
			to:   binary.BigEndian.Uint16(b[2:]),
			tag:  binary.BigEndian.Uint32(b[4:]),
			body: b[head:n],
		}, nil
	}
}
