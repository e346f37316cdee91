// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// TestLoadSeesWhatIsLost: a load that did not would pass every fault.
func TestLoadSeesWhatIsLost(t *testing.T) {
	requireLab(t)
	g := newGround(t, lab.Config{Shape: lab.LAN, Weir: buildWeir(t, "release")}, usualLoad(faults.Small))
	m, err := g.under(t.Context(), g.breakPath)
	if err != nil {
		t.Fatal(err)
	}
	if m.Figures[lost] != 200 || m.Figures[failedNew] < 1 {
		t.Errorf("all 200 connections were reset and new ones refused, and the load says %v", m.Figures)
	}
	if _, err := g.startAgain(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err = g.under(t.Context(), keepOn)
	if err != nil || m.Figures[lost] != 0 || m.Figures[failedNew] != 0 {
		t.Errorf("nothing happened, and the load says %v, %v", m.Figures, err)
	}
}

// breakPath takes the program away from the interface of a dead daemon. The director still has the
// VIP, and resets what is not its own.
func (g *ground) breakPath(ctx context.Context) (map[string]float64, error) {
	if err := inOrder(g.director.Kill, func() error { return os.RemoveAll(filepath.Join(g.director.BPFFS, "links")) }); err != nil {
		return nil, err
	}
	return keepOn(ctx)
}

func keepOn(context.Context) (map[string]float64, error) {
	time.Sleep(500 * time.Millisecond)
	return map[string]float64{}, nil
}

// TestAbsencesAreSeen: a server that leaves by one policy does not look as if it left by another one, nor
// one that gets new connections as if it got none.
func TestAbsencesAreSeen(t *testing.T) {
	requireLab(t)
	config := lab.Config{Shape: lab.LAN, Weir: buildWeir(t, "release")}
	c := &changer{ground: newGround(t, config, talkative(faults.Small)), log: t.Logf}
	for _, tt := range []struct {
		policy, promise string
		broken          func(sights) bool
	}{
		{drains, drops, func(s sights) bool { return s.answered > 0 }},
		{drains, resets, func(s sights) bool { return s.spoke > 0 && s.reset == 0 }},
		{resets, drains, func(s sights) bool { return s.cut == s.waiting && s.resumed == 0 }},
	} {
		s := sights{size: faults.Small}
		if err := s.see(t.Context(), c, tt.policy, tt.promise); err != nil {
			t.Fatal(err)
		}
		if !tt.broken(s) || s.lost+s.failedNew+s.newThere != 0 {
			t.Errorf("%s was seen, judged by %s: %+v", tt.policy, tt.promise, s)
		}
	}
	s := sights{size: faults.Small}
	a := &absence{changer: c, policy: drains, seen: &s}
	if err := a.under(t.Context(), oneByOne(a.leave, a.serve, keepOnFor, a.comeBack)); err != nil {
		t.Fatal(err)
	}
	if s.newThere == 0 {
		t.Error("the server was there all the time, and no new connection was seen")
	}
}

func keepOnFor(ctx context.Context) error {
	_, err := keepOn(ctx)
	return err
}
