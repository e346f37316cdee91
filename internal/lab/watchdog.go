// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Watchdog plays systemd for a director's daemon, as far as WatchdogSec, Restart and LimitCORE of its unit go
// (systemd.service(5), systemd.exec(5), sd_notify(3)).
type Watchdog struct {
	director *Director
	limit    time.Duration
	socket   *net.UnixConn

	mu    sync.Mutex // guards heard
	heard time.Time  // when the daemon said last that it lives
}

// Watch has the daemon say that it lives, from its next start on, and wants to hear that so often. Whoever gets it closes
// it.
func (d *Director) Watch(limit time.Duration) (*Watchdog, error) {
	path := filepath.Join(filepath.Dir(d.Run), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("%s: watch the daemon: %w", d.Name, err)
	}
	if d.confined != nil {
		if err := d.confined.own(path); err != nil {
			return nil, errors.Join(err, socket.Close())
		}
	}
	d.environ = []string{"NOTIFY_SOCKET=" + path, fmt.Sprintf("WATCHDOG_USEC=%d", limit.Microseconds()), "GOTRACEBACK=crash"}
	w := &Watchdog{director: d, limit: limit, socket: socket}
	go w.listen()
	return w, nil
}

func (d *Director) watched() bool { return d.environ != nil }

// withoutCore is a command in front of another one, which leaves no core then when it is told to abort (LimitCORE): that
// would hold secrets, and fill the disk.
func withoutCore() []string { return []string{"sh", "-c", `ulimit -c 0 && exec "$0" "$@"`} }

// listen ends with the socket.
func (w *Watchdog) listen() {
	text := make([]byte, 4096)
	for {
		n, err := w.socket.Read(text)
		if err != nil {
			return
		}
		if strings.Contains(string(text[:n]), "WATCHDOG=1") {
			w.mu.Lock()
			w.heard = time.Now()
			w.mu.Unlock()
		}
	}
}

// silent is for how long the daemon has said nothing; it must have begun to.
func (w *Watchdog) silent() (time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.heard.IsZero() {
		return 0, fmt.Errorf("%s: the daemon does not say that it lives", w.director.Name)
	}
	return time.Since(w.heard), nil
}

// Await waits until the daemon has said nothing for too long, ends it as systemd does, and starts it again. A process that
// stands still is told to go on behind the signal, and so meets it.
func (w *Watchdog) Await(ctx context.Context) error {
	const restart = 200 * time.Millisecond // RestartSec
	d := w.director
	err := poll(ctx, 5*time.Millisecond, func() (bool, error) {
		silent, err := w.silent()
		return silent >= w.limit, err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(d.Signal(syscall.SIGABRT), d.Signal(syscall.SIGCONT)); err != nil {
		return err
	}
	select {
	case <-d.daemon.done:
	case <-ctx.Done():
		return fmt.Errorf("%s: the daemon does not end: %w", d.Name, context.Cause(ctx))
	}
	time.Sleep(restart)
	return d.Restart()
}

// Close leaves the daemon alone, from its next start on.
func (w *Watchdog) Close() error {
	w.director.environ = nil
	return errors.Join(w.socket.Close(), removed(os.Remove(w.socket.LocalAddr().String())))
}

// removed overlooks that there is nothing.
func removed(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
