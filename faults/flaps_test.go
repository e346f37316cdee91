// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// flaps are the changes of a server that comes and goes, those of all its services together.
const flaps = "changes"

// serverFlaps: what is asked of a server is there for an interval, and gone for one, under load. Five minutes of one
// check are half a minute of ten, which see it at different moments.
func serverFlaps(weir string) faults.Fault {
	return faults.Fault{
		Number: 28,
		Long:   true,
		Parts:  append(partsOfLoad(), faults.Part{Name: flaps, Unit: "changes", Bar: 10}),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			g := newGround(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Web: lab.WebOwn, Weir: weir}, usualLoad(size))
			f := &flapping{ground: g, asked: &asked{g.lab, g.director, g.daemon}, tempo: tempoOf(size), times: size.Of(2, 15)}
			if err := f.open(t.Context()); err != nil {
				t.Fatal(err)
			}
			return func() (faults.Measured, error) { return g.under(t.Context(), f.flap) }
		},
	}
}

type flapping struct {
	*ground
	asked *asked
	tempo tempo // of the checks, and of the server
	times int   // it goes and comes so often
}

// open has all of the load's services checked, and ten more by checks of their own, which begin one after the other:
// those that are asked at the same moment of a second see the same.
func (f *flapping) open(ctx context.Context) error {
	for _, s := range f.lab.Servers {
		if err := s.StartWeb(ctx); err != nil {
			return err
		}
	}
	text := strings.ReplaceAll(f.lab.LoadServices(), "    check: off\n", fmt.Sprintf("    check: {http: /health, port: 80, %s}\n", f.tempo))
	for i := range 10 {
		text += f.asked.service(8001+i, fmt.Sprintf("{http: \"/health?%d\", port: 80, %s}", i, f.tempo))
		if err := f.become(ctx, text); err != nil {
			return err
		}
		time.Sleep(f.tempo.interval() / 10)
	}
	return f.asked.allUp(ctx)
}

func (f *flapping) flap(ctx context.Context) (map[string]float64, error) {
	told, err := f.asked.told()
	if err != nil {
		return nil, err
	}
	server, began := f.lab.Servers[0], time.Now()
	asked := server.HealthAsked()
	for i := range f.times {
		until := func(n int) { time.Sleep(time.Until(began.Add(time.Duration(2*i+n) * f.tempo.interval()))) }
		if err := server.KillWeb(); err != nil {
			return nil, err
		}
		until(1)
		if err := server.StartWeb(ctx); err != nil {
			return nil, err
		}
		until(2)
	}
	if server.HealthAsked() == asked {
		return nil, errors.New("no check has asked the server meanwhile: it was never seen to be back")
	}
	of, err := f.asked.changesSince(told)
	if err != nil {
		return nil, err
	}
	return map[string]float64{flaps: of[server.Address.IPv4].all()}, nil
}
