// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// load lets clients open connections in the background while something happens.
func load(ctx context.Context, s *stage, args []string) (string, error) {
	return choose(ctx, s, args, map[string]word{"start": startLoad, "stop": stopLoad})
}

func startLoad(_ context.Context, s *stage, args []string) (string, error) {
	if s.load != nil {
		return "", misuse("there is a load already")
	}
	t := &traffic{stage: s, stop: make(chan struct{}), done: make(chan struct{})}
	for _, arg := range args {
		to, err := target(arg)
		if err != nil {
			return "", err
		}
		t.to = append(t.to, to)
	}
	if len(t.to) == 0 {
		return "", misuse("load start ADDRESS...")
	}
	s.load = t
	go t.run()
	return "", nil
}

// stopLoad wants every request to be answered.
func stopLoad(_ context.Context, s *stage, _ []string) (string, error) {
	t := s.load
	if t == nil {
		return "", misuse("there is no load")
	}
	s.load = nil
	t.end()
	text := fmt.Sprintf("requests %d\nfailed %d\n", t.requests, t.failed)
	if t.failed != 0 {
		return text, fmt.Errorf("%d of %d failed, the first: %w", t.failed, t.requests, t.first)
	}
	return text, nil
}

// traffic opens a connection every 8 ms, whatever became of those before, to each of the addresses
// in turn and from each client in turn.
type traffic struct {
	stage *stage
	to    []netip.AddrPort
	stop  chan struct{}
	done  chan struct{}

	mu       sync.Mutex // guards what follows; it is free after done
	requests int
	failed   int
	first    error
}

func (t *traffic) run() {
	defer close(t.done)
	ticks := time.NewTicker(8 * time.Millisecond)
	defer ticks.Stop()
	var requests sync.WaitGroup
	defer requests.Wait()
	for i := 0; ; i++ {
		select {
		case <-t.stop:
			return
		case <-ticks.C:
		}
		requests.Go(func() { t.request(i) })
	}
}

func (t *traffic) request(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	to := t.to[i%len(t.to)]
	clients := t.stage.lab.Client.Addresses(family(to))
	_, err := t.stage.lab.Client.Get(ctx, clients[i%len(clients)], to)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	if err != nil && t.failed == 0 {
		t.first = err
	}
	if err != nil {
		t.failed++
	}
}

// end waits for the answers that are still to come.
func (t *traffic) end() {
	close(t.stop)
	<-t.done
}
