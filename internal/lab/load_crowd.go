// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is connections to a TCP echo that stay. Some speak now and then, the others are silent until they are asked
// whether they live.
type crowd struct {
	client *Client
	to     []netip.AddrPort
	step   int // of so many one speaks, the first
	opened int // so many, ever: addresses are taken in turn
	conns  []*resident
	lost   []Resident // that the last muster has missed
}

// Resident is a connection that stays, as its client sees it.
type Resident struct {
	Client, Virtual netip.AddrPort
	Sent, Echoed    uint64        // bytes, but for the first; each is another one than that before
	Waited          time.Duration // how long it last waited, from a byte without an answer to the answer or its end
	Err             error         // why it ended; nil: it has not
	Ended           time.Time     // when it did
}

// Decided tells whether waiting for it is over: everything came back, or nothing more will.
func (r Resident) Decided() bool { return r.Err != nil || r.Sent == r.Echoed }

// String is who it is, and what became of it, for people.
func (r Resident) String() string {
	text := fmt.Sprintf("%s to %s: %d of %d bytes came back", r.Client, r.Virtual, r.Echoed, r.Sent)
	if r.Err != nil {
		text += fmt.Sprintf(", %s: %v", r.Ended.UTC().Format("15:04:05.000"), r.Err)
	}
	return text
}

// trouble is why it is lost, nil when everything that it said came back.
func (r Resident) trouble() error {
	if !r.Decided() {
		return fmt.Errorf("%d of %d bytes came back", r.Echoed, r.Sent)
	}
	return r.Err
}

// resident is one of the crowd.
type resident struct {
	conn net.Conn

	mu    sync.Mutex // guards what follows
	seen  Resident
	asked time.Time // when it sent the first byte that has no answer
}

func newResident(conn net.Conn) *resident {
	from, to := conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	return &resident{conn: conn, seen: Resident{Client: from, Virtual: to}}
}

// look is what is seen of it by now.
func (r *resident) look() Resident {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// fill opens what is missing, some at once.
func (c *crowd) fill(ctx context.Context, size int) error {
	const atOnce = 16
	missing := size - len(c.conns)
	turns := make(chan int)
	opened := make(chan *resident, max(missing, 0))
	var dialling sync.WaitGroup
	var failed atomic.Pointer[error]
	for range atOnce {
		dialling.Go(func() {
			for turn := range turns {
				if r, err := c.open(ctx, turn); err != nil {
					failed.CompareAndSwap(nil, &err)
				} else {
					opened <- r
				}
			}
		})
	}
	for range missing {
		turns <- c.opened
		c.opened++
	}
	close(turns)
	dialling.Wait()
	close(opened)
	for r := range opened {
		c.conns = append(c.conns, r)
	}
	if err := failed.Load(); err != nil {
		return fmt.Errorf("%d of %d connections cannot be opened, the first: %w", size-len(c.conns), size, *err)
	}
	return nil
}

// open wants the first byte back, so that what it returns is established at both ends.
func (c *crowd) open(ctx context.Context, turn int) (*resident, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := c.client.dialSilent(ctx, c.to[turn%len(c.to)], turn)
	if err != nil {
		return nil, err
	}
	if err := exchange(conn, patience); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	r := newResident(conn)
	go r.listen() // ends with the connection
	return r, nil
}

// dialSilent connects from one client after the other, without keepalive.
func (c *Client) dialSilent(ctx context.Context, to netip.AddrPort, turn int) (net.Conn, error) {
	conn, err := c.Dial(ctx, "tcp", c.inTurn(familyOf(to), turn), to)
	if err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).SetKeepAlive(false); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// exchange sends a byte and waits for it to come back.
func exchange(conn net.Conn, within time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{'?'}); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// speak sends one more byte, unless it is over.
func (r *resident) speak() {
	said, ok := r.ask()
	if !ok {
		return
	}
	if _, err := r.conn.Write([]byte{said}); err != nil {
		r.hear(nil, err)
	}
}

// ask is the next byte to be sent.
func (r *resident) ask() (said byte, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen.Err != nil {
		return 0, false
	}
	if r.seen.Decided() {
		r.asked = time.Now()
	}
	r.seen.Sent++
	return byte(r.seen.Sent), true
}

// hear takes note of what came back: it must be what was sent, in order.
func (r *resident) hear(bytes []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waits := !r.seen.Decided()
	for _, b := range bytes {
		if r.seen.Echoed++; b != byte(r.seen.Echoed) && r.seen.Err == nil {
			r.seen.Err = fmt.Errorf("byte %d came back as %#02x", r.seen.Echoed, b)
		}
	}
	if r.seen.Err == nil {
		r.seen.Err = err
	}
	if r.seen.Err != nil && r.seen.Ended.IsZero() {
		r.seen.Ended = time.Now()
	}
	if waits && r.seen.Decided() {
		r.seen.Waited = time.Since(r.asked)
	}
}

// listen counts what comes back, until the connection ends.
func (r *resident) listen() {
	buffer := make([]byte, 64)
	for {
		n, err := r.conn.Read(buffer)
		r.hear(buffer[:n], err)
		if err != nil {
			return
		}
	}
}

// chat lets those speak who do, each once in a time, evenly spread, until ctx ends. It returns as pace does.
func (c *crowd) chat(ctx context.Context, every time.Duration) time.Duration {
	speakers := (len(c.conns) + c.step - 1) / c.step
	return pace(ctx, float64(speakers)/every.Seconds(), func(turn int) {
		c.conns[turn%speakers*c.step].speak()
	})
}

// muster lets everybody speak, and waits until all have been heard or the time is over. It sends
// away and returns the number of those who were not, with the first reason.
func (c *crowd) muster(ctx context.Context, within time.Duration) (lost int, first error) {
	for _, r := range c.conns {
		r.speak()
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_ = poll(ctx, 10*time.Millisecond, func() (bool, error) { return c.decided(), nil }) // who is missing is seen below
	var alive []*resident
	c.lost = nil
	for _, r := range c.conns {
		seen := r.look()
		err := seen.trouble()
		if err == nil {
			alive = append(alive, r)
			continue
		}
		r.conn.Close()
		c.lost = append(c.lost, seen)
		if lost++; first == nil {
			first = err
		}
	}
	c.conns = alive
	return lost, first
}

func (c *crowd) decided() bool {
	for _, r := range c.conns {
		if !r.look().Decided() {
			return false
		}
	}
	return true
}

func (c *crowd) close() {
	for _, r := range c.conns {
		r.conn.Close()
	}
	c.conns = nil
}

// pace calls f so many times a second until ctx ends; what a busy machine has delayed is made up for.
// It returns the longest time between two looks at what is due.
func pace(ctx context.Context, perSecond float64, f func(turn int)) (longest time.Duration) {
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	begin := time.Now()
	looked := begin
	for turn := 0; ; {
		select {
		case <-ctx.Done():
			return longest
		case <-ticks.C:
		}
		longest = max(longest, time.Since(looked))
		looked = time.Now()
		for due := int(time.Since(begin).Seconds() * perSecond); turn < due; turn++ {
			f(turn)
		}
	}
}
