// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// fresh is connections that are opened all the time; each sends a byte, gets it back and ends.
type fresh struct {
	client *Client
	to     []netip.AddrPort
	turns  int // so many, ever: addresses are taken in turn
	done   atomic.Int64

	mu     sync.Mutex      // guards what follows
	begun  *sync.WaitGroup // of those that have begun since somebody waited for others last
	failed []time.Time     // when each of them began
	first  error           // why the first one failed
	took   []time.Duration // of the others, from SYN to answer
}

// run opens so many a second, whatever became of those before, and returns when the last one has
// ended after ctx has.
func (f *fresh) run(ctx context.Context, perSecond int) {
	var running sync.WaitGroup
	pace(ctx, float64(perSecond), func(int) {
		turn := f.turns
		f.turns++
		begun := f.begin()
		running.Go(func() {
			defer begun.Done()
			begin := time.Now()
			f.count(begin, f.open(turn))
		})
	})
	running.Wait()
}

// begin takes note of one more, whose end the caller tells.
func (f *fresh) begin() *sync.WaitGroup {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun.Add(1)
	return f.begun
}

// settle returns when those that have begun have ended. Others begin meanwhile.
func (f *fresh) settle() {
	f.mu.Lock()
	begun := f.begun
	f.begun = &sync.WaitGroup{}
	f.mu.Unlock()
	begun.Wait()
}

func (f *fresh) open(turn int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := f.client.dialSilent(ctx, f.to[turn%len(f.to)], turn)
	if err != nil {
		return err
	}
	return errors.Join(exchange(conn, patience), conn.Close())
}

func (f *fresh) count(begin time.Time, err error) {
	f.done.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.took = append(f.took, time.Since(begin))
		return
	}
	f.failed = append(f.failed, begin)
	if f.first == nil {
		f.first = err
	}
}

// reset begins to count anew.
func (f *fresh) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done.Store(0)
	f.failed, f.first, f.took = nil, nil, nil
}
