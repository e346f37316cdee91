// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// afterSilence is the part of fault 48 in which flows say nothing for a while after the blind packets,
// longer than what was closed is remembered.
const afterSilence = "_silent"

// blind: somebody who knows addresses and ports of live flows, but no sequence numbers, tries to end
// them. No server believes him, so the director must not either.
func blind(weir string) faults.Fault {
	var parts []faults.Part
	for _, f := range []lab.Forwarding{lab.NAT, lab.TUN, lab.DR} {
		parts = append(parts, faults.Part{Name: string(f), Unit: "connections"}, faults.Part{Name: string(f) + afterSilence, Unit: "connections"})
	}
	return faults.Fault{
		Number: 48,
		Long:   true,
		Parts:  parts,
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			plan := lab.LoadPlan{Stay: size.Of(100, 1000), Every: time.Hour, Fresh: 20}
			silence := time.Duration(size.Of(0, 20)) * time.Second
			var all []attacker
			for _, f := range []lab.Forwarding{lab.NAT, lab.TUN, lab.DR} {
				g := newGround(t, lab.Config{Shape: lab.LAN, Forwarding: f, Weir: weir}, plan)
				a := attacker{newFlooder(t, g), silence}
				a.together, a.ahead = 16, 64 // servers and clients answer each
				all = append(all, a)
			}
			return func() (faults.Measured, error) { return attack(t.Context(), all) }
		},
	}
}

// attacker sends blind packets to one director.
type attacker struct {
	*flooder
	silence time.Duration
}

func attack(ctx context.Context, all []attacker) (faults.Measured, error) {
	m := faults.Measured{Figures: map[string]float64{}}
	for _, a := range all {
		for part, pause := range map[string]time.Duration{"": 0, afterSilence: a.silence} {
			outcome, disturbed, err := a.ground.outcome(ctx, func(ctx context.Context) error { return a.attack(ctx, pause) })
			if err != nil {
				return m, err
			}
			m.Figures[string(a.ground.lab.Forwarding)+part] = float64(outcome.Lost)
			m.Disturbed += disturbed
		}
	}
	return m, nil
}

// attack sends to every flow, and lets them be silent.
func (a attacker) attack(ctx context.Context, silence time.Duration) error {
	to := map[netip.AddrPort]netip.AddrPort{}
	var clients []netip.AddrPort
	for _, r := range a.ground.load.Residents() {
		clients = append(clients, r.Client)
		to[r.Client] = r.Virtual
	}
	err := a.floodFrom(ctx, clients, func(from netip.AddrPort) []packet.Layers { return a.blows(from, to[from]) })
	if err != nil {
		return err
	}
	return wait(silence)()
}

// blows are ten of each kind, in any order, with sequence numbers from nowhere.
func (a attacker) blows(from, to netip.AddrPort) []packet.Layers {
	var out []packet.Layers
	for range 10 {
		for _, flags := range []packet.TCPFlags{packet.RST, packet.FIN | packet.ACK, packet.SYN} {
			out = append(out, segment(from, to, flags, a.random.Uint32(), a.random.Uint32()))
		}
	}
	a.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
