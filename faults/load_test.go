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
