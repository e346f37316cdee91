// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/program"
)

// stage is a notifier in a bubble, whose channels are recorded.
type stage struct {
	*Notifier
	t     *testing.T
	end   context.CancelFunc
	ended chan error
	start time.Time

	mu    sync.Mutex // guards the rest
	said  []string
	fails map[string]error // by channel
	hangs map[string]bool
	open  map[string]int // senders that are in use
}

// recorder is a sender that only remembers.
type recorder struct {
	*stage
	name string
}

func (r recorder) open() error { return r.count(1) }
func (r recorder) close()      { _ = r.count(-1) }

func (r recorder) count(by int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stage.open[r.name] += by
	return nil
}

func (r recorder) send(ctx context.Context, m message) error {
	r.mu.Lock()
	err, hangs := r.fails[r.name], r.hangs[r.name]
	r.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if err == nil {
		r.say("%s: %s", r.name, m.subject())
	}
	return err
}

func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf("%s ", time.Since(s.start))+fmt.Sprintf(format, args...))
}

func (s *stage) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// onStage runs a play in fake time, and compares what was said.
func onStage(t *testing.T, play func(s *stage), want string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{Notifier: New(slog.New(slog.DiscardHandler)), t: t, ended: make(chan error, 1), start: time.Now(),
			fails: map[string]error{}, hangs: map[string]bool{}, open: map[string]int{}}
		s.senders = func(how model.Channel) sender { return recorder{s, how.String()} }
		ctx, cancel := context.WithCancel(t.Context())
		s.end = cancel
		go func() { s.ended <- s.Run(ctx) }()
		play(s)
		cancel()
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
		for name, n := range s.open {
			if n != 0 {
				t.Errorf("%s is open %d times too often", name, n)
			}
		}
		if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), strings.Join(append(s.said, ""), "\n")); diff != "" {
			t.Errorf("it went otherwise (-want +got):\n%s", diff)
		}
	})
}

// happens is an event now.
func (s *stage) happens(kind model.EventKind, number byte) {
	s.Tell([]model.Event{eventOf(time.Now(), kind, "web", number)})
}

func mailTo(to string) model.Notice {
	return model.Notice{How: model.ByMail{To: to}, Digest: 10 * time.Second}
}

func execOf(path string) model.Notice { return model.Notice{How: model.ByExec{Path: path}} }

func TestEachNoticeIsToldInItsOwnTime(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Follow([]model.Notice{mailTo("ops"), execOf("/on")})
		for i := range byte(12) {
			s.happens(model.ServerDown, i+1)
		}
		time.Sleep(3 * time.Second)
		s.happens(model.ServerUp, 1)
		time.Sleep(time.Hour)
	}, `
0s exec /on: weir: server 10.0.0.1:80 of web is down
0s exec /on: weir: server 10.0.0.2:80 of web is down
0s exec /on: weir: server 10.0.0.3:80 of web is down
0s exec /on: weir: server 10.0.0.4:80 of web is down
0s exec /on: weir: server 10.0.0.5:80 of web is down
0s exec /on: weir: server 10.0.0.6:80 of web is down
0s exec /on: weir: server 10.0.0.7:80 of web is down
0s exec /on: weir: server 10.0.0.8:80 of web is down
0s exec /on: weir: server 10.0.0.9:80 of web is down
0s exec /on: weir: server 10.0.0.10:80 of web is down
0s exec /on: weir: server 10.0.0.11:80 of web is down
0s exec /on: weir: server 10.0.0.12:80 of web is down
3s exec /on: weir: server 10.0.0.1:80 of web is up again
10s mail to ops: weir: 11 servers down, 1 server up
`)
}

func TestUnchangedNoticesKeepWhatWaits(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Follow([]model.Notice{execOf("/on"), mailTo("ops")})
		s.happens(model.ServerDown, 1)
		time.Sleep(5 * time.Second)
		s.Follow([]model.Notice{mailTo("boss"), mailTo("ops")})
		time.Sleep(time.Second)
		s.happens(model.ServerDown, 2)
		time.Sleep(time.Hour)
	}, `
0s exec /on: weir: server 10.0.0.1:80 of web is down
10s mail to ops: weir: 2 servers down
16s mail to boss: weir: server 10.0.0.2:80 of web is down
`)
}

// TestDeadMailServerIsCorrected: what waits goes the new way, at once.
func TestDeadMailServerIsCorrected(t *testing.T) {
	onStage(t, func(s *stage) {
		s.set(func() { s.fails["mail to ops"] = errors.New("down") })
		s.Follow([]model.Notice{mailTo("ops")})
		s.happens(model.ServerDown, 1)
		time.Sleep(time.Hour)
		s.happens(model.ServerDown, 2)
		count := s.Counts()[0]
		if count.Waiting != 2 || count.Sent != 0 || count.Failed == 0 || count.Dropped != 0 || count.Error != "down" {
			s.t.Errorf("counted %+v", count)
		}
		s.Follow([]model.Notice{mailTo("boss")})
		time.Sleep(time.Minute)
		if count := s.Counts()[0]; count.Waiting != 0 || count.Sent != 1 || count.Error != "" {
			s.t.Errorf("counted %+v", count)
		}
	}, `
1h0m0s mail to boss: weir: 2 servers down
`)
}

// TestHungMailServerIsCorrected: a message that is under way is taken back.
func TestHungMailServerIsCorrected(t *testing.T) {
	onStage(t, func(s *stage) {
		s.set(func() { s.hangs["mail to ops"] = true })
		s.Follow([]model.Notice{mailTo("ops")})
		s.happens(model.ServerDown, 1)
		time.Sleep(time.Minute)
		s.Follow([]model.Notice{mailTo("boss")})
		time.Sleep(time.Minute)
		if count := s.Counts()[0]; count.Sent != 1 || count.Failed != 0 || count.Waiting != 0 {
			s.t.Errorf("counted %+v", count)
		}
	}, `
1m0s mail to boss: weir: server 10.0.0.1:80 of web is down
`)
}

func TestProgramsThatFailAreNotRunAgain(t *testing.T) {
	onStage(t, func(s *stage) {
		s.set(func() { s.fails["exec /on"] = errors.New("exit status 1") })
		s.Follow([]model.Notice{execOf("/on")})
		s.happens(model.ServerDown, 1)
		time.Sleep(time.Second)
		s.set(func() { delete(s.fails, "exec /on") })
		time.Sleep(time.Hour)
		s.happens(model.ServerUp, 1)
		time.Sleep(time.Second)
		if count := s.Counts()[0]; count.Sent != 1 || count.Failed != 1 || count.Dropped != 1 || count.Error != "" {
			s.t.Errorf("counted %+v", count)
		}
	}, `
1h0m1s exec /on: weir: server 10.0.0.1:80 of web is up again
`)
}

func TestWhatIsFinalIsNotTriedAgain(t *testing.T) {
	onStage(t, func(s *stage) {
		s.set(func() { s.fails["mail to ops"] = finalError{errors.New("no")} })
		s.Follow([]model.Notice{mailTo("ops")})
		s.happens(model.ServerDown, 1)
		time.Sleep(time.Hour)
		if count := s.Counts()[0]; count.Sent != 0 || count.Failed != 1 || count.Dropped != 1 || count.Waiting != 0 {
			s.t.Errorf("counted %+v", count)
		}
	}, "")
}

// TestTheEndTellsWhatWaits: nobody waits for a digest then.
func TestTheEndTellsWhatWaits(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Follow([]model.Notice{mailTo("ops"), mailTo("boss")})
		s.happens(model.ServerDown, 1)
		s.happens(model.ServerDown, 2)
		synctest.Wait()
		s.Follow([]model.Notice{mailTo("ops")}) // and so does the end of a notice
		time.Sleep(time.Second)
		s.end()
		time.Sleep(time.Second)
	}, `
0s mail to boss: weir: 2 servers down
1s mail to ops: weir: 2 servers down
`)
}

// TestTheEndWaitsForNobody: neither for who hangs, nor for who fails.
func TestTheEndWaitsForNobody(t *testing.T) {
	onStage(t, func(s *stage) {
		s.set(func() { s.hangs["mail to ops"], s.fails["mail to boss"] = true, errors.New("down") })
		s.Follow([]model.Notice{mailTo("ops"), mailTo("boss")})
		s.happens(model.ServerDown, 1)
		time.Sleep(time.Minute)
		at := time.Now()
		s.end()
		err := <-s.ended
		if took := time.Since(at); err != nil || took > grace {
			s.t.Errorf("it took %s, and returned %v", took, err)
		}
		s.ended <- nil // onStage waits as well
	}, "")
}

// TestTellingTakesNoTime: whoever finds out does not wait for who tells.
func TestTellingTakesNoTime(t *testing.T) {
	onStage(t, func(s *stage) {
		s.set(func() { s.hangs["mail to ops"] = true })
		s.Follow([]model.Notice{mailTo("ops")})
		s.happens(model.ServerDown, 1)
		time.Sleep(time.Minute)
		before := time.Now()
		for i := range 2 * spool {
			s.happens(model.ServerDown, byte(1+i%200))
		}
		if took := time.Since(before); took != 0 {
			s.t.Errorf("it took %s", took)
		}
		if count := s.Counts()[0]; count.Waiting != spool || count.Dropped != spool+1 {
			s.t.Errorf("counted %+v", count)
		}
		s.set(func() { s.hangs["mail to ops"] = false })
		s.Follow([]model.Notice{mailTo("boss")}) // the one under way goes back, and another one goes
		time.Sleep(time.Second)
		if count := s.Counts()[0]; count.Waiting != 0 || count.Sent != 1 {
			s.t.Errorf("counted %+v", count)
		}
	}, `
1m0s mail to boss: weir: 200 servers down
`)
}

func TestWhatIsGoneIsNotRepeated(t *testing.T) {
	onStage(t, func(s *stage) {
		notice := mailTo("ops")
		notice.Repeat = time.Hour
		s.Follow([]model.Notice{notice})
		s.happens(model.ServerDown, 1)
		time.Sleep(90 * time.Minute)
		s.Known([]model.Service{{Name: "web", Servers: []model.Server{{Key: eventOf(s.start, "", "web", 2).Server}}}}, nil, nil)
		time.Sleep(24 * time.Hour)
	}, `
10s mail to ops: weir: server 10.0.0.1:80 of web is down
1h0m0s mail to ops: weir: still down: server 10.0.0.1:80 of web, for 1h
`)
}

// TestACertificateThatNobodyLooksAtIsNotRepeated: nobody would ever say that it was renewed.
func TestACertificateThatNobodyLooksAtIsNotRepeated(t *testing.T) {
	onStage(t, func(s *stage) {
		notice := mailTo("ops")
		notice.Repeat = time.Hour
		s.Follow([]model.Notice{notice})
		s.happens(model.CertificateEnds, 1)
		server := model.Server{Key: eventOf(s.start, "", "web", 1).Server}
		server.Checks.Of = []model.Check{{Ask: model.AskTLS{TLS: model.TLS{Expiry: time.Hour}}}}
		s.Known([]model.Service{{Name: "web", Servers: []model.Server{server}}}, nil, nil)
		time.Sleep(90 * time.Minute)
		s.Known([]model.Service{{Name: "web", Servers: []model.Server{{Key: server.Key}}}}, nil, nil)
		time.Sleep(24 * time.Hour)
	}, `
10s mail to ops: weir: server 10.0.0.1:80 of web has to renew its certificate
1h0m0s mail to ops: weir: still to renew its certificate: server 10.0.0.1:80 of web, for 1h
`)
}

func TestTestsSayThatTheyAre(t *testing.T) {
	onStage(t, func(s *stage) {
		notice := mailTo("ops")
		notice.Kinds = []model.EventKind{model.ServiceUp}
		if err := s.Test(s.t.Context(), notice); err != nil {
			s.t.Error(err)
		}
		s.set(func() { s.fails["mail to ops"] = errors.New("down") })
		if err := s.Test(s.t.Context(), notice); err == nil || err.Error() != "down" {
			s.t.Errorf("got %v", err)
		}
	}, `
0s mail to ops: weir: test: server 192.0.2.1:80 of test is down: weir tries whether this message arrives
`)
}

// TestTestsSayOnOneLineWhyNot: what servers and programs say goes to a terminal.
func TestTestsSayOnOneLineWhyNot(t *testing.T) {
	onStage(t, func(s *stage) {
		for _, c := range []struct {
			fails error
			want  string
		}{
			{errors.New("550 no\x1b[2J\n550 never"), "550 no [2J 550 never"},
			{&program.Failure{Err: errors.New("/on: exit status 1"), Output: "no such\nuser"}, "/on: exit status 1: no such user"},
			{&program.Failure{Err: errors.New("/on: exit status 1")}, "/on: exit status 1"},
		} {
			s.set(func() { s.fails["exec /on"] = c.fails })
			if err := s.Test(s.t.Context(), execOf("/on")); err == nil || err.Error() != c.want {
				s.t.Errorf("got %v, want %s", err, c.want)
			}
		}
		s.Follow([]model.Notice{execOf("/on")})
		s.set(func() { s.fails["exec /on"] = errors.New("550 no\n550 never") })
		s.happens(model.ServerDown, 1)
		time.Sleep(time.Second)
		if count := s.Counts()[0]; count.Error != "550 no 550 never" {
			s.t.Errorf("counted %+v", count)
		}
	}, "")
}

// TestTestsEnd where the channel does not, or when whoever asked has gone; and they count for nothing.
func TestTestsEnd(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Follow([]model.Notice{mailTo("ops")})
		s.set(func() { s.hangs["mail to ops"] = true })
		begun := time.Now()
		if err := s.Test(s.t.Context(), mailTo("ops")); err == nil || err.Error() != "no end after 30s" || time.Since(begun) != testPatience {
			s.t.Errorf("after %s: %v", time.Since(begun), err)
		}
		asker, leave := context.WithTimeout(s.t.Context(), time.Second)
		defer leave()
		begun = time.Now()
		if err := s.Test(asker, mailTo("ops")); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			s.t.Errorf("after %s: %v", time.Since(begun), err)
		}
		if count := s.Counts()[0]; count.Sent != 0 || count.Failed != 0 || count.Error != "" {
			s.t.Errorf("counted %+v", count)
		}
	}, "")
}

// TestMailSurvivesAServerThatIsDown goes through the real thing: the server turns clients away, then hangs, then
// works, and has every event.
func TestMailSurvivesAServerThatIsDown(t *testing.T) {
	server := startMailServer(t, func(s *mailServer) { s.down = true })
	n := New(slog.New(slog.DiscardHandler))
	notice := model.Notice{How: server.how(), Digest: 10 * time.Millisecond}
	running(t, n)
	n.Follow([]model.Notice{notice})
	n.Tell([]model.Event{eventOf(time.Now(), model.ServerDown, "web", 1)})
	mustBecome(t, func() bool { return n.Counts()[0].Failed > 0 })
	n.Tell([]model.Event{eventOf(time.Now(), model.ServerDown, "web", 2)})
	server.set(func(s *mailServer) { s.down = false })
	mustBecome(t, func() bool { return len(server.received()) > 0 })
	mails := server.received()
	if got := mails[0].text; !strings.Contains(got, "Subject: weir: 2 servers down") {
		t.Errorf("it got\n%s", got)
	}
	mustBecome(t, func() bool { return n.Counts()[0].Sent == 1 })
	if c := n.Counts()[0]; c.Dropped != 0 || c.Waiting != 0 || c.Error != "" {
		t.Errorf("counted %+v", c)
	}
}

// TestWebhookIsTriedAgain goes through the real thing, too.
func TestWebhookIsTriedAgain(t *testing.T) {
	h := startHook(t, 503, 200, 400)
	n := New(slog.New(slog.DiscardHandler))
	running(t, n)
	n.Follow([]model.Notice{{How: model.ByWebhook{URL: h.URL}, Digest: 10 * time.Millisecond}})
	n.Tell([]model.Event{eventOf(time.Now(), model.ServerDown, "web", 1)})
	mustBecome(t, func() bool { return n.Counts()[0].Sent == 1 })
	n.Tell([]model.Event{eventOf(time.Now(), model.ServerUp, "web", 1)})
	mustBecome(t, func() bool { return n.Counts()[0].Dropped == 1 })
	got := h.received()
	if len(got) != 3 || got[0].body != got[1].body || !strings.Contains(got[2].body, "server_up") {
		t.Errorf("it got %d requests: %+v", len(got), got)
	}
	if c := n.Counts()[0]; c.Failed != 2 || c.Waiting != 0 || !strings.Contains(c.Error, "400") {
		t.Errorf("counted %+v", c)
	}
}

func running(t *testing.T, n *Notifier) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
