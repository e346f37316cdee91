// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/trust"
)

const (
	// mostOutput is what is kept of what a program says, in bytes.
	mostOutput = 4096
	// leftOpen is how long its output may stay open behind its end, by what it started.
	leftOpen = time.Second
	// searchPath is what cron has, and more: programs of administrators need /usr/sbin.
	searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// script runs a program for each event. No shell is between, and nothing of weir's own environment goes along.
//
// keepalived appends what happened to the arguments of a notify script, and so does this: kind, service and server.
// Its notify_up and notify_down are kinds here, and without more words a script that knows no arguments is right
// for one of them.
type script struct{ how model.ByExec }

// open looks whether the program could be run now.
func (s script) open() error {
	as, err := identityOf(s.how.User)
	if err != nil {
		return err
	}
	return trust.Executable(s.how.Path, as.uid)
}

func (script) close() {}

// send returns the first of several errors: the others are mostly the same.
func (s script) send(ctx context.Context, m message) error {
	var first error
	for _, e := range m.events {
		if err := s.run(ctx, m, e); first == nil {
			first = err
		}
	}
	return first
}

// scriptError is how a program failed, and what it said.
type scriptError struct {
	err    error
	output string
}

func (e *scriptError) Error() string { return e.err.Error() }
func (e *scriptError) Unwrap() error { return e.err }

// run looks at the program each time: somebody may have changed whose it is.
func (s script) run(ctx context.Context, m message, e model.Event) error {
	as, err := identityOf(s.how.User)
	if err != nil {
		return err
	}
	if err := trust.Executable(s.how.Path, as.uid); err != nil {
		return err
	}
	own, cancel := context.WithTimeout(ctx, s.how.Timeout)
	defer cancel()
	said := &head{}
	cmd := s.command(own, as, said, m, e)
	if err := start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", s.how.Path, err)
	}
	if err := s.verdict(own, cmd, cmd.Wait()); err != nil {
		return &scriptError{err, strings.TrimSpace(string(said.text))}
	}
	return nil
}

func (s script) command(ctx context.Context, as identity, said *head, m message, e model.Event) *exec.Cmd {
	args := append(s.how.Arguments(), string(e.Kind), e.Service, serverOf(e))
	cmd := exec.CommandContext(ctx, s.how.Path, args...)
	cmd.Dir = "/"
	cmd.Env = environment(m, e)
	cmd.Stdout, cmd.Stderr = said, said // and nothing to read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as.credential}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = leftOpen
	return cmd
}

// killGroup kills what the program started, too.
func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// verdict: what a program leaves behind that still holds its output goes with it. What has let go of that is a
// daemon in its own right.
func (s script) verdict(ctx context.Context, cmd *exec.Cmd, err error) error {
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		killGroup(cmd)
		return nil
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: no end after %s: it was killed", s.how.Path, s.how.Timeout)
	}
	return fmt.Errorf("%s: %w", s.how.Path, err)
}

// start lets the program have no capabilities but those of its user. systemd gave weir its own as ambient ones, which
// children inherit. They belong to a thread, so one is spent: without an unlock it ends with its goroutine.
func start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
			started <- fmt.Errorf("let go of capabilities: %w", err)
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}

// environment says all that is known. A variable is there even where it is empty; those of flags are 1 or not there.
func environment(m message, e model.Event) []string {
	out := []string{
		searchPath,
		"WEIR_KIND=" + string(e.Kind),
		"WEIR_SERVICE=" + e.Service,
		"WEIR_ADDRESS=" + e.ServiceKey.Where(),
		"WEIR_PROTOCOL=" + e.ServiceKey.Protocol.String(),
		"WEIR_SERVER=" + serverOf(e),
		"WEIR_REASON=" + oneLine(e.Reason),
		"WEIR_SEVERITY=" + e.Severity().String(),
		"WEIR_TIME=" + e.Time.Format(time.RFC3339),
		"WEIR_SINCE=" + timeOrNothing(e.Since),
		"WEIR_LOST=" + strconv.Itoa(m.lost),
	}
	if m.repeat {
		out = append(out, "WEIR_REPEAT=1")
	}
	if m.test {
		out = append(out, "WEIR_TEST=1")
	}
	return out
}

func timeOrNothing(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// serverOf is empty where an event is about a service.
func serverOf(e model.Event) string {
	if e.Server == (model.ServerKey{}) {
		return ""
	}
	return e.Server.String()
}

// head keeps the beginning of what is written to it. The rest is read and forgotten, so that a program which says
// much does not wait for anybody.
type head struct{ text []byte }

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), mostOutput-len(h.text))]...)
	return len(p), nil
}
