// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/server"
)

// listen makes a socket that lives as long as the test.
func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	listener, err := server.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // a test may have closed it
	return listener
}

func TestSocketIsForItsGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "weir.sock")
	listen(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := fs.ModeSocket | 0o660; info.Mode() != want {
		t.Errorf("mode %v, want %v", info.Mode(), want)
	}
}

func TestSocketOfADeadDaemonIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	dead := listen(t, path)
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	listen(t, path)
}

func TestSocketOfALivingDaemonIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	listen(t, path)
	_, err := server.Listen(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "a daemon answers at "+path) {
		t.Errorf("got %v", err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the first daemon is cut off: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileInTheSocketsPlaceIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := server.Listen(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestRunEndsWithItsContextAndRemovesTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	listener := listen(t, path)
	go func() {
		ended <- server.New(example(), "1.2.3", slog.New(slog.DiscardHandler)).Run(ctx, listener)
	}()
	web := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	answer, err := web.Get("http://weir/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}
