// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// TestIDsThatTheKernelHasNotTakenAreTriedAgain with the next wants, though these are the same.
func TestIDsThatTheKernelHasNotTakenAreTriedAgain(t *testing.T) {
	netlab.NeedRoot(t)
	const loopback = 1
	of := segment{"lo", true}
	s, err := openStrangers(of, loopback, []uint8{51})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	r := &Runner{strangers: map[segment]*strangers{of: s}}
	fd := s.fd
	s.fd = -1
	for range 2 {
		if err := r.attendTo(of, loopback, []uint8{51, 52}); err == nil {
			t.Error("it believes that the kernel has the ids")
		}
	}
	s.fd = fd
	if err := r.attendTo(of, loopback, []uint8{51, 52}); err != nil {
		t.Error(err)
	}
}

// TestWhyStrangersAreNotCountedIsSaidOnce, and again behind an end of it.
func TestWhyStrangersAreNotCountedIsSaidOnce(t *testing.T) {
	netlab.NeedRoot(t)
	var said strings.Builder
	r := NewRunner(nil, slog.New(slog.NewTextHandler(&said, nil)))
	defer r.inattentive()
	want := Want{VRRPWant: model.VRRPWant{VirtualRouter: of(100)}}
	for i, step := range []struct {
		link  int // -1: no socket can be of it
		lines int // that were said by then
	}{{-1, 1}, {-1, 1}, {1, 1}, {-1, 2}, {-1, 2}, {0, 2}, {-1, 3}} {
		want.Link = step.link
		r.attend([]Want{want})
		if n := strings.Count(said.String(), "not counted"); n != step.lines {
			t.Errorf("step %d: it was said %d times, want %d:\n%s", i, n, step.lines, &said)
		}
	}
}
