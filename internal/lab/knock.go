// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// knockEvery is how often a client comes while somebody knocks.
const knockEvery = 5 * time.Millisecond

// noticed is how long a gap must be to be one of Knocked.Gaps: shorter ones are what a busy machine makes.
const noticed = 50 * time.Millisecond

// Knocked is how clients fared who came one after the other, whatever became of those before. Each connected, sent a
// byte to a TCP echo, wanted it back, and left.
type Knocked struct {
	Clients int
	Failed  int   // those that were refused, reset, or not answered in time
	First   error // why the first of them was

	Gap     time.Duration // the longest time between two that had connected, less the pause between two that come
	Gaps    time.Duration // all that are long enough to be noticed
	Stalled time.Duration // for how long the machine was too late to let one come
}

// Knocker lets clients come. It is one thread: a thousand that wait in vain cost nothing.
type Knocker struct {
	client *Client
	to     netip.AddrPort
	stop   chan struct{}
	ended  chan error

	// Of its thread.
	seen    Knocked
	latest  time.Time // when one had connected last
	waiting []knock
}

// knock is a client that is neither served nor lost yet.
type knock struct {
	fd        int
	began     time.Time
	connected bool
}

// Knock begins to let clients come to a TCP echo, from one address after the other.
func (c *Client) Knock(to netip.AddrPort) *Knocker {
	k := &Knocker{client: c, to: to, stop: make(chan struct{}), ended: make(chan error, 1)}
	go func() { k.ended <- c.Do(k.run) }()
	return k
}

// Stop lets no more come, and waits for those that are there.
func (k *Knocker) Stop() (Knocked, error) {
	close(k.stop)
	err := <-k.ended
	return k.seen, err
}

// run is in the client's namespace.
func (k *Knocker) run() error {
	defer k.sendAway()
	next := time.Now()
	k.latest = next
	for over := false; !over || len(k.waiting) > 0; {
		now := time.Now()
		select {
		case <-k.stop:
			if !over {
				over = true
				k.gap(now)
			}
		default:
		}
		if !over && !now.Before(next) {
			k.seen.Stalled = max(k.seen.Stalled, now.Sub(next))
			if err := k.come(now); err != nil {
				return err
			}
			next = next.Add(knockEvery)
		}
		if err := k.look(next, over); err != nil {
			return err
		}
	}
	return nil
}

// come lets one more come.
func (k *Knocker) come(now time.Time) error {
	from := k.client.inTurn(familyOf(k.to), k.seen.Clients)
	k.seen.Clients++
	fd, err := boundTo(from)
	if err != nil {
		return fmt.Errorf("a socket of %s: %w", from, err)
	}
	if err := unix.Connect(fd, sockaddr(k.to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		k.lose(err)
		return unix.Close(fd)
	}
	k.waiting = append(k.waiting, knock{fd: fd, began: now})
	return nil
}

// boundTo is a socket of one of the client's addresses. Its port is chosen when it connects: then it need be free for
// that alone.
func boundTo(from netip.Addr) (int, error) {
	domain := unix.AF_INET
	if from.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1), unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))))
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// look waits until the next one is to come, and sees what becomes of those that are there.
func (k *Knocker) look(next time.Time, over bool) error {
	limit := time.Until(next)
	if over {
		limit = knockEvery
	}
	polled := make([]unix.PollFd, len(k.waiting))
	for i, w := range k.waiting {
		polled[i] = unix.PollFd{Fd: int32(w.fd), Events: unix.POLLOUT}
		if w.connected {
			polled[i].Events = unix.POLLIN
		}
	}
	timeout := unix.NsecToTimespec(int64(max(0, limit)))
	if _, err := unix.Ppoll(polled, &timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("ppoll", err)
	}
	now := time.Now()
	var left []knock
	for i, w := range k.waiting {
		if k.advance(&w, polled[i].Revents != 0, now, over) {
			left = append(left, w)
			continue
		}
		unix.Close(w.fd)
	}
	k.waiting = left
	return nil
}

// advance takes one on as far as it goes, and tells whether it is there still.
func (k *Knocker) advance(w *knock, ready bool, now time.Time, over bool) (stays bool) {
	if !ready {
		if now.Sub(w.began) < patience {
			return true
		}
		k.lose(fmt.Errorf("no answer within %v", patience))
		return false
	}
	if w.connected {
		n, err := unix.Read(w.fd, make([]byte, 1))
		if err == nil && n != 1 {
			err = errors.New("closed without an answer")
		}
		k.lose(err)
		return false
	}
	code, err := unix.GetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err == nil {
		w.connected = true
		if !over {
			k.gap(now)
		}
		_, err = unix.Write(w.fd, []byte{'?'})
	}
	k.lose(err)
	return err == nil
}

// lose counts what went wrong, if anything did.
func (k *Knocker) lose(err error) {
	if err == nil {
		return
	}
	if k.seen.Failed++; k.seen.First == nil {
		k.seen.First = err
	}
}

// gap is that one has connected now.
func (k *Knocker) gap(now time.Time) {
	gap := max(0, now.Sub(k.latest)-knockEvery)
	if k.latest = now; gap >= noticed {
		k.seen.Gaps += gap
	}
	k.seen.Gap = max(k.seen.Gap, gap)
}

// sendAway ends those that are there still.
func (k *Knocker) sendAway() {
	for _, w := range k.waiting {
		unix.Close(w.fd)
	}
}
