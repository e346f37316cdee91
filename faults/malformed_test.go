// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"net/netip"
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
// priority 255. The two directors have each other for their only peer, so that there is one more reason.
func malformed(weir string) faults.Fault {
	return faults.Fault{
		Number: 16,
		Long:   true,
		Paired: true,
		Parts: []faults.Part{
			{Name: transitions, Unit: "takeovers"},
			{Name: notCounted, Unit: "reasons"},
			{Name: logLines, Unit: "lines", Bar: float64(len(badAdverts))},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			p := newPair(t, weir, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false", Unicast: true})
			rounds := size.Of(50, 16_000)
			return suffers(t, func(ctx context.Context, m *faults.Measured) error { return p.isPestered(ctx, m, rounds) })
		},
	}
}

// badAdverts spoil what the peer could have said, by the reason for which it is not believed then.
var badAdverts = map[string]func(a *advert, p *pair){
	"ttl":         func(a *advert, _ *pair) { a.ttl = 254 },
	"version":     func(a *advert, _ *pair) { a.version = 1 },
	"type":        func(a *advert, _ *pair) { a.kind = 2 },
	"length":      func(a *advert, _ *pair) { a.cut = 3 },
	"count":       func(a *advert, _ *pair) { a.count, a.addresses = 0, nil },
	"checksum":    func(a *advert, _ *pair) { a.wrong = 1 },
	"interval":    func(a *advert, _ *pair) { a.interval = 0 },
	"own":         func(a *advert, _ *pair) { a.from = a.to },
	"destination": func(a *advert, _ *pair) { a.to = group },
	"peer":        func(a *advert, p *pair) { a.from = p.lab.Stranger.Address.IPv4 },
	"addresses": func(a *advert, _ *pair) {
		a.count, a.addresses = 255, nil
		for range 255 {
			a.addresses = append(a.addresses, netip.MustParseAddr("192.0.2.77"))
		}
	},
}

// unheard are those that Linux drops by itself: from the host's own address, and to a group that nobody has joined.
var unheard = map[string]bool{"own": true, "destination": true}

// isPestered sends each kind to each director, so many times.
func (p *pair) isPestered(ctx context.Context, m *faults.Measured, rounds int) error {
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	frames, err := p.badFrames(e)
	if err != nil {
		return err
	}
	if _, err := p.agreed(ctx); err != nil {
		return err
	}
	missing, before := map[string]bool{}, p.lines()
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
		for reason := range badAdverts {
			for d := range now {
				missing[reason] = missing[reason] || !unheard[reason] && now[d][reason] == counts[d][reason]
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	note(m, transitions, float64(moved), "")
	note(m, notCounted, 0, "")
	for _, is := range missing {
		if is {
			m.Figures[notCounted]++
		}
	}
	for d, n := range p.lines() {
		note(m, logLines, float64(n-before[d]), "")
	}
	return nil
}

// badFrames are one of each kind to each director, from its peer.
func (p *pair) badFrames(e *ear) (frames [][]byte, err error) {
	for i, d := range p.lab.Directors {
		mac, err := macOf(&d.Node, lab.FirstLink)
		if err != nil {
			return nil, err
		}
		for _, spoil := range badAdverts {
			a := master(p.lab.Directors[1-i].Address.IPv4, 255, p.lab.VIP.IPv4)
			a.to = d.Address.IPv4
			spoil(&a, p)
			frames = append(frames, a.frame(e.mac, mac))
		}
	}
	return frames, nil
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

// discarded is what each director counts of IPv4, by reason.
func (p *pair) discarded(ctx context.Context) (map[*lab.Director]map[string]uint64, error) {
	out := map[*lab.Director]map[string]uint64{}
	for _, d := range p.lab.Directors {
		routers, err := p.daemons[d].VirtualRouters(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range routers {
			if r.Name == lab.RouterName(lab.IPv4) {
				out[d] = r.Discarded
			}
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
