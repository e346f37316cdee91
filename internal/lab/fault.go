// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// HealthPath is a page of a web server that is there while the server is said to be well.
const HealthPath = "/health"

// webServer is one that can fail.
type webServer interface {
	io.Closer
	hang() error
	resume() error
}

func (n nginx) hang() error   { return n.signal(syscall.SIGSTOP) }
func (n nginx) resume() error { return n.signal(syscall.SIGCONT) }

// HangWeb stops the web server in the middle of what it does: connections are taken, and nobody answers.
func (s *Server) HangWeb() error { return s.withWeb(webServer.hang) }

// ResumeWeb lets it go on.
func (s *Server) ResumeWeb() error { return s.withWeb(webServer.resume) }

// KillWeb kills it: who connects is refused.
func (s *Server) KillWeb() error {
	return s.withWeb(func(web webServer) error {
		s.serving = slices.DeleteFunc(s.serving, func(c io.Closer) bool { return c == io.Closer(web) })
		return web.Close()
	})
}

// StartWeb starts it again.
func (s *Server) StartWeb(ctx context.Context) error { return s.startWeb(ctx) }

// SlowWeb lets the lab's own web server wait before each answer.
func (s *Server) SlowWeb(wait time.Duration) error {
	return s.withWeb(func(web webServer) error {
		own, ok := web.(*ownWeb)
		if !ok {
			return fmt.Errorf("the web server of %s has no brake", s.Name)
		}
		own.slow.Store(int64(wait))
		return nil
	})
}

func (s *Server) withWeb(do func(webServer) error) error {
	for _, c := range s.serving {
		if web, ok := c.(webServer); ok {
			return do(web)
		}
	}
	return fmt.Errorf("%s runs no web server", s.Name)
}

// Unwell has the page of its health be missing.
func (s *Server) Unwell() error { return os.Remove(s.healthFile()) }

// Well has it be there again.
func (s *Server) Well() error {
	if err := os.WriteFile(s.healthFile(), []byte("ok\n"), 0o600); err != nil {
		return fmt.Errorf("%s: the page of its health: %w", s.Name, err)
	}
	return nil
}

func (s *Server) isWell() bool {
	_, err := os.Stat(s.healthFile())
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Server) healthFile() string { return filepath.Join(s.dir, HealthPath) }

// Unplug takes a node's cables out of the switches.
func (l *Lab) Unplug(n *Node) error {
	return l.eachPort(n, func(s *lan, port netlink.Link) error { return s.netlink.LinkSetDown(port) })
}

// Plug puts them in again.
func (l *Lab) Plug(n *Node) error {
	return l.eachPort(n, func(s *lan, port netlink.Link) error { return s.netlink.LinkSetUp(port) })
}
