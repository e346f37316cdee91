// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spawner is the one thread that starts processes. Children die with the thread that started them
// (Pdeathsig), however the lab ends; a thread of Go's pool may end at any time, this one does not.
type spawner struct {
	starts chan func()
	quit   chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{starts: make(chan func()), quit: make(chan struct{})}
	go s.run()
	return s
}

// run takes a thread for good: one that gave something up is nobody else's. It is never the first
// one, by which /proc and others know the whole process.
func (s *spawner) run() {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		s.serve()
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run()
	}()
	<-ended
	runtime.UnlockOSThread()
}

func (s *spawner) serve() {
	for {
		select {
		case start := <-s.starts:
			start()
		case <-s.quit:
			return
		}
	}
}

func (s *spawner) do(fn func() error) error {
	result := make(chan error, 1)
	select {
	case s.starts <- func() { result <- fn() }:
		return <-result
	case <-s.quit:
		return errClosed
	}
}

func (s *spawner) close() { close(s.quit) }

var errClosed = errors.New("the lab is closed")

// Start starts a command inside the namespace. It dies with the lab.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.startBy(n.spawner, cmd) }

func (n *Namespace) startBy(s *spawner, cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return s.do(func() error { return n.Do(cmd.Start) })
}

// Output runs a command inside the namespace and returns what it printed. The error of one that
// fails holds what it complained about.
func (n *Namespace) Output(ctx context.Context, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := n.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return stdout.String(), &CommandError{Node: n.Name, Args: cmd.Args, Stderr: strings.TrimSpace(stderr.String()), Err: err}
	}
	return stdout.String(), nil
}

// CommandError is a command that failed in a namespace.
type CommandError struct {
	Node   string
	Args   []string
	Stderr string
	Err    error // *exec.ExitError, if it ran at all
}

func (e *CommandError) Error() string {
	text := fmt.Sprintf("%s: %s: %v", e.Node, strings.Join(e.Args, " "), e.Err)
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}
	return text
}

func (e *CommandError) Unwrap() error { return e.Err }

// process is a program that runs until the lab ends it. What it prints goes to a file.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; valid after done
}

// spawn starts a program that stays. It has a process group of its own, so that Ctrl-C on the
// terminal reaches the lab, which then ends things in order.
func (n *Namespace) spawn(log, name string, args ...string) (*process, error) {
	return n.spawnAs(nil, nil, log, name, args...)
}

// spawnAs does so under a confinement, if there is one, and with more in its environment.
func (n *Namespace) spawnAs(c *confinement, environ []string, log, name string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Env = append(os.Environ(), environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	by := n.spawner
	if c != nil {
		c.apply(cmd)
		by = c.spawner
	}
	if err := n.startBy(by, cmd); err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", n.Name, name, err)
	}
	p := &process{name: n.Name + ": " + name, log: log, cmd: cmd, done: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	p.err = p.cmd.Wait()
	close(p.done)
}

// ended tells how the process ended, with the end of its log, or nil while it runs.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %v%s", p.name, p.cmd.ProcessState, p.tail())
	default:
		return nil
	}
}

// kill ends the process at once and waits until it is gone. It may be gone already.
func (p *process) kill() error { return p.end(syscall.SIGKILL, time.Minute) }

// stop asks the process to end and waits for it; when it does not within the grace, it is killed,
// and that is an error.
func (p *process) stop(grace time.Duration) error { return p.end(syscall.SIGTERM, grace) }

func (p *process) end(signal syscall.Signal, grace time.Duration) error {
	if err := p.signal(signal); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
	}
	err := fmt.Errorf("%s has not ended by %v within %v%s", p.name, grace, signal, p.tail())
	return errors.Join(err, p.signal(syscall.SIGKILL))
}

func (p *process) signal(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: send %v: %w", p.name, signal, err)
	}
	return nil
}

// tail is the end of what the process printed, from a new line on, to go with an error.
func (p *process) tail() string {
	const enough = 4096
	text, err := os.ReadFile(p.log)
	if err != nil {
		return "\n" + err.Error()
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return ""
	}
	return "\n" + string(text[max(0, len(text)-enough):])
}
