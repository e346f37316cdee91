// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// A flood of messages must not keep the daemon busy: so many are read in a window, and the kernel
// drops what its buffer does not hold meanwhile. A sender whose packets are too big is told again.
const (
	paceWindow = 10 * time.Millisecond
	paceCount  = 50
)

// PathObserver hears routers that had to drop a packet of this host because it was too big. The
// kernel hears them as well, but knows nothing of packets that it did not send. It changes nothing
// and judges nothing: whoever is told must know that anybody can send such a message.
//
//	raw ICMP and ICMPv6 sockets ──► parse ──► addressed to the packet's sender? ──► out
type PathObserver struct {
	log *slog.Logger
}

func NewPathObserver(log *slog.Logger) *PathObserver { return &PathObserver{log: log} }

// Run hands out what routers say until ctx is done, of each family in a goroutine of its own. It
// hears what is sent to the network namespace of the calling thread.
func (o *PathObserver) Run(ctx context.Context, out func(model.TooBig)) error {
	ears, err := openEars()
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, e := range ears {
		group.Go(func() error {
			o.listen(ctx, e, out)
			return nil
		})
	}
	return group.Wait()
}

// openEars opens the sockets. A kernel may have been told to do without IPv6.
func openEars() ([]ear, error) {
	four, err := openEar4()
	if err != nil {
		return nil, err
	}
	six, err := openEar6()
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT):
		return []ear{four}, nil
	case err != nil:
		return nil, errors.Join(err, four.close())
	}
	return []ear{four, six}, nil
}

// listen reads from one socket until ctx is done.
func (o *PathObserver) listen(ctx context.Context, e ear, out func(model.TooBig)) {
	stop := context.AfterFunc(ctx, func() { _ = e.close() })
	defer func() {
		if stop() {
			_ = e.close()
		}
	}()
	var p pace
	buffer := make([]byte, 1<<16)
	for ctx.Err() == nil {
		m, err := e.read(buffer)
		if ctx.Err() != nil {
			return // the socket was closed under read
		}
		if err != nil {
			o.log.Warn("routers' messages cannot be read, trying again", "err", err)
			sleep(ctx, retry)
			continue
		}
		if said, ok := e.understand(m); ok {
			out(said)
		}
		sleep(ctx, p.rest(time.Now()))
	}
}

// understand says what a message means; false: nothing to us. A router tells the sender of the packet
// that it quotes, and nobody else.
func (e ear) understand(m message) (model.TooBig, bool) {
	said, err := e.parse(m.body)
	if err != nil || said.Source != m.to {
		return model.TooBig{}, false
	}
	return toTooBig(m.router, said), true
}

func toTooBig(router model.Addr, said packet.TooBig) model.TooBig {
	return model.TooBig{
		Router:      router,
		MTU:         said.MTU,
		Source:      said.Source,
		Destination: said.Destination,
		Protocol:    uint8(said.Protocol),
		Port:        said.Port,
	}
}

// pace counts what was read in a window.
type pace struct {
	begun time.Time
	count int
}

// rest counts one more and says how long to wait before the next.
func (p *pace) rest(now time.Time) time.Duration {
	if now.Sub(p.begun) >= paceWindow {
		*p = pace{begun: now}
	}
	p.count++
	if p.count < paceCount {
		return 0
	}
	return p.begun.Add(paceWindow).Sub(now)
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
