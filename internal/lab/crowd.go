// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Crowd is connections to a TCP echo that stay. Each sends a byte once in a time, wants it back, and is lost if
// something else comes back, or nothing.
type Crowd struct {
	crowd crowd
	size  int
	every time.Duration

	hush    context.CancelFunc // ends what is said now
	running sync.WaitGroup
}

// Gather opens a crowd, from one of the client's addresses after the other, and lets it speak.
func (c *Client) Gather(ctx context.Context, to netip.AddrPort, size int, every time.Duration) (*Crowd, error) {
	out := &Crowd{crowd: crowd{client: c, to: []netip.AddrPort{to}, step: 1}, size: size, every: every, hush: func() {}}
	if err := out.speak(ctx); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// speak opens what is missing, and lets all of them speak from now on.
func (c *Crowd) speak(ctx context.Context) error {
	if err := c.crowd.fill(ctx, c.size); err != nil {
		return err
	}
	ctx, c.hush = context.WithCancel(context.WithoutCancel(ctx))
	c.running.Go(func() { c.crowd.chat(ctx, c.every) })
	return nil
}

// Muster asks all of them whether they live, and says how many were lost since it was asked last, and why the first of
// these was. Others take the places of those that were, and all speak on.
func (c *Crowd) Muster(ctx context.Context) (lost int, first, err error) {
	c.hush()
	c.running.Wait()
	lost, first = c.crowd.muster(ctx, 2*patience)
	return lost, first, c.speak(ctx)
}

// Lost are those that the last muster has missed.
func (c *Crowd) Lost() []Resident { return c.crowd.lost }

// Close ends all of them.
func (c *Crowd) Close() {
	c.hush()
	c.running.Wait()
	c.crowd.close()
}
