// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 16.
const (
	notCounted = "uncounted" // reasons that the directors did not count
	logLines   = "log_lines" // of the director that wrote most
)

// malformed: adverts that are broken, did not begin on the link, or are not meant for this virtual router, each of
// priority 255: first to directors that have each other for their only peer, then to such that speak to all.
func malformed(weir string) faults.Fault {
	return faults.Fault{
		Number: 16,
		Long:   true,
		Paired: true,
		Parts: []faults.Part{
			{Name: transitions, Unit: "takeovers"},
			{Name: notCounted, Unit: "reasons"},
			{Name: logLines, Unit: "lines", Bar: float64(len(badAdverts) - 1)}, // of an id that nobody has there is nothing to say
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			p := newPair(t, weir, toPeer)
			rounds := size.Of(50, 12_500)
			return suffers(t,
				func(ctx context.Context, m *faults.Measured) error { return p.isPestered(ctx, m, toPeer, rounds) },
				func(ctx context.Context, m *faults.Measured) error { return p.isPestered(ctx, m, toAll, rounds) },
			)
		},
	}
}

// How directors of this fault speak.
var (
	toPeer = lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false", Unicast: true}
	toAll  = lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"}
)

// bad is what is wrong with an advert that the other director could have said to one.
type bad struct {
	spoil func(a *advert, p *pair, to *lab.Director)
	not   lab.Redundancy // where it is none, or Linux lets none through; zero: nowhere
}

// badAdverts are by the reason for which they are not believed.
var badAdverts = map[string]bad{
	"ttl":      {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.ttl = 254 }},
	"version":  {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.version = 1 }},
	"id":       {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.id = lab.RouterID + 100 }},
	"type":     {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.kind = 2 }},
	"length":   {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.cut = 3 }},
	"count":    {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.count, a.addresses = 0, nil }},
	"checksum": {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.wrong = 1 }},
	"interval": {spoil: func(a *advert, _ *pair, _ *lab.Director) { a.interval = 0 }},
	"own": {spoil: func(a *advert, _ *pair, to *lab.Director) {
		if a.from.IsLinkLocalUnicast() {
			a.from, _ = speaker(&to.Node, lab.IPv6) // it was found before
			return
		}
		a.from = to.Address.In(familyOf(a.from))
	}},
	"destination": {not: toPeer, spoil: func(a *advert, _ *pair, to *lab.Director) { a.to = to.Address.In(familyOf(a.from)) }},
	"peer":        {not: toAll, spoil: func(a *advert, p *pair, _ *lab.Director) { a.from = p.lab.Stranger.Address.In(familyOf(a.from)) }},
	"addresses": {spoil: func(a *advert, _ *pair, _ *lab.Director) {
		many := map[lab.Family]uint8{lab.IPv4: 255, lab.IPv6: 80}[familyOf(a.from)] // as go into a packet
		other := a.addresses[len(a.addresses)-1].Next()
		a.count, a.addresses = many, nil
		for range many {
			a.addresses = append(a.addresses, other)
		}
	}},
}

// isPestered sends each kind to each director, so many times.
func (p *pair) isPestered(ctx context.Context, m *faults.Measured, how lab.Redundancy, rounds int) error {
	if err := p.reload(ctx, how); err != nil {
		return err
	}
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	if err := p.acceptOwn(); err != nil {
		return err
	}
	if _, err := p.agreed(ctx); err != nil {
		return err
	}
	frames, err := p.badFrames(e, how)
	if err != nil {
		return err
	}
	missing, before := 0, p.lines()
	moved, err := p.counted(ctx, func() error {
		counts, err := p.discarded(ctx)
		if err != nil {
			return err
		}
		if err := e.pester(frames, rounds); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond) // more than a backup waits
		now, err := p.discarded(ctx)
		missing = uncountedOf(how, counts, now)
		return err
	})
	if err != nil {
		return err
	}
	note(m, transitions, float64(moved), "")
	note(m, notCounted, float64(missing), "")
	for d, n := range p.lines() {
		note(m, logLines, float64(n-before[d]), "")
	}
	return nil
}

// uncountedOf is how many reasons some virtual router has not counted.
func uncountedOf(how lab.Redundancy, before, after map[heard]map[string]uint64) (n int) {
	for reason, b := range badAdverts {
		for of := range after {
			if b.not != how && after[of][reason] == before[of][reason] {
				n++
				break
			}
		}
	}
	return n
}

// acceptOwn has Linux pass on what comes from a host's own address: without it Linux drops these adverts of IPv4 itself,
// and nothing could count them.
func (p *pair) acceptOwn() error {
	for _, d := range p.lab.Directors {
		if err := d.Sysctl("ipv4/conf/"+lab.FirstLink+"/accept_local", "1"); err != nil {
			return err
		}
	}
	return nil
}

// badFrames are one of each kind to each director and of each family, from the other one.
func (p *pair) badFrames(e *ear, how lab.Redundancy) (frames [][]byte, err error) {
	for i, d := range p.lab.Directors {
		mac, err := macOf(&d.Node, lab.FirstLink)
		if err != nil {
			return nil, err
		}
		for _, f := range lab.Families() {
			good, err := p.goodAdvert(p.lab.Directors[1-i], d, f, how)
			if err != nil {
				return nil, err
			}
			for _, b := range badAdverts {
				if b.not == how {
					continue
				}
				a := good
				b.spoil(&a, p, d)
				frames = append(frames, a.frame(e.mac, mac))
			}
		}
	}
	return frames, nil
}

// goodAdvert is what would make a director master of what another one has.
func (p *pair) goodAdvert(from, to *lab.Director, f lab.Family, how lab.Redundancy) (advert, error) {
	if how.Unicast {
		a := master(from.Address.In(f), 255, p.ours(f)...)
		a.to = to.Address.In(f)
		return a, nil
	}
	own, err := speaker(&from.Node, f)
	if err != nil {
		return advert{}, err
	}
	return master(own, 255, p.ours(f)...), nil
}

// pester is paced such that the directors' sockets lose nothing: who loses what he is sent counts nothing.
func (e *ear) pester(frames [][]byte, rounds int) error {
	const pause = 500 * time.Microsecond
	for range rounds {
		for _, frame := range frames {
			if err := e.say(frame); err != nil {
				return err
			}
		}
		time.Sleep(pause)
	}
	return nil
}

// heard is a virtual router of a director.
type heard struct {
	by     *lab.Director
	router string
}

// discarded is what each director counts, by reason.
func (p *pair) discarded(ctx context.Context) (map[heard]map[string]uint64, error) {
	out := map[heard]map[string]uint64{}
	for _, d := range p.lab.Directors {
		routers, err := p.daemons[d].VirtualRouters(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range routers {
			out[heard{d, r.Name}] = r.Discarded
		}
	}
	return out, nil
}

// lines is how much each daemon has printed.
func (p *pair) lines() map[*lab.Director]int {
	out := map[*lab.Director]int{}
	for _, d := range p.lab.Directors {
		text, _ := os.ReadFile(d.Log) // it is there: the daemon runs
		out[d] = bytes.Count(text, []byte{'\n'})
	}
	return out
}
