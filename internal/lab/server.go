// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"sync/atomic"
)

// Server is a real server.
type Server struct {
	Node
	BPFFS string // directories for `weir realserver`
	State string

	lab     *Lab
	dir     string
	serving []io.Closer // web server and echo, as far as they run

	healthAsked atomic.Uint64
}

// Ports of every server.
const (
	WebPort  = 80 // HTTP over TCP
	EchoPort = 7  // UDP
)

func (l *Lab) newServer(i int, address Pair) (*Server, error) {
	n, err := l.newNode(fmt.Sprintf("real%d", i+1), address)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.room.dir, n.Name)
	s := &Server{
		Node:  *n,
		BPFFS: filepath.Join(l.room.dir, bpffsName, n.Name),
		State: filepath.Join(dir, "state"),
		lab:   l,
		dir:   dir,
	}
	return s, l.room.make(s.BPFFS, s.State)
}

// Serve gives the server the VIP, if the method wants it, and starts its web server and UDP echo.
func (s *Server) Serve(ctx context.Context) error {
	if s.lab.Forwarding != NAT && s.lab.config.Weir != "" {
		if err := s.HoldVIP(ctx); err != nil {
			return err
		}
	}
	if err := s.startWeb(ctx); err != nil {
		return err
	}
	return s.startEcho(ctx)
}

// DropVIP takes the addresses off its lo, as somebody does who cleans up.
func (s *Server) DropVIP(ctx context.Context) error {
	for _, prefix := range []string{s.lab.VIP.IPv4.String() + "/32", s.lab.VIP.IPv6.String() + "/128"} {
		if _, err := s.Output(ctx, "ip", "address", "del", prefix, "dev", "lo"); err != nil {
			return fmt.Errorf("%s: drop the VIP: %w", s.Name, err)
		}
	}
	return nil
}

// HoldVIP makes the server answer for the VIP, and take tunnelled packets when the method is TUN.
func (s *Server) HoldVIP(ctx context.Context) error {
	args := []string{"up", "--vip", s.lab.VIP.IPv4.String(), "--vip", s.lab.VIP.IPv6.String()}
	if s.lab.Forwarding == TUN {
		args = append(args, "--tunnel", cmp.Or(s.lab.config.Tunnel, "ipip"))
	}
	if s.lab.config.MSS != "" {
		args = append(args, "--mss", s.lab.config.MSS)
	}
	_, err := s.Realserver(ctx, append(args, "--bpffs", s.BPFFS, "--state", s.State)...)
	return err
}

// Realserver runs `weir realserver` on the server and returns what it printed.
func (s *Server) Realserver(ctx context.Context, args ...string) (string, error) {
	if s.lab.config.Weir == "" {
		return "", errNoWeir
	}
	return s.Output(ctx, s.lab.config.Weir, append([]string{"realserver"}, args...)...)
}

var errNoWeir = errors.New("the lab was made without a weir binary")

// answer is what this server says to a client.
func (s *Server) answer(client, local netip.Addr) Answer {
	return Answer{Server: s.Name, Client: client.Unmap(), Local: local.Unmap()}
}

// StopServing ends the web server and the UDP echo. The server keeps its addresses.
func (s *Server) StopServing() error {
	var errs []error
	for _, c := range s.serving {
		errs = append(errs, c.Close())
	}
	s.serving = nil
	return errors.Join(errs...)
}

func (s *Server) close() error { return s.StopServing() }
