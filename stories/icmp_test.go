// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// ping asks an address for an echo, and prints who answers.
func ping(ctx context.Context, s *stage, args []string) (string, error) {
	args, wait, err := waiting(args)
	if err != nil {
		return "", err
	}
	args, size, err := option(args, "size", "56")
	if err != nil {
		return "", err
	}
	bytes, err := number(size)
	if err != nil {
		return "", err
	}
	if err := exactly(args, "ADDRESS"); err != nil {
		return "", err
	}
	to, err := netip.ParseAddr(args[0])
	if err != nil {
		return "", misuse(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	ear, err := s.listenICMP(to)
	if err != nil {
		return "", err
	}
	defer ear.Close()
	if _, err := ear.WriteTo(ear.echo(bytes), &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return "", err
	}
	from, err := ear.hear(ctx, ear.reply)
	return fmt.Sprintf("answer from %v\n", from), err
}

// trace sends a datagram that lives for some hops only, and prints who says so, as traceroute does.
func trace(ctx context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "ADDRESS", "TTL"); err != nil {
		return "", err
	}
	to, err := target(args[0])
	if err != nil {
		return "", err
	}
	ttl, err := strconv.Atoi(args[1])
	if err != nil {
		return "", misuse(err.Error())
	}
	ear, err := s.listenICMP(to.Addr())
	if err != nil {
		return "", err
	}
	defer ear.Close()
	conn, err := s.bound(ctx, to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := setTTL(conn.(*net.UDPConn), to.Addr(), ttl); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("who?")); err != nil {
		return "", err
	}
	from, err := ear.hear(ctx, ear.exceeded)
	return fmt.Sprintf("time exceeded, says %v\n", from), err
}

func setTTL(conn *net.UDPConn, to netip.Addr, ttl int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	level, option := unix.SOL_IP, unix.IP_TTL
	if to.Is6() {
		level, option = unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS
	}
	var refused error
	err = raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), level, option, ttl) })
	return errors.Join(err, refused)
}

// ear hears all ICMP that comes to the client.
type ear struct {
	net.PacketConn
	ipv6            bool
	reply, exceeded uint8 // types of messages
}

// echo is a request. Linux writes ICMPv6's checksum.
func (e *ear) echo(size int) []byte {
	const id, sequence = 0x7769, 1
	body := append(binary.BigEndian.AppendUint32(nil, id<<16|sequence), lab.Question(size)...)
	if e.ipv6 {
		return append([]byte{packet.ICMPv6EchoRequest, 0, 0, 0}, body...)
	}
	return packet.Build(packet.ICMP{Type: packet.ICMPEchoRequest}, packet.Payload(body))
}

func (s *stage) listenICMP(about netip.Addr) (*ear, error) {
	e, network, local := &ear{reply: packet.ICMPEchoReply, exceeded: packet.ICMPTimeExceeded}, "ip4:icmp", s.lab.Client.Address.IPv4
	if about.Is6() {
		const icmpv6TimeExceeded = 3 // RFC 4443 section 3.3
		e = &ear{ipv6: true, reply: packet.ICMPv6EchoReply, exceeded: icmpv6TimeExceeded}
		network, local = "ip6:ipv6-icmp", s.lab.Client.Address.IPv6
	}
	err := s.lab.Client.Do(func() (err error) {
		e.PacketConn, err = net.ListenPacket(network, local.String())
		return err
	})
	return e, err
}

// hear waits for a message of a type, and says whose it is. What makes it wait in vain is the answer
// that does not come.
func (e *ear) hear(ctx context.Context, kind uint8) (netip.Addr, error) {
	defer context.AfterFunc(ctx, func() { e.SetDeadline(time.Unix(0, 1)) })()
	message := make([]byte, 1<<16)
	for {
		n, from, err := e.ReadFrom(message)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("no ICMP of type %d came: %w", kind, err)
		}
		if n > 0 && message[0] == kind {
			who, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
			return who.Unmap(), nil
		}
	}
}
