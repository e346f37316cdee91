// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

var web = model.CheckKey{
	Target: netip.MustParseAddrPort("192.0.2.11:80"),
	Check:  model.Check{Ask: model.AskTCP{}, Interval: time.Second, Fast: 600 * time.Millisecond, Timeout: 900 * time.Millisecond, Rise: 2, Fall: 3},
}

// asked is a server in fake time.
type asked struct {
	at     []time.Duration // since the beginning: when it was asked
	began  time.Time
	answer func(ctx context.Context) error
}

func (a *asked) probe(ctx context.Context, _ netip.AddrPort) (model.Advice, error) {
	a.at = append(a.at, time.Since(a.began))
	return model.Advice{}, a.answer(ctx)
}

// runs lets a checker run in fake time for so long, and returns its verdicts with their times.
func runs(t *testing.T, key model.CheckKey, answer func(context.Context) error, long time.Duration) (*asked, []model.Health, time.Time) {
	t.Helper()
	a := &asked{began: time.Now(), answer: answer}
	c := &checker{log: slog.New(slog.DiscardHandler), key: key, ask: a.probe, machine: machine{check: key.Check}}
	verdicts := make(chan verdict, 100)
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	c.run(ctx, 0, verdicts)
	close(verdicts)
	var out []model.Health
	for v := range verdicts {
		out = append(out, v.health)
	}
	return a, out, a.began
}

// TestItIsAskedAtItsInterval: the time that answers take does not add to it, and no two are in step.
func TestItIsAskedAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error { time.Sleep(700 * time.Millisecond); return nil }
		a, verdicts, _ := runs(t, web, slow, 100*time.Second)
		if n := len(a.at); n < 100 || n > 101 {
			t.Errorf("asked %d times in 100 s", n)
		}
		inStep := 0
		for i := 1; i < len(a.at); i++ {
			gap := a.at[i] - a.at[i-1]
			if gap < 979*time.Millisecond || gap > 1021*time.Millisecond {
				t.Errorf("asked again after %s", gap)
			}
			if gap == time.Second {
				inStep++
			}
		}
		if inStep > 10 {
			t.Errorf("%d of %d intervals are exact", inStep, len(a.at))
		}
		if len(verdicts) != 1 || verdicts[0].State != model.HealthUp {
			t.Errorf("verdicts %+v", verdicts)
		}
	})
}

// TestSilenceIsTimed: what never answers is asked again when the time is over, and is down after the third time.
func TestSilenceIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking := 0
		silent := func(ctx context.Context) error {
			if asking++; asking > 1 {
				t.Error("two questions at a time")
			}
			<-ctx.Done()
			asking--
			return plainly(ctx.Err())
		}
		_, verdicts, began := runs(t, web, silent, 20*time.Second)
		if len(verdicts) != 1 || verdicts[0].State != model.HealthDown || verdicts[0].Reason != "no answer within 900ms, 3 of 3" {
			t.Fatalf("verdicts %+v", verdicts)
		}
		if after := verdicts[0].Since.Sub(began); after != 2700*time.Millisecond {
			t.Errorf("down after %s", after)
		}
	})
}

// TestDoubtIsSettledFast: one bad answer brings the next questions sooner.
func TestDoubtIsSettledFast(t *testing.T) {
	for _, fast := range []time.Duration{100 * time.Millisecond, 600 * time.Millisecond} {
		settled(t, fast)
	}
}

func settled(t *testing.T, fast time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		key := web
		key.Check.Fast = fast
		begin := time.Now()
		dies := func(context.Context) error {
			if time.Since(begin) > 10*time.Second {
				return errors.New("connect: connection refused")
			}
			return nil
		}
		_, verdicts, _ := runs(t, key, dies, 20*time.Second)
		if len(verdicts) != 2 || verdicts[1].Reason != "connect: connection refused, 3 of 3" {
			t.Fatalf("verdicts %+v", verdicts)
		}
		if after := verdicts[1].Since.Sub(begin) - 10*time.Second; after < 2*fast*98/100-20*time.Millisecond || after > time.Second+2*fast {
			t.Errorf("with %s it is down after %s", fast, after)
		}
	})
}

// TestWhoCannotAskLeavesTheVerdict: that the director has no descriptor left says nothing about a server. But it is
// told, once.
func TestWhoCannotAskLeavesTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, own := range []error{unix.EMFILE, unix.ENOBUFS, unix.EADDRNOTAVAIL, unix.EADDRINUSE, unix.EAGAIN, unix.EINVAL, ownFault{errors.New("ca: no such file")}} {
			cannot := func(context.Context) error { return fmt.Errorf("connect: %w", own) }
			want := []model.Health{{Unable: cannot(nil).Error()}}
			if a, verdicts, _ := runs(t, web, cannot, 20*time.Second); !slices.Equal(verdicts, want) || len(a.at) < 20 {
				t.Errorf("%v: asked %d times, verdicts %+v", own, len(a.at), verdicts)
			}
		}
	})
}

// TestACheckThatEndsSaysNothing: the question that was under way has no answer.
func TestACheckThatEndsSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := web
		key.Check.Fall = 1
		silent := func(ctx context.Context) error { <-ctx.Done(); return plainly(ctx.Err()) }
		if _, verdicts, _ := runs(t, key, silent, 500*time.Millisecond); len(verdicts) != 0 {
			t.Errorf("verdicts %+v", verdicts)
		}
	})
}

// TestChecksBeginApart, within an interval, and stay so.
func TestChecksBeginApart(t *testing.T) {
	for _, test := range []struct {
		count int
		want  time.Duration
	}{{1, time.Millisecond}, {10, time.Millisecond}, {1000, time.Millisecond}, {10_000, 100 * time.Microsecond}} {
		if got := apart(time.Second, test.count); got != test.want {
			t.Errorf("%d checks begin %s apart, want %s", test.count, got, test.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		buckets := map[time.Duration]int{} // 100 ms each
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for i := range 1000 {
			probe := func(context.Context, netip.AddrPort) error {
				mu.Lock()
				defer mu.Unlock()
				buckets[time.Since(began)/(100*time.Millisecond)]++
				return nil
			}
			c := &checker{log: slog.New(slog.DiscardHandler), key: web, ask: tacit(probe), machine: machine{check: web.Check}}
			verdicts := make(chan verdict, 10)
			all.Go(func() { c.run(ctx, time.Duration(i)*apart(time.Second, 1000), verdicts) })
		}
		all.Wait()
		for bucket := time.Duration(0); bucket < 99; bucket++ { // fault 32: within 20 %
			if n := buckets[bucket]; n < 80 || n > 120 {
				t.Errorf("%d questions in the %d. tenth of a second", n, bucket)
			}
		}
	})
}
