// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// Throttle lets the switches send a node no more than so many bits a second. It is done at the
// switches' ports, since what XDP sends, and what it takes, passes the node's own queues by.
func (l *Lab) Throttle(n *Node, bitsPerSecond uint64) error {
	return l.eachPort(n, func(s *lan, port netlink.Link) error {
		return s.netlink.QdiscReplace(tokenBucket(port, bitsPerSecond/8))
	})
}

// tokenBucket lets through so many bytes a second. What it may send at once covers what timers are
// late, and it holds as much as it sends in a twentieth of a second.
func tokenBucket(port netlink.Link, rate uint64) *netlink.Tbf {
	const atOnce = 32 << 10
	return &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: port.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate,
		Buffer:     netlink.Xmittime(rate, atOnce),
		Limit:      uint32(atOnce + rate/20),
	}
}

// Carried is the number of bytes that the switches have sent to a node, Ethernet's header included.
func (l *Lab) Carried(n *Node) (bytes uint64, err error) {
	err = l.eachPort(n, func(_ *lan, port netlink.Link) error {
		bytes += port.Attrs().Statistics.TxBytes
		return nil
	})
	return bytes, err
}

// eachPort does something with every port to which a node is plugged. It is named after the node.
func (l *Lab) eachPort(n *Node, do func(s *lan, port netlink.Link) error) error {
	var errs []error
	for _, s := range l.switches {
		port, err := s.netlink.LinkByName(n.Name)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue
		}
		if err == nil {
			err = do(s, port)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("port %s of %s: %w", n.Name, s.Name, err))
		}
	}
	return errors.Join(errs...)
}
