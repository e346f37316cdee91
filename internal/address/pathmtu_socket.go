// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// message is one of ICMP, without the IP header around it.
type message struct {
	body   []byte
	router model.Addr // who sent it
	to     model.Addr // our address that it was sent to
}

// ear is a raw socket of one family that receives, of ICMP, nothing but what may be about packets
// that are too big. It takes CAP_NET_RAW.
type ear struct {
	read  func(buffer []byte) (message, error)
	parse func(body []byte) (packet.TooBig, error)
	close func() error
}

func openEar4() (ear, error) {
	socket, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
	if err != nil {
		return ear{}, fmt.Errorf("listen to routers: %w", err)
	}
	conn := ipv4.NewPacketConn(socket)
	var filter ipv4.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv4.ICMPTypeDestinationUnreachable)
	if err := errors.Join(conn.SetICMPFilter(&filter), conn.SetControlMessage(ipv4.FlagDst, true)); err != nil {
		return ear{}, errors.Join(fmt.Errorf("listen to routers: %w", err), conn.Close())
	}
	read := func(buffer []byte) (message, error) {
		n, control, from, err := conn.ReadFrom(buffer)
		if err != nil || control == nil {
			return message{}, err
		}
		return toMessage(buffer[:n], from, control.Dst), nil
	}
	return ear{read: read, parse: packet.ParseTooBig4, close: conn.Close}, nil
}

func openEar6() (ear, error) {
	socket, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return ear{}, fmt.Errorf("listen to routers of IPv6: %w", err)
	}
	conn := ipv6.NewPacketConn(socket)
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypePacketTooBig)
	if err := errors.Join(conn.SetICMPFilter(&filter), conn.SetControlMessage(ipv6.FlagDst, true)); err != nil {
		return ear{}, errors.Join(fmt.Errorf("listen to routers of IPv6: %w", err), conn.Close())
	}
	read := func(buffer []byte) (message, error) {
		n, control, from, err := conn.ReadFrom(buffer)
		if err != nil || control == nil {
			return message{}, err
		}
		return toMessage(buffer[:n], from, control.Dst), nil
	}
	return ear{read: read, parse: packet.ParseTooBig6, close: conn.Close}, nil
}

func toMessage(body []byte, from net.Addr, to net.IP) message {
	m := message{body: body}
	if router, ok := from.(*net.IPAddr); ok {
		m.router, _ = toAddr(router.IP)
	}
	m.to, _ = toAddr(to)
	return m
}
