// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// listen is a server whose kernel accepts connections.
func listen(t *testing.T) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, netip.MustParseAddrPort(l.Addr().String())
}

func tcpOf(to netip.AddrPort) model.CheckKey {
	return model.CheckKey{Target: to, Check: model.Check{Ask: model.AskTCP{}, Interval: 20 * time.Millisecond, Timeout: 10 * time.Second, Rise: 1, Fall: 2}}
}

// monitored is a monitor at work, and what it said last.
type monitored struct {
	*Monitor
	t    *testing.T
	says chan map[model.CheckKey]model.Health
}

func monitor(t *testing.T, memory Memory) monitored {
	m := monitored{NewMonitor(memory, slog.New(slog.DiscardHandler)), t, make(chan map[model.CheckKey]model.Health)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- m.Run(ctx, func(known map[model.CheckKey]model.Health) {
			select {
			case m.says <- known:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return m
}

// until waits for what it shall say.
func (m monitored) until(what string, good func(map[model.CheckKey]model.Health) bool) map[model.CheckKey]model.Health {
	m.t.Helper()
	patience := time.After(20 * time.Second)
	for {
		select {
		case known := <-m.says:
			if good(known) {
				return known
			}
		case <-patience:
			m.t.Fatalf("it never says that %s", what)
		}
	}
}

func TestServersAreFollowed(t *testing.T) {
	l, to := listen(t)
	m := monitor(t, nil)
	key := tcpOf(to)
	m.Follow([]model.CheckKey{key})
	m.until("the server is up", func(k map[model.CheckKey]model.Health) bool { return k[key].State == model.HealthUp })
	l.Close()
	known := m.until("it is down", func(k map[model.CheckKey]model.Health) bool { return k[key].State == model.HealthDown })
	if want := "connect: connection refused, 2 of 2"; known[key].Reason != want {
		t.Errorf("%s, want %s", known[key].Reason, want)
	}
	_, other := listen(t)
	m.Follow([]model.CheckKey{tcpOf(other)})
	m.until("only the other one is known", func(k map[model.CheckKey]model.Health) bool {
		return len(k) == 1 && k[tcpOf(other)].State == model.HealthUp
	})
}

// TestVerdictsOutliveTheProcess: who starts knows what the one before knew, but only of the time before.
func TestVerdictsOutliveTheProcess(t *testing.T) {
	_, to := listen(t)
	key := tcpOf(to)
	key.Check.Rise = 1000 // nothing changes while the test looks
	down := model.Health{State: model.HealthDown, Since: noon, Reason: "http 503, 3 of 3", Latest: "connect: connection refused"}
	path := filepath.Join(t.TempDir(), "health.json")
	if memory, err := Recall(path); err != nil || memory.of(key) != (model.Health{}) {
		t.Errorf("without a file: %v, %v", memory, err)
	}
	advised := model.Health{State: model.HealthUp, Since: noon, Advice: model.Advice{Given: true, Percent: true, Weight: 0, Says: "agent says drain", Ends: noon.Add(time.Hour)}}
	other := key
	other.Check.Rise++
	if err := Remember(path, map[model.CheckKey]model.Health{key: down, other: advised}); err != nil {
		t.Fatal(err)
	}
	memory, err := Recall(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := memory.of(other); !got.Since.Equal(noon) || got.Advice != advised.Advice {
		t.Errorf("it remembers %+v", got)
	}
	other = key
	other.Check.Fall++
	if memory.of(other) != (model.Health{}) {
		t.Error("another check is taken for this one")
	}
	m := monitor(t, memory)
	m.Follow([]model.CheckKey{key})
	known := m.until("it knows from before", func(k map[model.CheckKey]model.Health) bool { return k[key].State == model.HealthDown })
	if !known[key].Since.Equal(noon) || known[key].Reason != down.Reason || known[key].Latest != down.Latest {
		t.Errorf("%+v", known[key])
	}
	m.Follow(nil)
	m.until("nothing is known", func(k map[model.CheckKey]model.Health) bool { return len(k) == 0 })
	m.Follow([]model.CheckKey{key})
	m.until("it begins anew", func(k map[model.CheckKey]model.Health) bool { return k[key].State == model.HealthUp })
}

// TestVerdictsOfOneMomentAreToldTogether: who comes while others come is waited for, but not for ever.
func TestVerdictsOfOneMomentAreToldTogether(t *testing.T) {
	var b burst
	for _, tt := range []struct{ after, wait time.Duration }{
		{0, quiet},
		{quiet - 1, quiet + each},
		{longest - quiet, quiet},
		{longest - quiet/2, quiet / 2},
		{longest, 0},
	} {
		if wait := b.wait(noon.Add(tt.after)); wait != tt.wait {
			t.Errorf("%v after the first one: %v more, want %v", tt.after, wait, tt.wait)
		}
	}
	b = burst{}
	for range 50 {
		b.wait(noon)
	}
	if wait := b.wait(noon); wait != most {
		t.Errorf("after many: %v more, want %v", wait, most)
	}
}
