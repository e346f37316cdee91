// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

const (
	socketMode    fs.FileMode = 0o660 // whoever is in its group may look and reload
	directoryMode fs.FileMode = 0o750
)

// Listen makes the API's socket. One that a dead daemon left is replaced; one at which somebody
// answers is not.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), directoryMode); err != nil {
		return nil, fmt.Errorf("directory of the API socket: %w", err)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: modeBeforeBind}
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("API socket: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("mode of the API socket: %w", err), listener.Close())
	}
	return listener, nil
}

// modeBeforeBind narrows the socket before it has a name, so that there is no moment at which it
// is open to everybody. The umask may have narrowed it more: Listen sets it once again.
func modeBeforeBind(_, _ string, c syscall.RawConn) error {
	var chmod error
	if err := c.Control(func(fd uintptr) { chmod = syscall.Fchmod(int(fd), uint32(socketMode)) }); err != nil {
		return err
	}
	return chmod
}

// removeStale makes room for the socket, if nobody listens at it.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("API socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("API socket: %s is there and is not a socket; move it away, or name another --run directory", path)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close() // it has told all that we wanted
		return fmt.Errorf("API socket: a daemon answers at %s; stop it, or name another --run directory", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("API socket: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("API socket of a dead daemon: %w", err)
	}
	return nil
}
