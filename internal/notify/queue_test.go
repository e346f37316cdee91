// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

// story is a queue in fake time, and what it said in it.
type story struct {
	t     *testing.T
	q     queue
	start time.Time
	now   time.Time
	send  func(at time.Duration) error // whether messages get through
	log   strings.Builder
}

func newStory(t *testing.T, notice model.Notice) *story {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	return &story{t: t, q: newQueue(notice), start: start, now: start, send: func(time.Duration) error { return nil }}
}

// errGiveUp is what a channel says that takes no message again.
var errGiveUp = errors.New("final")

// until delivers what is due, as an outlet does.
func (s *story) until(at time.Duration) {
	s.t.Helper()
	end := s.start.Add(at)
	for {
		if m, ok := s.q.due(s.now); ok {
			s.deliver(m)
			continue
		}
		next := s.q.next()
		if next.IsZero() || next.After(end) {
			s.now = end
			return
		}
		if !next.After(s.now) {
			s.t.Fatalf("at %s nothing is due, and it shall be looked at again at once", s.now.Sub(s.start))
		}
		s.now = next
	}
}

func (s *story) deliver(m message) {
	at := s.now.Sub(s.start)
	switch err := s.send(at); {
	case errors.Is(err, errGiveUp):
		fmt.Fprintf(&s.log, "%s gave up: %s\n", at, m.subject())
		s.q.gaveUp(s.now, m)
	case err != nil:
		fmt.Fprintf(&s.log, "%s failed: %s\n", at, m.subject())
		s.q.failed(s.now)
	default:
		fmt.Fprintf(&s.log, "%s %s", at, m.subject())
		if n := len(m.events); n > 1 {
			fmt.Fprintf(&s.log, " (%d lines)", n)
		}
		if lost := m.lostLine(); lost != "" {
			fmt.Fprintf(&s.log, " [%s]", lost)
		}
		s.log.WriteByte('\n')
		s.q.sent(s.now, m)
	}
}

// tell is something that happens now, to server 10.0.0.NUMBER; 0: to the service.
func (s *story) tell(kind model.EventKind, service string, number byte) {
	s.q.add(s.now, []model.Event{eventOf(s.now, kind, service, number)})
}

func routerEvent(kind model.EventKind) model.Event {
	return model.Event{Time: noon, Kind: kind, Router: "VI_1", Priority: 100}
}

func peerEvent(kind model.EventKind) model.Event {
	return model.Event{Time: noon, Kind: kind, Peer: netip.AddrFrom4([4]byte{192, 0, 2, 3})}
}

func eventOf(at time.Time, kind model.EventKind, service string, number byte) model.Event {
	e := model.Event{Time: at, Kind: kind, Service: service,
		ServiceKey: model.ServiceKey{Address: netip.AddrFrom4([4]byte{192, 0, 2, 10}), Port: 80, Protocol: model.TCP}}
	if number != 0 {
		e.Server = model.ServerKey{Address: netip.AddrFrom4([4]byte{10, 0, 0, number}), Port: 80}
	}
	return e
}

func TestStories(t *testing.T) {
	gathering := model.Notice{Digest: 10 * time.Second}
	for _, tt := range []struct {
		name   string
		notice model.Notice
		happen func(s *story)
		want   string
	}{
		{"a rack that dies is one message", gathering, func(s *story) {
			for i := range byte(12) {
				s.tell(model.ServerDown, "web", i+1)
				s.until(time.Duration(i) * 200 * time.Millisecond)
			}
			s.tell(model.ServiceDown, "web", 0)
			s.until(time.Hour)
		}, `
10s weir: 12 servers down, 1 service down (13 lines)
`},
		{"what goes down and up within a digest is told", gathering, func(s *story) {
			s.tell(model.ServerDown, "web", 1)
			s.until(3 * time.Second)
			s.tell(model.ServerUp, "web", 1)
			s.until(time.Hour)
		}, `
10s weir: server 10.0.0.1:80 of web is up again (2 lines)
`},
		{"a digest begins with the first event, and the next one with the next", gathering, func(s *story) {
			s.tell(model.ServerDown, "web", 1)
			s.until(9 * time.Second)
			s.tell(model.ServerDown, "web", 2)
			s.until(11 * time.Second)
			s.tell(model.ServerDown, "web", 3)
			s.until(time.Hour)
		}, `
10s weir: 2 servers down (2 lines)
21s weir: server 10.0.0.3:80 of web is down
`},
		{"without a digest each event is a message at once", model.Notice{}, func(s *story) {
			s.tell(model.ServerDown, "web", 1)
			s.tell(model.ServiceDown, "web", 0)
			s.until(time.Second)
			s.tell(model.ServerUp, "web", 1)
			s.until(time.Hour)
		}, `
0s weir: server 10.0.0.1:80 of web is down
0s weir: service web is down
1s weir: server 10.0.0.1:80 of web is up again
`},
		{"what is still down is told again", model.Notice{Digest: 10 * time.Second, Repeat: time.Hour}, func(s *story) {
			s.tell(model.ServerDown, "web", 1)
			s.until(30 * time.Minute)
			s.tell(model.ServerDown, "web", 2)
			s.until(90 * time.Minute)
			s.tell(model.ServerUp, "web", 1)
			s.until(150 * time.Minute)
			s.tell(model.ServerUp, "web", 2)
			s.until(24 * time.Hour)
		}, `
10s weir: server 10.0.0.1:80 of web is down
30m10s weir: server 10.0.0.2:80 of web is down
1h0m0s weir: still down: 2 servers (2 lines)
1h30m10s weir: server 10.0.0.1:80 of web is up again
2h0m0s weir: still down: server 10.0.0.2:80 of web, for 1h30m
2h30m10s weir: server 10.0.0.2:80 of web is up again
`},
		{"a repeat heeds what is up again, though that is not told",
			model.Notice{Least: model.Critical, Repeat: time.Hour}, func(s *story) {
				s.tell(model.ServerDown, "web", 1)
				s.tell(model.ServiceDown, "web", 0)
				s.until(90 * time.Minute)
				s.tell(model.ServiceUp, "web", 0)
				s.until(24 * time.Hour)
			}, `
0s weir: service web is down
1h0m0s weir: still down: service web, for 1h
`},
		{"in the maintenance of a whole service nobody says what comes up", model.Notice{Repeat: time.Hour, Least: model.Warning}, func(s *story) {
			s.tell(model.ServerDown, "web", 1)
			s.tell(model.CertificateEnds, "web", 1)
			s.tell(model.ServerDown, "mail", 2)
			s.tell(model.MaintenanceBegin, "web", 0)
			s.until(90 * time.Minute)
		}, `
0s weir: server 10.0.0.1:80 of web is down
0s weir: server 10.0.0.1:80 of web has to renew its certificate
0s weir: server 10.0.0.2:80 of mail is down
1h0m0s weir: still down: 1 server, 1 certificate to renew (2 lines)
`},
		{"what is gone is not down", model.Notice{Repeat: time.Hour}, func(s *story) {
			s.tell(model.ServerDown, "web", 1)
			s.tell(model.ServerDown, "web", 2)
			s.until(time.Minute)
			s.q.forget(map[subject]bool{subjectOf(eventOf(s.now, model.ServerDown, "web", 2)): true})
			s.until(90 * time.Minute)
		}, `
0s weir: server 10.0.0.1:80 of web is down
0s weir: server 10.0.0.2:80 of web is down
1h0m0s weir: still down: server 10.0.0.2:80 of web, for 1h
`},
		{"what does not get through is told later, with what came meanwhile", gathering, func(s *story) {
			s.send = downUntil(30 * time.Second)
			s.tell(model.ServerDown, "web", 1)
			s.until(20 * time.Second)
			s.tell(model.ServerDown, "web", 2)
			s.until(50 * time.Second)
			s.tell(model.ServerUp, "web", 2)
			s.until(time.Hour)
		}, `
10s failed: weir: server 10.0.0.1:80 of web is down
11s failed: weir: server 10.0.0.1:80 of web is down
13s failed: weir: server 10.0.0.1:80 of web is down
17s failed: weir: server 10.0.0.1:80 of web is down
25s failed: weir: 2 servers down
41s weir: 2 servers down (2 lines)
1m0s weir: server 10.0.0.2:80 of web is up again
`},
		{"attempts become rare, but not rarer than every five minutes", gathering, func(s *story) {
			s.send = downUntil(20 * time.Minute)
			s.tell(model.ServerDown, "web", 1)
			s.until(24 * time.Hour)
		}, `
10s failed: weir: server 10.0.0.1:80 of web is down
11s failed: weir: server 10.0.0.1:80 of web is down
13s failed: weir: server 10.0.0.1:80 of web is down
17s failed: weir: server 10.0.0.1:80 of web is down
25s failed: weir: server 10.0.0.1:80 of web is down
41s failed: weir: server 10.0.0.1:80 of web is down
1m13s failed: weir: server 10.0.0.1:80 of web is down
2m17s failed: weir: server 10.0.0.1:80 of web is down
4m25s failed: weir: server 10.0.0.1:80 of web is down
8m41s failed: weir: server 10.0.0.1:80 of web is down
13m41s failed: weir: server 10.0.0.1:80 of web is down
18m41s failed: weir: server 10.0.0.1:80 of web is down
23m41s weir: server 10.0.0.1:80 of web is down
`},
		{"a repeat that fails is tried again, as it is then", model.Notice{Repeat: time.Hour}, func(s *story) {
			s.tell(model.ServerDown, "web", 1)
			s.tell(model.ServerDown, "web", 2)
			s.until(time.Minute)
			s.send = downUntil(time.Hour + 2*time.Second)
			s.until(time.Hour + 2*time.Second)
			s.tell(model.ServerUp, "web", 2)
			s.until(100 * time.Minute)
		}, `
0s weir: server 10.0.0.1:80 of web is down
0s weir: server 10.0.0.2:80 of web is down
1h0m0s failed: weir: still down: 2 servers
1h0m1s failed: weir: still down: 2 servers
1h0m3s weir: server 10.0.0.2:80 of web is up again
1h0m3s weir: still down: server 10.0.0.1:80 of web, for 1h
`},
		{"what had to go from the spool is counted, and told once", gathering, func(s *story) {
			s.send = downUntil(time.Minute)
			for i := range spool + 7 {
				s.tell(model.ServerDown, "web", byte(1+i%200))
			}
			s.until(2 * time.Minute)
			s.tell(model.ServerUp, "web", 1)
			s.until(time.Hour)
		}, `
10s failed: weir: 200 servers down
11s failed: weir: 200 servers down
13s failed: weir: 200 servers down
17s failed: weir: 200 servers down
25s failed: weir: 200 servers down
41s failed: weir: 200 servers down
1m13s weir: 200 servers down (1000 lines) [7 events before this are lost: they could not be told.]
2m10s weir: server 10.0.0.1:80 of web is up again
`},
		{"what is refused for good is counted, too", gathering, func(s *story) {
			s.send = func(at time.Duration) error {
				if at < time.Minute {
					return errGiveUp
				}
				return nil
			}
			s.tell(model.ServerDown, "web", 1)
			s.until(time.Minute)
			s.tell(model.ServerUp, "web", 1)
			s.until(time.Hour)
		}, `
10s gave up: weir: server 10.0.0.1:80 of web is down
1m10s weir: server 10.0.0.1:80 of web is up again [1 event before this is lost: it could not be told.]
`},
		{"another notice takes over what waits and is wanted", gathering, func(s *story) {
			s.send = downUntil(time.Minute)
			s.tell(model.ServerDown, "web", 1)
			s.tell(model.ServiceDown, "web", 0)
			s.until(time.Minute)
			s.q.become(s.now, model.Notice{Digest: time.Minute, Least: model.Critical, Repeat: time.Hour})
			s.until(90 * time.Minute)
		}, `
10s failed: weir: 1 server down, 1 service down
11s failed: weir: 1 server down, 1 service down
13s failed: weir: 1 server down, 1 service down
17s failed: weir: 1 server down, 1 service down
25s failed: weir: 1 server down, 1 service down
41s failed: weir: 1 server down, 1 service down
1m31s weir: service web is down
1h1m0s weir: still down: service web, for 1h1m
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t, tt.notice)
			tt.happen(s)
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), s.log.String()); diff != "" {
				t.Errorf("it went otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

func downUntil(end time.Duration) func(time.Duration) error {
	return func(at time.Duration) error {
		if at < end {
			return errors.New("down")
		}
		return nil
	}
}

func TestNoticesTellWhatTheyAreAskedFor(t *testing.T) {
	serverDown, serviceUp := eventOf(time.Time{}, model.ServerDown, "web", 1), eventOf(time.Time{}, model.ServiceUp, "web", 0)
	for _, tt := range []struct {
		name   string
		notice model.Notice
		event  model.Event
		want   bool
	}{
		{"all by default", model.Notice{}, serviceUp, true},
		{"a service of those that are named", model.Notice{Services: []string{"dns", "web"}}, serverDown, true},
		{"another service", model.Notice{Services: []string{"dns"}}, serverDown, false},
		{"a kind of those that are named", model.Notice{Kinds: []model.EventKind{model.ServerDown}}, serverDown, true},
		{"another kind", model.Notice{Kinds: []model.EventKind{model.ServerUp}}, serverDown, false},
		{"grave enough", model.Notice{Least: model.Warning}, serverDown, true},
		{"not grave enough", model.Notice{Least: model.Critical}, serverDown, false},
		{"good news are info", model.Notice{Least: model.Info}, serviceUp, true},
		{"a virtual router", model.Notice{Least: model.Warning}, routerEvent(model.VRRPToMaster), true},
		{"a director", model.Notice{Kinds: []model.EventKind{model.SyncLost}}, peerEvent(model.SyncLost), true},
		{"a director is no service of those that are named", model.Notice{Services: []string{"web"}}, peerEvent(model.SyncLost), false},
		{"a virtual router is no service of those that are named", model.Notice{Services: []string{"web"}}, routerEvent(model.VRRPToMaster), false},
		{"good news are no warning", model.Notice{Least: model.Warning}, serviceUp, false},
	} {
		if got := wants(tt.notice, tt.event); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestSpoolHoldsWhatIsUnderWay: what cannot be put back any more was counted.
func TestSpoolHoldsWhatIsUnderWay(t *testing.T) {
	q := newQueue(model.Notice{Digest: time.Second})
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	dropped := 0
	fill := func(n int) {
		for i := range n {
			dropped += q.add(now, []model.Event{eventOf(now, model.ServerDown, "web", byte(1+i%200))})
		}
	}
	fill(600)
	now = now.Add(time.Second)
	if _, ok := q.due(now); !ok {
		t.Fatal("nothing is due")
	}
	fill(700)
	if got, want := dropped, 300; got != want {
		t.Errorf("%d are dropped, want %d", got, want)
	}
	dropped += q.failed(now)
	if waits := len(q.waiting) + len(q.flying); waits != spool || dropped != 300 || q.lost != 300 {
		t.Errorf("%d wait, %d are dropped, %d to tell; want %d, 300, 300", waits, dropped, q.lost, spool)
	}
}
