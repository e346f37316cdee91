// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// on runs a command on a host.
func on(ctx context.Context, s *stage, args []string) (string, error) {
	host, command, err := s.command(args)
	if err != nil {
		return "", err
	}
	return host.Output(ctx, command[0], command[1:]...)
}

// command reads HOST COMMAND...; weir is the binary under test, and is told its directories.
func (s *stage) command(args []string) (*lab.Node, []string, error) {
	if len(args) < 2 {
		return nil, nil, misuse("HOST COMMAND...")
	}
	host, err := s.host(args[0])
	if err != nil || args[1] != "weir" {
		return host, args[1:], err
	}
	line := args[2:]
	if i := slices.IndexFunc(s.lab.Servers, func(n *lab.Server) bool { return n.Name == args[0] }); i >= 0 {
		line = serverArgs(s.lab.Servers[i], line)
	} else {
		line = directorArgs(cmp.Or(s.directorNamed(args[0]), s.director()), line)
	}
	return host, slices.Concat([]string{s.weir}, line), nil
}

func (s *stage) host(name string) (*lab.Node, error) {
	for _, n := range s.lab.Nodes() {
		if n.Name == name {
			return n, nil
		}
	}
	return nil, misuse(fmt.Sprintf("no host %q", name))
}

// killed lets a command live only for a while. It may have ended before.
func killed(ctx context.Context, s *stage, args []string) (string, error) {
	if len(args) < 4 || args[1] != "on" {
		return "", misuse("killed DURATION on HOST COMMAND...")
	}
	life, err := time.ParseDuration(args[0])
	if err != nil {
		return "", misuse(err.Error())
	}
	host, command, err := s.command(args[2:])
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	if err := host.Start(cmd); err != nil {
		return "", err
	}
	end := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
	defer end.Stop()
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) && !ended.Exited() {
		return "", nil
	}
	return "", err
}

// nobody runs weir on the director as a user who may nothing.
func nobody(ctx context.Context, s *stage, args []string) (string, error) {
	if len(args) < 2 || args[0] != "weir" {
		return "", misuse("nobody weir ARG...")
	}
	cmd := exec.CommandContext(ctx, s.weir, directorArgs(s.director(), args[1:])...)
	cmd.Dir = s.work
	const id = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := s.director().Node.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), err
}

func changeMAC(_ context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "HOST", "MAC"); err != nil {
		return "", err
	}
	host, err := s.host(args[0])
	if err != nil {
		return "", err
	}
	mac, err := net.ParseMAC(args[1])
	if err != nil {
		return "", misuse(err.Error())
	}
	return "", host.SetMAC(mac)
}

// cable takes a host off its networks, or connects it again.
func cable(_ context.Context, s *stage, args []string) (string, error) {
	does := map[string]func(*lab.Node) error{"out": s.lab.Unplug, "in": s.lab.Plug}
	if len(args) != 2 || does[args[0]] == nil {
		return "", misuse("cable out|in HOST")
	}
	host, err := s.host(args[1])
	if err != nil {
		return "", err
	}
	return "", does[args[0]](host)
}

// occupy attaches a program that is not weir's.
func occupy(_ context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "HOST", "LINK"); err != nil {
		return "", err
	}
	host, err := s.host(args[0])
	if err != nil {
		return "", err
	}
	return "", s.lab.Occupy(host, args[1])
}
