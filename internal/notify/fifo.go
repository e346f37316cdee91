// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// closed stands for the descriptor of what is not open.
const closed = -1

// fifo writes lines into a named pipe, and never waits for a reader. Both ends stay open here, so that what is
// written waits in the pipe while nobody reads, and a reader that leaves does not end anything.
type fifo struct {
	path string
	fd   int
}

// open makes the pipe where it is missing, and opens it anew where somebody has put another one in its place.
func (f *fifo) open() error {
	if f.isCurrent() {
		return nil
	}
	f.close()
	if err := unix.Mkfifo(f.path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make %s: %w", f.path, err)
	}
	var there unix.Stat_t
	if err := unix.Lstat(f.path, &there); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	if there.Mode&unix.S_IFMT != unix.S_IFIFO {
		return fmt.Errorf("%s is not a FIFO: remove it, or name another path", f.path)
	}
	fd, err := unix.Open(f.path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", f.path, err)
	}
	f.fd = fd
	return nil
}

// isCurrent tells whether what is open is what others find at the path.
func (f *fifo) isCurrent() bool {
	var own, there unix.Stat_t
	return f.fd != closed && unix.Fstat(f.fd, &own) == nil && unix.Lstat(f.path, &there) == nil &&
		own.Dev == there.Dev && own.Ino == there.Ino
}

func (f *fifo) close() {
	if f.fd != closed {
		unix.Close(f.fd)
	}
	f.fd = closed
}

// send writes each event's lines at once: what is shorter than PIPE_BUF goes in as a whole, or not at all (pipe(7)).
func (f *fifo) send(_ context.Context, m message) error {
	if err := f.open(); err != nil {
		return err
	}
	for _, e := range m.events {
		line := fifoLine(e)
		if line == "" {
			continue
		}
		_, err := unix.Write(f.fd, []byte(line))
		switch {
		case errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("%s is full: nobody reads it", f.path)
		case err != nil:
			return fmt.Errorf("write to %s: %w", f.path, err)
		}
	}
	return nil
}

// fifoLine is as keepalived writes it to its notify_fifo (check/ipwrapper.c, notify_fifo_vs and notify_fifo_rs;
// vrrp/vrrp_notify.c, notify_fifo):
//
//	VS [192.168.201.15]:tcp:80 UP
//	RS [1.2.3.4]:tcp:80 [192.168.201.15]:tcp:80 UP
//	INSTANCE "VI_1" MASTER 100
//	GROUP "VG_1" MASTER 0
//
// It is empty for what keepalived does not know. A group's line comes behind that of its last instance, and goes into
// the pipe with it.
func fifoLine(e model.Event) string {
	if state := instanceState(e.Kind); state != "" {
		line := fmt.Sprintf("INSTANCE \"%s\" %s %d\n", e.Router, state, e.Priority)
		if e.Group != "" {
			line += fmt.Sprintf("GROUP \"%s\" %s 0\n", e.Group, state)
		}
		return line
	}
	state := ""
	switch e.Kind {
	case model.ServerUp, model.ServiceUp:
		state = "UP"
	case model.ServerDown, model.ServiceDown:
		state = "DOWN"
	default:
		return ""
	}
	service := trio(e.ServiceKey.Address, e.ServiceKey.Protocol, e.ServiceKey.Port)
	if e.Server == (model.ServerKey{}) {
		return fmt.Sprintf("VS %s %s\n", service, state)
	}
	return fmt.Sprintf("RS %s %s %s\n", trio(e.Server.Address, e.ServiceKey.Protocol, e.Server.Port), service, state)
}

// trio is keepalived's inet_sockaddrtotrio. What is any port to us is 0 there.
func trio(a netip.Addr, p model.Protocol, port uint16) string {
	return fmt.Sprintf("[%s]:%s:%d", a, p, port)
}
