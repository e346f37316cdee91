// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// dialUDP makes a socket that hears this endpoint alone, and also that its port is closed: the kernel tells
// connected sockets what ICMP says. Its deadline is that of ctx, and it hears no more than any check does, in however
// many datagrams.
func dialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	to, _ = dialled(ctx, to) // no two sockets of UDP have one port
	c, err := d.DialContext(ctx, "udp", to.String())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", plainly(err))
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return newLimited(polite{c}, maxTold), nil
}

// probeUDP judges the first datagram that comes back.
func probeUDP(ask model.AskUDP) (probe, error) {
	return func(ctx context.Context, to netip.AddrPort) error {
		c, err := dialUDP(ctx, to)
		if err != nil {
			return err
		}
		defer c.Close()
		defer obey(ctx, c)()
		if _, err := io.WriteString(c, ask.Payload); err != nil {
			return plainly(err)
		}
		space := make([]byte, max(len(ask.Reply), maxLine))
		n, err := c.Read(space)
		if err != nil {
			return plainly(err)
		}
		if reply := string(space[:n]); !strings.HasPrefix(reply, ask.Reply) {
			return fmt.Errorf("udp: unexpected reply %s", shown(reply))
		}
		return nil
	}, nil
}
