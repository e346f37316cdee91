// SPDX-License-Identifier: Apache-2.0

package bfd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/model"
)

// asWatcher makes the test's binary a Runner with the sessions that it names. A process of its own can be in a namespace
// with all of its threads, and be killed.
const asWatcher = "WEIR_TEST_BFD"

func TestMain(m *testing.M) {
	if wants := os.Getenv(asWatcher); wants != "" {
		if err := watch(wants); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// told is a line that a watcher prints.
type told struct {
	Change    bfd.Change
	Counts    map[string]bfd.Counts
	Strangers map[bfd.Reason]uint64
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

// watch runs until SIGTERM. A line of its input is "counts", or "follow" and another list.
func watch(wants string) error {
	runner := bfd.NewRunner(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := follow(runner, wants); err != nil {
		return err
	}
	out := &printer{to: os.Stdout}
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if _, list, ok := strings.Cut(lines.Text(), "follow "); ok {
				_ = follow(runner, list)
			}
			counts, strangers := runner.Counts()
			out.print(told{Counts: counts, Strangers: strangers})
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return runner.Run(ctx, func(c bfd.Change) { out.print(told{Change: c}) })
}

func follow(runner *bfd.Runner, text string) error {
	var wants []model.BFDWant
	if err := json.Unmarshal([]byte(text), &wants); err != nil {
		return err
	}
	runner.Follow(wants)
	return nil
}
