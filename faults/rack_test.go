// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 32.
const (
	rackUpdates  = "updates"  // of the maps, until none of those that failed is picked any more
	rackIn       = "in_maps"  // from the last bad answer that decides until then
	rackMessages = "messages" // by which people are told
	rackUntold   = "untold"   // servers that no message names
)

// herd: a thousand checks begin at once, fifty of sixty servers fail at once, and an empty one comes to others.
func herd(weir string) faults.Fault {
	return faults.Fault{
		Number: 32,
		Long:   true,
		Parts: []faults.Part{
			{Name: rackUpdates, Unit: "updates", Bar: 1, Timely: true},
			{Name: rackIn, Unit: faults.Seconds, Bar: 0.1},
			{Name: rackMessages, Unit: "messages", Bar: 1, Timely: true},
			{Name: rackUntold, Unit: "servers"},
			{Name: joinShare, Unit: "fair shares", Bar: 2, Timely: true},
			{Name: checkSpread, Unit: "%", Bar: 20},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			r := &rack{asked: newAsked(t, lab.Config{Shape: lab.TwoArm, Forwarding: lab.NAT, Servers: 1, Weir: weir}), log: t.Logf}
			r.digest = time.Duration(size.Of(500, 10_000)) * time.Millisecond
			if err := r.open(t, size.Of(300, 1000)); err != nil {
				t.Fatal(err)
			}
			j := newJoining(t, weir, size)
			return func() (faults.Measured, error) {
				m, err := r.run(t.Context())
				if err == nil {
					err = j.run(t.Context(), &m)
				}
				if err == nil {
					m.Figures[checkSpread], err = spread(t)
				}
				return m, err
			}
		},
	}
}

const (
	rackSize  = 60
	rackFail  = 50                    // of them
	rackPort  = 9001                  // of the first
	rackFalls = 3                     // bad answers that decide
	rackApart = 70 * time.Millisecond // these are at most, by how checks keep their distance and by their jitter
	rackStall = 20 * time.Millisecond // of the machine, behind which verdicts come late
	noticed   = 9000                  // where messages come in
)

// rack is servers on the ports of one host, which fail by the word.
type rack struct {
	*asked
	tables *lab.Tables
	digest time.Duration
	ended  time.Time // when the run before was over
	log    func(string, ...any)

	mu       sync.Mutex
	failing  bool
	bad      [rackSize]int       // answers of each
	decided  [rackSize]time.Time // when the last of them was given that counts
	messages [][]string          // the servers of each
}

func (r *rack) open(t *testing.T, interval int) error {
	host := r.lab.Servers[0]
	for i := range rackSize {
		if err := serveOn(t, &host.Node, uint16(rackPort+i), func(w http.ResponseWriter, _ *http.Request) { r.answer(w, i) }); err != nil {
			return err
		}
	}
	if err := serveOn(t, &host.Node, noticed, r.hear); err != nil {
		return err
	}
	var servers []string
	for i := range rackSize {
		servers = append(servers, fmt.Sprintf("\"%s:%d\"", host.Address.IPv4, rackPort+i))
	}
	text := "services:\n" + r.service(80, fmt.Sprintf("{http: /, interval: %dms}", interval), servers...) +
		fmt.Sprintf("notify:\n  - {webhook: \"http://%s:%d/\", digest: %s, events: [server_down]}\n", host.Address.IPv4, noticed, r.digest)
	if err := r.start(t.Context(), text); err != nil {
		return err
	}
	var err error
	if r.tables, err = r.director.Tables(); err != nil {
		return err
	}
	t.Cleanup(func() { r.tables.Close() })
	return nil
}

// serveOn serves on a port of a node, until the test is over.
func serveOn(t *testing.T, n *lab.Node, port uint16, answer http.HandlerFunc) error {
	t.Helper()
	listener, err := n.Listen(t.Context(), port)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: answer, ReadHeaderTimeout: 5 * time.Second}
	go web.Serve(listener)
	t.Cleanup(func() { web.Close() })
	return nil
}

func (r *rack) answer(w http.ResponseWriter, server int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.failing || server >= rackFail {
		return // 200
	}
	if r.bad[server]++; r.bad[server] == rackFalls {
		r.decided[server] = time.Now()
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

// hear takes a message in.
func (r *rack) hear(_ http.ResponseWriter, request *http.Request) {
	var m struct{ Events []struct{ Server string } }
	if body, err := io.ReadAll(request.Body); err != nil || json.Unmarshal(body, &m) != nil {
		return // it will be missing
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var servers []string
	for _, e := range m.Events {
		servers = append(servers, e.Server)
	}
	r.messages = append(r.messages, servers)
}

func (r *rack) fail(failing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing, r.bad, r.messages = failing, [rackSize]int{}, nil
}

func (r *rack) run(ctx context.Context) (faults.Measured, error) {
	r.fail(false)
	if err := r.allUp(ctx); err != nil {
		return faults.Measured{}, err
	}
	time.Sleep(time.Until(r.ended.Add(r.digest))) // messages of the run before
	r.fail(true)
	switches, stood, err := r.watch(ctx, func(ctx context.Context) error {
		return r.until(ctx, "they are out", r.web(), "tcp", func(server string, weight uint16) bool { return r.fails(server) == (weight == 0) })
	})
	if err != nil {
		return faults.Measured{}, err
	}
	figures := map[string]float64{rackUpdates: float64(len(switches))}
	first, last := r.decisions()
	figures[rackIn] = switches[len(switches)-1].Sub(last).Seconds()
	r.log("the first and the last bad answer that decide are %v apart; %d updates, the first %v and the last %v behind the last answer",
		last.Sub(first), len(switches), switches[0].Sub(last), switches[len(switches)-1].Sub(last))
	if err := r.toldOf(ctx, figures); err != nil {
		return faults.Measured{}, err
	}
	m := faults.Measured{Figures: figures}
	r.ended = time.Now()
	if apart := last.Sub(first); apart > 2*rackApart || stood > rackStall {
		m.Disturbed = fmt.Sprintf("answers that decide came %v apart, and the machine stood still for %v", apart, stood)
	}
	return m, nil
}

func (r *rack) web() string { return fmt.Sprintf("%s:80", r.lab.VIP.IPv4) }

func (r *rack) fails(server string) bool {
	at := netip.MustParseAddrPort(server)
	return at.Port() < rackPort+rackFail
}

// watch is when the table of servers was another one, while something goes on, and how long it could not look.
func (r *rack) watch(ctx context.Context, goOn func(context.Context) error) (switches []time.Time, stood time.Duration, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := r.tables.Now()
	if err != nil {
		return nil, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- goOn(ctx) }()
	ticks := time.NewTicker(500 * time.Microsecond)
	defer ticks.Stop()
	for looked := time.Now(); ; {
		now, err := r.tables.Now()
		if err != nil {
			return nil, 0, err
		}
		stood, looked = max(stood, time.Since(looked)), time.Now()
		if !slices.Equal(now, before) {
			switches, before = append(switches, time.Now()), now
		}
		select {
		case err := <-ended:
			if err == nil && len(switches) == 0 {
				err = errors.New("it was in no table")
			}
			return switches, stood, err
		case <-ticks.C:
		}
	}
}

// decisions are when the first and the last server gave the answer that took it out.
func (r *rack) decisions() (first, last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.MinFunc(r.decided[:rackFail], time.Time.Compare), slices.MaxFunc(r.decided[:rackFail], time.Time.Compare)
}

// toldOf waits until people have heard of every server, or it is too late.
func (r *rack) toldOf(ctx context.Context, figures map[string]float64) error {
	ctx, cancel := context.WithTimeout(ctx, r.digest+5*time.Second)
	defer cancel()
	err := eachMoment(ctx, func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		named := map[string]bool{}
		for _, m := range r.messages {
			for _, server := range m {
				named[server] = true
			}
		}
		figures[rackMessages], figures[rackUntold] = float64(len(r.messages)), float64(rackFail-len(named))
		return len(named) == rackFail, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the figures say it
	}
	return err
}
