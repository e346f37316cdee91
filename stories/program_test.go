// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// program is one that runs on a host until the story ends, with all that it starts.
type program struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// runs has one run in the foreground, and waits until it listens on a TCP port; on "-", it waits for nothing.
func runs(ctx context.Context, s *stage, args []string) (string, error) {
	if len(args) < 3 {
		return "", misuse("runs HOST PORT COMMAND...")
	}
	host, err := s.host(args[0])
	if err != nil {
		return "", err
	}
	p, err := s.run(host, args[2:])
	if err != nil || args[1] == "-" {
		return "", err
	}
	port, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return "", misuse(err.Error())
	}
	return "", p.waitFor(ctx, host, uint16(port))
}

func (s *stage) run(host *lab.Node, command []string) (*program, error) {
	log, err := os.CreateTemp(s.work, filepath.Base(command[0])+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.work, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := host.Start(cmd); err != nil {
		return nil, err
	}
	p := &program{cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	s.closers = append(s.closers, p)
	return p, nil
}

// Close ends the program's group.
func (p *program) Close() error {
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

func (p *program) waitFor(ctx context.Context, host *lab.Node, port uint16) error {
	for {
		listens, err := listensOn(host, port)
		if listens || err != nil {
			return err
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %v%s", p.cmd.Path, p.cmd.ProcessState, p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on port %d: %w%s", p.cmd.Path, port, context.Cause(ctx), p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *program) said() string {
	text, err := os.ReadFile(p.log)
	return fmt.Sprint("\n", string(text), errors.Join(err))
}

// listensOn looks into the host's tables of TCP sockets.
func listensOn(host *lab.Node, port uint16) (found bool, err error) {
	const listening = " 0A "
	err = host.Do(func() error {
		for _, table := range []string{"tcp", "tcp6"} {
			text, err := os.ReadFile("/proc/thread-self/net/" + table)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(text)) {
				local := strings.Fields(line)[1]
				found = found || strings.HasSuffix(local, fmt.Sprintf(":%04X", port)) && strings.Contains(line, listening)
			}
		}
		return nil
	})
	return found, err
}
