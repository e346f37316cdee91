// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// replaced: the binary is replaced by another release, the daemon ended by SIGTERM and started, a
// hundred times, until there were a hundred thousand new connections.
func replaced() faults.Fault {
	return faults.Fault{
		Number: 3,
		Long:   true,
		Parts:  partsOfLoad(),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			r := releases{installed: filepath.Join(publicDir(t), "weir"), names: []string{"1.0", "1.1"}}
			for _, name := range r.names {
				r.built = append(r.built, buildWeir(t, name))
			}
			if err := r.install(0); err != nil {
				t.Fatal(err)
			}
			plan := usualLoad(size)
			plan.Fresh = size.Of(50, 1000)
			g := newGround(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: r.installed}, plan)
			rounds, fresh := size.Of(3, 100), size.Of(0, 100_000)
			return func() (faults.Measured, error) {
				return g.under(t.Context(), func(ctx context.Context) (map[string]float64, error) {
					return map[string]float64{}, g.replace(ctx, r, rounds, fresh)
				})
			}
		},
	}
}

// releases are builds of weir, and where one of them is installed.
type releases struct {
	installed    string
	names, built []string
}

// install puts one of them in place as a package manager does: the name never lacks a file.
func (r releases) install(i int) error {
	text, err := os.ReadFile(r.built[i%len(r.built)])
	if err != nil {
		return err
	}
	fresh := r.installed + ".new"
	if err := os.WriteFile(fresh, text, 0o755); err != nil {
		return err
	}
	return os.Rename(fresh, r.installed)
}

// replace spreads so many rounds evenly over so many new connections.
func (g *ground) replace(ctx context.Context, r releases, rounds, fresh int) error {
	for i := 1; i <= rounds; i++ {
		if err := inOrder(func() error { return r.install(i) }, g.director.Stop); err != nil {
			return err
		}
		status, err := g.startAgain(ctx)
		if err != nil {
			return err
		}
		if want := r.names[i%len(r.names)]; status.Version != want {
			return fmt.Errorf("version %s runs, %s was installed", status.Version, want)
		}
		for g.load.Fresh() < fresh*i/rounds {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}
