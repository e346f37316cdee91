// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 27: changes of a server that answers after half of what its check waits, after nine tenths, and one
// time in ten after twice as long; and one that is twice as late each time.
const (
	changesHalf   = "changes_half"
	changesNearly = "changes_nearly"
	changesTenth  = "changes_tenth"
	slowIn        = "slow_in" // checks that have not found it
)

// tempo is the interval of a check, with a timeout as the defaults have it.
type tempo time.Duration

// tempoOf is the defaults' own tempo, or a quicker one where no times are judged: faults 27 and 28 are in its proportions.
func tempoOf(size faults.Size) tempo { return tempo(size.Of(300, 1000)) * tempo(time.Millisecond) }

func (t tempo) interval() time.Duration { return time.Duration(t) }
func (t tempo) timeout() time.Duration  { return t.interval() * 9 / 10 }
func (t tempo) String() string {
	return fmt.Sprintf("interval: %s, timeout: %s", t.interval(), t.timeout())
}

// serverSlow: servers answer later and later. Ten minutes of one check are ten seconds of sixty.
func serverSlow(weir string) faults.Fault {
	return faults.Fault{
		Number: 27,
		Long:   true,
		Parts: []faults.Part{
			{Name: changesHalf, Unit: "changes", Bar: 1},
			{Name: changesNearly, Unit: "changes", Bar: 1, Timely: true},
			{Name: changesTenth, Unit: "changes", Bar: 1},
			{Name: slowIn, Unit: "checks"},
			{Name: removedIn, Unit: faults.Seconds, Bar: 4},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			checks := size.Of(4, 60)
			s := &slowness{checks: checks, tempo: tempoOf(size), log: t.Logf}
			s.lasting = time.Duration(size.Of(5, 600/checks)) * s.tempo.interval()
			s.asked = newAsked(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Servers: len(s.paces()), Weir: weir})
			if err := s.open(t); err != nil {
				t.Fatal(err)
			}
			return func() (faults.Measured, error) { return s.run(t.Context()) }
		},
	}
}

// pace is how long a web server takes for its answer to a path's so many-th question.
type pace func(question int) time.Duration

func always(wait time.Duration) pace { return func(int) time.Duration { return wait } }

func tenth(wait time.Duration) pace {
	return func(question int) time.Duration {
		if question%10 == 0 {
			return wait
		}
		return 0
	}
}

// paces are of the servers in turn.
func (s *slowness) paces() []pace {
	timeout := s.tempo.timeout()
	return []pace{always(timeout / 2), always(timeout * 9 / 10), tenth(2 * timeout), always(timeout), always(2 * timeout)}
}

// slowness is servers that answer late, while it is told them.
type slowness struct {
	*asked
	checks  int            // of each server
	tempo   tempo          // of each check
	first   netip.AddrPort // of the services
	lasting time.Duration  // so long are they slow
	log     func(string, ...any)

	mu    sync.Mutex
	slow  bool
	heard map[string]int // questions of each server and path
}

// slowPort is where the servers are asked.
const slowPort = 8080

func (s *slowness) open(t *testing.T) error {
	for i, server := range s.lab.Servers {
		if err := serveOn(t, &server.Node, slowPort, s.answer(server.Name, s.paces()[i])); err != nil {
			return err
		}
	}
	s.first = netip.AddrPortFrom(s.lab.VIP.IPv4, 8001)
	var text strings.Builder
	text.WriteString("services:\n")
	for i := range s.checks {
		text.WriteString(s.service(8001+i, s.checkOf(i)))
	}
	return s.start(t.Context(), text.String())
}

// checkOf asks in words that no other one has.
func (s *slowness) checkOf(i int) string {
	return fmt.Sprintf("{http: \"/%s\", port: %d, %s}", strings.Repeat("x", i), slowPort, s.tempo)
}

func (s *slowness) answer(server string, pace pace) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(s.wait(server+r.URL.Path, pace)):
			w.WriteHeader(http.StatusOK)
		}
	}
}

func (s *slowness) wait(who string, pace pace) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.slow {
		return 0
	}
	s.heard[who]++
	return pace(s.heard[who])
}

func (s *slowness) turn(slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow, s.heard = slow, map[string]int{}
}

func (s *slowness) run(ctx context.Context) (faults.Measured, error) {
	figures := map[string]float64{}
	s.turn(false)
	if err := s.allUp(ctx); err != nil {
		return faults.Measured{}, err
	}
	told, err := s.told()
	if err != nil {
		return faults.Measured{}, err
	}
	began := time.Now()
	s.turn(true)
	if err := s.leaves(ctx, s.of(4)); err != nil {
		return faults.Measured{}, err
	}
	figures[removedIn] = time.Since(began).Seconds()
	time.Sleep(time.Until(began.Add(s.lasting)))
	return faults.Measured{Figures: figures}, s.judge(figures, told)
}

func (s *slowness) of(server int) netip.Addr { return s.lab.Servers[server].Address.IPv4 }

// leaves waits until the maps have a server no more, in one of the services.
func (s *slowness) leaves(ctx context.Context, server netip.Addr) error {
	gone := netip.AddrPortFrom(server, s.first.Port()).String()
	return s.until(ctx, "the checks find it", s.first.String(), "tcp", func(server string, weight uint16) bool {
		return server != gone || weight == 0
	})
}

func (s *slowness) judge(figures map[string]float64, told int64) error {
	of, err := s.changesSince(told)
	if err != nil {
		return err
	}
	for i, part := range []string{changesHalf, changesNearly, changesTenth} {
		figures[part] = of[s.of(i)].all()
	}
	s.log("who takes just as long as a check waits went down %d times and came up %d times: it is a matter of luck", of[s.of(3)].down, of[s.of(3)].up)
	figures[slowIn] = float64(s.checks - of[s.of(4)].down + of[s.of(4)].up)
	return nil
}
