// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// conn is a virtual router's raw socket on its interface.
type conn struct {
	fd     int
	family family
	link   int
	own    netip.Addr   // source of adverts
	to     []netip.Addr // the peers, or the group
	frames *frames      // by which adverts go; nil: by fd
	space  []byte       // for a message
	side   []byte       // for what comes beside it
}

// heard is a message as it came.
type heard struct {
	text []byte // until the next one is read
	way  way
}

const (
	groupID    = 0x12                                     // of the group in IPv4 and in IPv6
	control    = 0xc0                                     // CS6, of control traffic of networks (RFC 4594)
	priority   = 6                                        // of the queue: what TOS CS6 alone would not reach is below 7, which needs rights
	buffer     = 64 << 10                                 // of the socket; a hundred adverts: later ones are the newer ones' business
	most       = 60 + headLength + 255*16 + trailerLength // bytes of an advert, with the header of IPv4
	mostAtOnce = 256                                      // messages read before time is looked at again
)

// family is how IPv4 and IPv6 differ.
type family struct {
	domain  int
	group   netip.Addr
	options func(c *conn) error
	head    func() head
	read    func(c *conn, text, side []byte, from unix.Sockaddr) (heard, bool)
	beside  func(c *conn) []byte // the source, as a control message
	address func(c *conn, to netip.Addr) unix.Sockaddr
}

func familyOf(router model.VirtualRouter) family {
	if router.Addresses[0].Addr().Is4() {
		return family4
	}
	return family6
}

// open makes the socket. It hears adverts of the router's id only; others are counted apart (strangers.go).
func open(want Want) (*conn, error) {
	if err := checkSource(want); err != nil {
		return nil, err
	}
	c := &conn{family: familyOf(want.VirtualRouter), link: want.Link, own: want.Source, to: want.Peers, space: make([]byte, most), side: make([]byte, 256)}
	if len(c.to) == 0 {
		c.to = []netip.Addr{c.family.group}
	}
	var err error
	c.fd, err = unix.Socket(c.family.domain, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("a socket for adverts: %w", err)
	}
	if err := c.prepare(want); err != nil {
		c.close()
		return nil, fmt.Errorf("a socket for adverts on %s: %w", want.Interface, err)
	}
	if want.VirtualMAC {
		if c.frames, err = openFrames(want.MAC(), want.Link); err != nil {
			c.close()
			return nil, fmt.Errorf("a socket for adverts from %x on %s: %w", want.MAC(), want.Interface, err)
		}
	}
	c.drain()
	return c, nil
}

// drain throws away what came before the socket was of this interface and this id.
func (c *conn) drain() {
	for range mostAtOnce {
		if _, ok := c.receive(); !ok {
			return
		}
	}
}

func (c *conn) prepare(want Want) error {
	return errors.Join(
		attach(c.fd, c.family.head().takes(want.ID)),
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, c.link),
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer),
		c.family.options(c), // TOS sets the queue's priority, so that comes after it
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_PRIORITY, priority),
	)
}

func (c *conn) close() {
	unix.Close(c.fd)
	if c.frames != nil {
		c.frames.close()
	}
}

// send sends an advert to all that it is for: one who cannot be reached costs the others nothing. It says to how many
// it went, and what went wrong with any.
func (c *conn) send(a advert) (sent int, err error) {
	var errs []error
	for _, to := range c.to {
		text := a.bytes(way{source: c.own, destination: to})
		if err := c.put(text, to); err != nil {
			errs = append(errs, fmt.Errorf("an advert from %s to %s: %w", c.own, to, err))
			continue
		}
		sent++
	}
	return sent, errors.Join(errs...)
}

func (c *conn) put(text []byte, to netip.Addr) error {
	if c.frames != nil {
		return c.frames.send(text, c.own, to)
	}
	return os.NewSyscallError("sendmsg", unix.Sendmsg(c.fd, text, c.family.beside(c), c.family.address(c, to), 0))
}

// receive reads a message that has come already; false: there is none that can be read.
func (c *conn) receive() (heard, bool) {
	for {
		n, beside, _, from, err := unix.Recvmsg(c.fd, c.space, c.side, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return heard{}, false
		}
		if h, ok := c.family.read(c, c.space[:n], c.side[:beside], from); ok {
			return h, true
		}
	}
}
