// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/weir-lb/weir/internal/model"
)

const (
	// beat is how often the owner is asked how it does. The answer costs it nothing.
	beat = 250 * time.Millisecond
	// startPatience is what systemd waits for the next sign of life of a daemon that is not ready: one
	// that cannot apply its first revision yet is at work, one that hangs is not.
	startPatience = 10 * time.Second
)

// systemd is told how the daemon does (sd_notify(3)). The nil one is for daemons that it did not start.
type systemd struct {
	notify   func(state string) error
	watchdog time.Duration // after so long a silence it kills; 0: never
	log      *slog.Logger

	ready atomic.Bool // the first revision is applied
	// The rest belongs to Run's goroutine.
	status string
	pinged time.Time
}

// newSystemd is nil unless systemd wants to hear of this process.
func newSystemd(log *slog.Logger) (*systemd, error) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil, nil
	}
	watchdog, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("watchdog of systemd: %w", err)
	}
	notify := func(state string) error {
		_, err := sd.SdNotify(false, state)
		return err
	}
	return &systemd{notify: notify, watchdog: watchdog, log: log}, nil
}

// pulse is the owner's sign of life.
type pulse struct {
	revision uint64 // the newest one that is wanted
	applied  model.Applied
}

// Run tells systemd how the owner does, for as long as the owner says so: when it hangs, nothing is
// said, and the watchdog ends the daemon.
func (s *systemd) Run(ctx context.Context, owner chan<- chan<- pulse) error {
	if s == nil {
		return nil
	}
	tick := time.NewTicker(s.interval())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.say(sd.SdNotifyStopping)
			return nil
		case <-tick.C:
		}
		if p, alive := feel(ctx, owner); alive {
			s.tell(p, time.Now())
		}
	}
}

// feel waits for the owner, however long that takes.
func feel(ctx context.Context, owner chan<- chan<- pulse) (p pulse, alive bool) {
	answer := make(chan pulse, 1)
	select {
	case <-ctx.Done():
		return pulse{}, false
	case owner <- answer:
		return <-answer, true
	}
}

func (s *systemd) interval() time.Duration {
	if s.watchdog == 0 {
		return beat
	}
	return min(beat, s.watchdog/4)
}

// tell says what changed, and pings in good time.
func (s *systemd) tell(p pulse, now time.Time) {
	var lines []string
	if !s.ready.Load() && p.applied.Revision > 0 {
		s.ready.Store(true)
		lines = append(lines, sd.SdNotifyReady)
	}
	if status := p.String(); status != s.status {
		s.status = status
		lines = append(lines, "STATUS="+status)
	}
	if now.Sub(s.pinged) >= s.every() {
		s.pinged = now
		lines = append(lines, s.ping()...)
	}
	if len(lines) > 0 {
		s.say(lines...)
	}
}

func (s *systemd) every() time.Duration {
	if s.watchdog == 0 {
		return startPatience / 4
	}
	return min(s.watchdog, startPatience) / 4
}

// ping holds off the watchdog, and before that the end of systemd's patience with a start.
func (s *systemd) ping() []string {
	var lines []string
	if !s.ready.Load() {
		lines = append(lines, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", startPatience.Microseconds()))
	}
	if s.watchdog > 0 {
		lines = append(lines, sd.SdNotifyWatchdog)
	}
	return lines
}

// reloading is said at once; the function that it returns says that it is over.
func (s *systemd) reloading() (done func()) {
	if s == nil || !s.ready.Load() { // a start that is under way goes on
		return func() {}
	}
	s.say(sd.SdNotifyReloading, strings.TrimSpace(sd.SdNotifyMonotonicUsec()))
	return func() { s.say(sd.SdNotifyReady) }
}

func (s *systemd) say(lines ...string) {
	if err := s.notify(strings.Join(lines, "\n")); err != nil {
		s.log.Debug("systemd does not hear", "err", err)
	}
}

// String is the line that `systemctl status` shows.
func (p pulse) String() string {
	state := fmt.Sprintf("revision %d is applied", p.revision)
	if p.applied.Revision != p.revision {
		state = fmt.Sprintf("revision %d is not applied yet", p.revision)
	}
	for _, why := range []string{p.applied.Dataplane, p.applied.Address} {
		if why != "" {
			state += "; " + strings.ReplaceAll(why, "\n", "; ")
		}
	}
	return state
}
