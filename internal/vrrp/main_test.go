// SPDX-License-Identifier: Apache-2.0

package vrrp_test

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
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/vrrp"
)

// asDirector makes the test's binary a Runner with the virtual routers that it names. A process of its own can be in
// a namespace with all of its threads, and be killed.
const asDirector = "WEIR_TEST_VRRP"

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

// direct runs until SIGTERM. It lets go of addresses when it is told to by a line, or by the end of lines.
func direct(wants string) error {
	runner := vrrp.NewRunner(func(string, time.Duration) error { return nil }, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := follow(runner, wants); err != nil {
		return err
	}
	out := &printer{to: os.Stdout}
	go obey(runner, out)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return runner.Run(ctx, func(c vrrp.Change) { out.print(told{Change: c}) })
}

func follow(runner *vrrp.Runner, text string) error {
	var wants []model.VRRPWant
	if err := json.Unmarshal([]byte(text), &wants); err != nil {
		return err
	}
	runner.Follow(wants)
	return nil
}

func obey(runner *vrrp.Runner, out *printer) {
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
		line := told{Counts: runner.Counts()}
		if err != nil {
			line.Err = err.Error()
		}
		out.print(line)
	}
}
