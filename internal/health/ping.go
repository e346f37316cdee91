// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// pinged is a family's way to ask for an echo (RFC 792, RFC 4443 section 4).
type pinged struct {
	domain   int
	protocol int    // as headers of IP have it
	raw      string // as package net names it
	request  icmp.Type
	reply    icmp.Type
}

func pingOf(to netip.Addr) pinged {
	if to.Is4() {
		return pinged{unix.AF_INET, unix.IPPROTO_ICMP, "ip4:icmp", ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply}
	}
	return pinged{unix.AF_INET6, unix.IPPROTO_ICMPV6, "ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply}
}

// askPing wants an echo of bytes that nobody can guess. By them it is known, since the kernel chooses the
// identifier where it tells echoes apart itself.
func askPing(ctx context.Context, to netip.AddrPort) error {
	address := to.Addr().Unmap()
	family := pingOf(address)
	c, err := family.dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	defer obey(ctx, c)()
	token := make([]byte, 16)
	_, _ = rand.Read(token) // it never fails
	return family.ask(c, token)
}

func (p pinged) ask(c pingConn, token []byte) error {
	if err := p.send(c, token); err != nil {
		return err
	}
	return p.hear(c, token)
}

func (p pinged) send(c pingConn, token []byte) error {
	question := icmp.Message{Type: p.request, Body: &icmp.Echo{Seq: 1, Data: token}}
	text, err := question.Marshal(nil) // of IPv6 the kernel makes the checksum
	if err != nil {
		return err
	}
	if _, err := c.Write(text); err != nil {
		return fmt.Errorf("ping: %w", plainly(err))
	}
	return nil
}

// hear overlooks all but our echo: a raw socket hears others', too.
func (p pinged) hear(c pingConn, token []byte) error {
	space := make([]byte, 1500)
	for {
		n, _, err := c.ReadFrom(space)
		if err = plainly(err); err != nil {
			if errors.Is(err, errSilent) {
				return err
			}
			return fmt.Errorf("ping: %w", err)
		}
		m, err := icmp.ParseMessage(p.protocol, space[:n])
		if err != nil || m.Type != p.reply {
			continue
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && bytes.Equal(echo.Data, token) {
			return nil
		}
	}
}

// pingConn hears one server.
type pingConn interface {
	net.Conn
	net.PacketConn
}

// dial tries the socket that needs no capability (net.ipv4.ping_group_range), and on which the kernel tells echoes
// apart, then the one that needs CAP_NET_RAW.
func (p pinged) dial(ctx context.Context, to netip.Addr) (pingConn, error) {
	c, err := p.datagrams(to)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		c, err = p.rawly(ctx, to)
	}
	if errors.Is(err, unix.EPERM) {
		return nil, ownFault{errors.New("ping: needs CAP_NET_RAW, or our group in net.ipv4.ping_group_range")}
	}
	if err != nil {
		return nil, fmt.Errorf("ping: %w", plainly(err))
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// datagrams makes a socket of icmp(7), which package net cannot.
func (p pinged) datagrams(to netip.Addr) (pingConn, error) {
	fd, err := unix.Socket(p.domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, p.protocol)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "ping")
	defer f.Close() // the connection has a descriptor of its own
	if err := unix.Connect(fd, socketAddress(to)); err != nil {
		return nil, err
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	out, ok := c.(pingConn)
	if !ok {
		return nil, errors.Join(errors.New("this socket has no datagrams"), c.Close())
	}
	return out, nil
}

func socketAddress(to netip.Addr) unix.Sockaddr {
	if to.Is4() {
		return &unix.SockaddrInet4{Addr: to.As4()}
	}
	out := &unix.SockaddrInet6{Addr: to.As16()}
	if ifi, err := net.InterfaceByName(to.Zone()); err == nil {
		out.ZoneId = uint32(ifi.Index)
	}
	return out
}

// rawly makes a socket that hears echoes of this server, those to other checks among them.
func (p pinged) rawly(ctx context.Context, to netip.Addr) (pingConn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, p.raw, to.String())
	if err != nil {
		return nil, err
	}
	out, ok := c.(*net.IPConn)
	if !ok {
		return nil, errors.Join(errors.New("this socket is not raw"), c.Close())
	}
	if err := p.filter(out); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return out, nil
}

// filter keeps requests out, which on the way to a server of this host are heard, too.
func (p pinged) filter(c *net.IPConn) error {
	if p.domain == unix.AF_INET6 {
		var f ipv6.ICMPFilter
		f.SetAll(true)
		f.Accept(ipv6.ICMPTypeEchoReply)
		return ipv6.NewPacketConn(c).SetICMPFilter(&f)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	const icmpFilter = 1 // raw(7); its bits are the types that are kept out
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_RAW, icmpFilter, ^(1 << int(ipv4.ICMPTypeEchoReply)))
	})
	return errors.Join(err, failed)
}
