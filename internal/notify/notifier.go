// SPDX-License-Identifier: Apache-2.0

// Package notify tells people, and other programs, what happened to servers and services. It does not find out
// anything, and nobody waits for it: what cannot be told waits in a bounded spool, and what had to go from there is
// counted.
//
// Read queue.go first (what is due when, pure), then message.go (what people read), outlet.go (the shell around
// a queue) and this file. The rest are the channels: exec.go, mail.go, webhook.go, fifo.go and syslog.go.
package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/program"
)

const (
	// grace is how long deliveries may take after the end.
	grace = 2 * time.Second
	// testPatience is how long a test may take: somebody waits for it.
	testPatience = 30 * time.Second
)

// Notifier has one outlet for each notice.
//
//	Follow ──► outlets ◄── Tell
//	              │ each: queue ──► sender
//	Run: one goroutine for each outlet
type Notifier struct {
	log     *slog.Logger
	senders func(model.Channel) sender
	changed chan struct{} // of one: outlets came or went

	mu      sync.Mutex // guards outlets; what an outlet holds it guards itself
	outlets []*outlet
}

// New makes one that tells nobody yet.
func New(log *slog.Logger) *Notifier {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return &Notifier{log: log, senders: func(how model.Channel) sender { return newSender(how, host) }, changed: make(chan struct{}, 1)}
}

// Follow says which notices are wanted. The newest list wins. A notice that is in the list before, too, keeps what
// waits for it, and so does one whose place another of the same kind takes: the address of a dead mail server can
// be corrected without a loss.
func (n *Notifier) Follow(notices []model.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before, after := slices.Clone(n.outlets), make([]*outlet, len(notices))
	for i, notice := range notices {
		after[i] = pick(&before, notice.Equal)
	}
	for i, notice := range notices {
		if after[i] != nil {
			continue
		}
		after[i] = pick(&before, func(old model.Notice) bool { return old.How.Kind() == notice.How.Kind() })
		if after[i] == nil {
			after[i] = newOutlet(notice, n.log, n.senders)
			continue
		}
		after[i].become(time.Now(), notice)
	}
	n.outlets = after
	poke(n.changed)
}

// pick takes the first that fits out of a list.
func pick(from *[]*outlet, fits func(model.Notice) bool) *outlet {
	i := slices.IndexFunc(*from, func(o *outlet) bool { return fits(o.notice()) })
	if i < 0 {
		return nil
	}
	out := (*from)[i]
	*from = slices.Delete(*from, i, i+1)
	return out
}

// poke leaves word for somebody who may be busy.
func poke(mailbox chan<- struct{}) {
	select {
	case mailbox <- struct{}{}:
	default: // word is there already
	}
}

// Tell hands over what happened, the oldest first. It never blocks.
func (n *Notifier) Tell(events []model.Event) {
	for _, o := range n.all() {
		o.tell(time.Now(), events)
	}
}

// Known says which services, servers, virtual routers and peers there are. What was down and is gone is not repeated any more: nothing else
// would ever say that it is up. So is a certificate that nobody looks at any more.
func (n *Notifier) Known(services []model.Service, routers []model.VirtualRouter, peers []model.Addr) {
	known := map[subject]bool{}
	for _, router := range routers {
		known[subject{router: router.Name}] = true
		known[subject{router: router.Name, topic: conflicts}] = true
	}
	for _, peer := range peers {
		known[subject{peer: peer}] = true
	}
	for _, service := range services {
		known[subject{service: service.Name}] = true
		for _, server := range service.Servers {
			known[subject{service: service.Name, server: server.Key}] = true
			known[subject{service: service.Name, server: server.Key, topic: certificates}] = server.Checks.LookAtCertificates()
		}
	}
	for _, o := range n.all() {
		o.forget(known)
	}
}

func (n *Notifier) all() []*outlet {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.outlets)
}

// Run delivers until ctx is done, and then for a moment what still waits.
func (n *Notifier) Run(ctx context.Context) error {
	last, cancel := outlasting(ctx, grace)
	defer cancel()
	stops := map[*outlet]context.CancelFunc{}
	var running sync.WaitGroup
	defer running.Wait()
	for {
		n.adjust(ctx, last, stops, &running)
		select {
		case <-ctx.Done():
			return nil
		case <-n.changed:
		}
	}
}

// outlasting ends a while after ctx does.
func outlasting(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return out, func() {
		stop()
		cancel()
	}
}

// adjust starts and stops outlets until exactly those run that are wanted.
func (n *Notifier) adjust(ctx, last context.Context, stops map[*outlet]context.CancelFunc, running *sync.WaitGroup) {
	wanted := map[*outlet]bool{}
	for _, o := range n.all() {
		wanted[o] = true
		if stops[o] != nil {
			continue
		}
		own, stop := context.WithCancel(ctx)
		stops[o] = stop
		running.Go(func() { o.run(own, last) })
	}
	for o, stop := range stops {
		if !wanted[o] {
			stop()
			delete(stops, o)
		}
	}
}

// Count is how one notice fares.
type Count struct {
	Notice  model.Notice
	Sent    uint64 // messages that somebody has
	Failed  uint64 // attempts
	Dropped uint64 // events that nobody was told of, and nobody will be
	Waiting int    // events
	Error   string // of the last attempt, on one line; "": it went well
}

// Counts are in the order of the list that Follow was given.
func (n *Notifier) Counts() []Count {
	var out []Count
	for _, o := range n.all() {
		out = append(out, o.counts())
	}
	return out
}

// Test sends a message that says what it is, whatever the notice wants to hear of, beside what waits for it, and
// uncounted. Its error is one line.
func (n *Notifier) Test(ctx context.Context, notice model.Notice) error {
	ctx, cancel := context.WithTimeoutCause(ctx, testPatience, fmt.Errorf("no end after %s", testPatience))
	defer cancel()
	s := n.senders(notice.How)
	defer s.close()
	err := s.open()
	if err == nil {
		err = s.send(ctx, testMessage(time.Now(), notice))
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return errors.New(model.OneLine(inFull(err)))
}

// inFull is an error with what a program said: nobody looks into the log for a test.
func inFull(err error) string {
	if failed, ok := errors.AsType[*program.Failure](err); ok && failed.Output != "" {
		return err.Error() + ": " + failed.Output
	}
	return err.Error()
}

// testMessage is about an address for documentation, so that no script finds a server of its own in it.
func testMessage(now time.Time, notice model.Notice) message {
	address := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	e := model.Event{Time: now, Kind: model.ServerDown, Service: "test", Reason: "weir tries whether this message arrives",
		ServiceKey: model.ServiceKey{Address: address, Port: 80, Protocol: model.TCP}, Server: model.ServerKey{Address: address, Port: 80}}
	if len(notice.Services) > 0 {
		e.Service = cmp.Or(notice.Services[0], e.Service)
	}
	return message{at: now, events: []model.Event{e}, test: true}
}
