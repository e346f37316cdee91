// SPDX-License-Identifier: Apache-2.0

// Package program runs programs of administrators: only those that nobody else could have changed, without a shell,
// without anything of weir's own environment and capabilities, as a user of their own, and to the end of their time
// at most. What they are told and what it means that they failed is for who runs them. Read this file, then
// identity.go.
package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/trust"
)

const (
	// MostOutput is what is kept of what a program says, in bytes.
	MostOutput = 4096
	// SearchPath is what cron has, and more: programs of administrators need /usr/sbin.
	SearchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// leftOpen is how long its output may stay open behind its end, by what it started.
	leftOpen = time.Second
)

// Program is one that may be run again and again.
type Program struct {
	Path string
	Args []string
	Env  []string // all that it has, besides SearchPath
	User string   // who it runs as; "": as weir does
}

// Failure is how a program failed that was run, and what it said.
type Failure struct {
	Err    error // an *exec.ExitError; or why its time was over, and then it was killed
	Output string
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Usable looks whether the program could be run now.
func (p Program) Usable() error {
	_, err := p.as()
	return err
}

// as is who it would run as, if it may be run.
func (p Program) as() (identity, error) {
	as, err := identityOf(p.User)
	if err != nil {
		return as, err
	}
	return as, trust.Executable(p.Path, as.uid)
}

// Run looks at the program each time: somebody may have changed whose it is. What is wrong with the program that was
// run is a Failure, all else kept it from being run.
func (p Program) Run(ctx context.Context) error {
	as, err := p.as()
	if err != nil {
		return err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := p.command(ctx, as, in)
	err = start(cmd)
	_ = in.Close() // the program has its own
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Path, err)
	}
	said := listen(out)
	err = cmd.Wait()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	output := said.end(ctx, cmd)
	if err != nil {
		return &Failure{err, output}
	}
	return nil
}

func (p Program) command(ctx context.Context, as identity, in *os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{SearchPath}, p.Env...)
	cmd.Stdout, cmd.Stderr = in, in // and nothing to read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as.credential}
	cmd.Cancel = func() error { return killGroup(cmd) }
	return cmd
}

// killGroup kills what the program started, too.
func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

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

// output is being read.
type output struct {
	from *os.File
	text []byte
	all  chan struct{} // closed when nobody can say any more
}

// listen keeps the beginning of what is said. The rest is read and forgotten, so that a program which says much does
// not wait for anybody.
func listen(from *os.File) *output {
	o := &output{from: from, all: make(chan struct{})}
	go func() {
		defer close(o.all)
		_, _ = io.Copy(o, from)
	}()
	return o
}

// Write lets others go first, who would wait for a program that says much: its next words are always there.
func (o *output) Write(p []byte) (int, error) {
	runtime.Gosched()
	o.text = append(o.text, p[:min(len(p), MostOutput-len(o.text))]...)
	return len(p), nil
}

// end is for a program that has ended. What it leaves behind that still holds its output goes with it. What has let
// go of that is a daemon in its own right.
func (o *output) end(ctx context.Context, cmd *exec.Cmd) string {
	late := time.NewTimer(leftOpen)
	defer late.Stop()
	select {
	case <-o.all:
	case <-late.C:
	case <-ctx.Done():
	}
	select {
	case <-o.all:
	default:
		_ = killGroup(cmd) // it may be another group's
		_ = o.from.SetReadDeadline(time.Now())
		<-o.all
	}
	return strings.TrimSpace(string(o.text))
}
