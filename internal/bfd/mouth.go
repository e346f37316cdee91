// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// mouth is the socket by which a session's packets go. None comes by it.
type mouth struct {
	fd   int
	from model.Addr
	link int
	to   unix.Sockaddr
}

const (
	class    = 0xc0 // CS6, of control traffic of networks (RFC 4594)
	priority = 6    // of the queue: what TOS CS6 alone would not reach is below 7, which needs rights

	// Ports that packets come from, one for each session (RFC 5881 section 4).
	firstPort = 49152
	lastPort  = 65535
	mostTries = 64 // to find one that is free
)

func open(want model.BFDWant) (*mouth, error) {
	f := familyOf(want.Peer)
	fd, err := unix.Socket(f.domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket for BFD: %w", err)
	}
	set := func(level, option, value int) error { return unix.SetsockoptInt(fd, level, option, value) }
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing}),
		set(unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, want.Link),
		f.speak(set), // TOS sets the queue's priority, so that comes after it
		set(unix.SOL_SOCKET, unix.SO_PRIORITY, priority),
	)
	if err == nil {
		err = bind(fd, f, want)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("interface %s: packets cannot come from %s: %w", want.Interface, want.Source, err)
	}
	return &mouth{fd, want.Source, want.Link, f.at(want.Peer, port, want.Link)}, nil
}

// bind finds a port that is free.
func bind(fd int, f *family, want model.BFDWant) (err error) {
	for range mostTries {
		from := firstPort + rand.IntN(lastPort-firstPort+1)
		if err = unix.Bind(fd, f.at(want.Source, from, want.Link)); !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
	}
	return err
}

func (m *mouth) close() { unix.Close(m.fd) }

func (m *mouth) say(c control) error {
	return os.NewSyscallError("sendto", unix.Sendto(m.fd, c.bytes(), 0, m.to))
}
