// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// resolvePause is the least time between two questions for one next hop.
const resolvePause = 200 * time.Millisecond

// discard is the port that throws away what it gets (RFC 863).
const discard = 9

// Resolver makes the kernel find the MACs of next hops that the packets' path needs now and then:
// the way back to a client. Nobody keeps them resolved; servers' neighbours are the Target's.
type Resolver struct {
	mu    sync.Mutex              // guards asked
	asked map[model.Hop]time.Time // within resolvePause
}

func NewResolver() *Resolver { return &Resolver{asked: map[model.Hop]time.Time{}} }

// Resolve begins to resolve a next hop, at most five times a second, by sending it one datagram.
// The answer, if there is one, is in the kernel's neighbour table. (Asking for the entry by netlink,
// NTF_USE, would need no datagram, but it takes NTF_EXT_MANAGED and PERMANENT from an entry that
// has them: a router may well stand before clients and servers.)
func (r *Resolver) Resolve(_ context.Context, hop model.Hop) error {
	if !r.mayAsk(hop, time.Now()) {
		return nil
	}
	if err := sendDatagram(hop); err != nil {
		return fmt.Errorf("resolve %s on interface %d: %w", hop.Address, hop.Link, err)
	}
	return nil
}

// mayAsk notes the question, unless it was asked just now. What is old is forgotten.
func (r *Resolver) mayAsk(hop model.Hop, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.asked, func(_ model.Hop, at time.Time) bool { return now.Sub(at) >= resolvePause })
	if _, ok := r.asked[hop]; ok {
		return false
	}
	r.asked[hop] = now
	return true
}

// sendDatagram sends an empty datagram to a hop, on its link and through no router.
func sendDatagram(hop model.Hop) error {
	family := unix.AF_INET
	if hop.Address.Is6() {
		family = unix.AF_INET6
	}
	socket, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	return errors.Join(
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, hop.Link),
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DONTROUTE, 1),
		unix.Sendto(socket, nil, 0, discardAt(hop)),
	)
}

func discardAt(hop model.Hop) unix.Sockaddr {
	if hop.Address.Is4() {
		return &unix.SockaddrInet4{Port: discard, Addr: hop.Address.As4()}
	}
	return &unix.SockaddrInet6{Port: discard, Addr: hop.Address.As16(), ZoneId: uint32(hop.Link)}
}
