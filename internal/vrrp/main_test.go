// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/vrrp"
)

// asDirector makes the test's binary a Runner with the virtual routers that it names. A process of its own can be in
// a namespace with all of its threads, and be killed.
const asDirector = "WEIR_TEST_VRRP"

// asResumed says whether the lease of an earlier one holds, who was master of front: "true" or "false".
const asResumed = "WEIR_TEST_VRRP_RESUMED"

func TestMain(m *testing.M) {
	if wants := os.Getenv(asDirector); wants != "" {
		if err := direct(wants); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// told is a line that a director prints.
type told struct {
	Change vrrp.Change
	Counts map[string]vrrp.Counts
	Leases map[string]time.Time // until when, of those that hold
	Err    string
}

type printer struct {
	mu sync.Mutex
	to io.Writer
}

func (p *printer) print(line told) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = json.NewEncoder(p.to).Encode(line)
}

// leases are those that virtual routers have asked for.
type leases struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (l *leases) renew(name string, holds time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until[name] = time.Now().Add(holds)
	return nil
}

func (l *leases) held() map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := maps.Clone(l.until)
	maps.DeleteFunc(out, func(_ string, until time.Time) bool { return !until.After(time.Now()) })
	return out
}

// direct runs until SIGTERM. It lets go of addresses when it is told to by a line, or by the end of lines.
func direct(wants string) error {
	held := &leases{until: map[string]time.Time{}}
	runner := vrrp.NewRunner(held.renew, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := follow(runner, wants); err != nil {
		return err
	}
	if leased, resumes := os.LookupEnv(asResumed); resumes {
		runner.Resume([]string{"front"}, func(netip.Addr) (bool, error) { return leased == "true", nil })
	}
	out := &printer{to: os.Stdout}
	go obey(runner, held, out)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return runner.Run(ctx, func(c vrrp.Change) { out.print(told{Change: c}) })
}

func follow(runner *vrrp.Runner, text string) error {
	var wants []vrrp.Want
	if err := json.Unmarshal([]byte(text), &wants); err != nil {
		return err
	}
	for i := range wants {
		if file := wants[i].Auth.KeyFile; file != "" {
			var err error
			if wants[i].Keys, err = vrrp.LoadKeys(file); err != nil {
				return err
			}
		}
	}
	runner.Follow(wants)
	return nil
}

func obey(runner *vrrp.Runner, held *leases, out *printer) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch word {
		case "follow":
			err = follow(runner, rest)
		case "stepdown":
			err = runner.StepDown(rest)
		case "released":
			runner.Released(rest)
		}
		line := told{Counts: runner.Counts(), Leases: held.held()}
		if err != nil {
			line.Err = err.Error()
		}
		out.print(line)
	}
}
