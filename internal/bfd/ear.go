// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// ear is the socket by which packets for all sessions of a family come: by what they say, and not by their ports, it
// is known which one each is for.
type ear struct {
	fd     int
	family *family
	space  []byte // for a packet
	side   []byte // for what comes beside it
}

// heard is a packet as it came.
type heard struct {
	text   []byte // until the next one is read
	source model.Addr
	beside
}

const (
	port       = 3784 // RFC 5881 section 4
	buffer     = 256 << 10
	mostBytes  = 1 << 10 // a packet has 24, with authentication a few more
	mostAtOnce = 256     // packets read before time is looked at again
)

func listen(f *family) (*ear, error) {
	fd, err := unix.Socket(f.domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket for BFD: %w", err)
	}
	set := func(level, option, value int) error { return unix.SetsockoptInt(fd, level, option, value) }
	unspecified := netip.IPv6Unspecified()
	if f.domain == unix.AF_INET {
		unspecified = netip.IPv4Unspecified()
	}
	if err := errors.Join(f.hear(set), set(unix.SOL_SOCKET, unix.SO_RCVBUF, buffer), unix.Bind(fd, f.at(unspecified, port, 0))); err != nil {
		unix.Close(fd)
		return nil, deaf(f, err)
	}
	return &ear{fd: fd, family: f, space: make([]byte, mostBytes), side: make([]byte, 256)}, nil
}

// deaf names who is in the way, as far as that is to be guessed.
func deaf(f *family, err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("UDP port %d of %s is somebody else's on this host, such as FRR's bfdd or keepalived: end that, or leave its sessions to it", port, f.name)
	}
	return fmt.Errorf("UDP port %d of %s: %w", port, f.name, err)
}

func (e *ear) close() { unix.Close(e.fd) }

// receive reads a packet that has come already; false: there is none that can be read.
func (e *ear) receive() (heard, bool) {
	for {
		n, side, _, from, err := unix.Recvmsg(e.fd, e.space, e.side, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return heard{}, false
		}
		source, ok := e.family.source(from)
		beside, err := e.family.beside(e.side[:side])
		if ok && err == nil {
			return heard{e.space[:n], source, beside}, true
		}
	}
}
