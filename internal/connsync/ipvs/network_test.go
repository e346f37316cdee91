// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/netlab"
)

// deadline is generous: what the tests wait for takes milliseconds.
const deadline = 60 * time.Second

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	netlab.Within(t, deadline, what, ok)
}

// namespace is one with what these tests do in it.
type namespace struct{ netlab.Namespace }

// works waits until the link takes packets. Before that they are lost without a word.
func (n namespace) works() {
	n.T.Helper()
	within(n.T, "a link", func() bool { return strings.Contains(n.Run("ip -o link show eth0"), "state UP") })
}

func newLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	one, other := netlab.NewLAN(t)
	left, right = namespace{one}, namespace{other}
	left.works()
	right.works()
	return left, right
}

// do runs fn in the namespace. Its thread belongs to no other goroutine, and ends with this one.
func (n namespace) do(fn func() error) {
	n.T.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			file, err := os.Open(n.Path())
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return fn()
		}()
	}()
	if err := <-done; err != nil {
		n.T.Fatal(err)
	}
}

// open opens a socket there, on eth0.
func (n namespace) open(config Config) (s *Socket) {
	n.T.Helper()
	n.do(func() (err error) {
		config.Interface = "eth0"
		s, err = Open(config)
		return err
	})
	n.T.Cleanup(func() { s.Close() })
	s.Use(marks)
	return s
}
