// SPDX-License-Identifier: Apache-2.0

package address

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

const (
	// askEvery is how often the neighbours are asked who has an address: one that says nothing unasked answers.
	askEvery = 2 * time.Second
	// askMost are asked for at once, since each question is a broadcast. More than these have their turns later.
	askMost = 64
	// askAgain is how often they are asked for one that somebody was just heard to claim.
	askAgain = 100 * time.Millisecond
	// insists is how long somebody must go on to claim an address: whoever lets go of it just now does not.
	insists = 200 * time.Millisecond
	// A claim has ended after seven questions without an answer: clients may be sent to nobody meanwhile. Where not all
	// are asked for at once, the seventh comes later.
	claimEnds = 7 * askAgain
	// Who has not insisted yet is asked for so long, and remembered for a while: he may say nothing but unasked.
	claimDoubted   = time.Second
	claimForgotten = 10 * time.Second
	// claimantsMost are remembered of one address: who makes MACs up fills no memory.
	claimantsMost = 8
)

// ClaimObserver finds out who else says that he has a virtual address that this host holds. It changes nothing.
//
//	Follow ─► every 2 s: who has it? ─► neighbours
//	ARP, neighbour advertisements ─► hear ─► every 100 ms: who has it? ─► out, when it is insisted on, and has ended
type ClaimObserver struct {
	log    *slog.Logger
	follow newest.Box[[]model.VIP]
}

func NewClaimObserver(log *slog.Logger) *ClaimObserver {
	return &ClaimObserver{log: log, follow: newest.NewBox[[]model.VIP]()}
}

// Follow says which addresses this host holds. The newest list wins.
func (o *ClaimObserver) Follow(vips []model.VIP) {
	o.follow.Put(slices.Clone(vips))
}

// Run hands out all claims whenever they have changed, until ctx is done. It hears what comes to the network
// namespace of the calling thread. out must not change what it is given.
func (o *ClaimObserver) Run(ctx context.Context, out func(map[model.Addr]model.Claim)) error {
	handle, err := open()
	if err != nil {
		return err
	}
	defer handle.Close()
	sockets, err := openClaimSockets()
	if err != nil {
		return err
	}
	claims := make(chan claim)
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer cancel()
	for _, s := range sockets {
		listening.Go(func() { o.listen(ctx, s, claims) })
	}
	return o.watch(ctx, lan{func() ([]model.Link, error) { return readLinks(handle) }, sendFrames}, claims, out)
}

// lan is this host's links, and what they are for.
type lan struct {
	links func() ([]model.Link, error)
	send  func(link int, frames ...[]byte) error
}

// claim is that somebody says at which MAC an address is.
type claim struct {
	holding
	mac model.MAC
}

// watch is the loop of Run.
func (o *ClaimObserver) watch(ctx context.Context, on lan, claims <-chan claim, out func(map[model.Addr]model.Claim)) error {
	var vips []model.VIP
	b := newBook()
	ask, again := time.NewTimer(0), time.NewTimer(askAgain)
	defer ask.Stop()
	defer again.Stop()
	for {
		changed := false
		select {
		case <-ctx.Done():
			return nil
		case vips = <-o.follow:
			changed = o.look(on, b, vips)
		case c := <-claims:
			quiet := len(b.heard) == 0
			changed = b.hear(c, time.Now())
			if quiet && len(b.heard) > 0 { // else it runs: who claims one address after another must not put it off
				again.Reset(askAgain)
			}
		case now := <-again.C:
			changed = b.forget(now)
			o.ask(on, b, b.doubtful(now))
			if len(b.heard) > 0 {
				again.Reset(askAgain)
			}
		case <-ask.C:
			changed = o.look(on, b, vips)
			o.ask(on, b, b.turn())
			ask.Reset(askEvery)
		}
		if changed {
			out(b.told())
		}
	}
}

// look finds the links of what is held, if anything is. What cannot be read now is as it was before.
func (o *ClaimObserver) look(on lan, b *book, vips []model.VIP) (changed bool) {
	if len(vips) == 0 {
		return b.follow(nil, nil)
	}
	links, err := on.links()
	if err != nil {
		o.log.Warn("links cannot be read, trying again", "err", err)
		return false
	}
	return b.follow(links, vips)
}

func (o *ClaimObserver) ask(on lan, b *book, holdings []holding) {
	questions := map[int][][]byte{} // by link
	for _, h := range holdings {
		if frame, ok := b.question(h); ok {
			questions[h.link] = append(questions[h.link], frame)
		}
	}
	for link, frames := range questions {
		if err := on.send(link, frames...); err != nil && !isAway(err) {
			o.log.Debug("nobody is asked who else has addresses", "err", err)
		}
	}
}

// book is what was heard of whom. It is pure.
type book struct {
	held  map[holding]model.Link
	own   map[model.MAC]bool // this host's: it may hear itself, by another of its links
	heard map[holding][]sighting

	asked, doubted holding // who was asked for last: of all, and of those that are claimed
}

// sighting is who was heard to have an address.
type sighting struct {
	mac           model.MAC
	first, latest time.Time
}

func newBook() *book { return &book{heard: map[holding][]sighting{}} }

// follow knows what is held, and on which links. What is not held any more nobody else can claim.
func (b *book) follow(links []model.Link, vips []model.VIP) (changed bool) {
	b.held, b.own = map[holding]model.Link{}, map[model.MAC]bool{}
	for _, vip := range vips {
		b.own[vip.MAC] = true // a virtual one is before its device is, and another director of it is VRRP's business
	}
	for _, link := range links {
		b.own[link.MAC] = true
		for _, vip := range vips {
			if link.Name == vip.Interface && !link.Loopback && link.MAC != (model.MAC{}) {
				b.held[holding{link.Index, vip.Address}] = link
			}
		}
	}
	return b.drop(func(h holding, _ sighting) bool {
		_, ok := b.held[h]
		return !ok
	})
}

// hear takes a claim in, and says whether somebody is to be told of now who was not. Several may claim one address.
func (b *book) hear(c claim, now time.Time) (changed bool) {
	if _, ok := b.held[c.holding]; !ok || b.own[c.mac] {
		return false
	}
	all := b.heard[c.holding]
	at := slices.IndexFunc(all, func(s sighting) bool { return s.mac == c.mac })
	if at < 0 {
		if len(all) < claimantsMost {
			b.heard[c.holding] = append(all, sighting{c.mac, now, now})
		}
		return false
	}
	was := all[at].insistent()
	all[at].latest = now
	return all[at].insistent() != was
}

func (s sighting) insistent() bool { return s.latest.Sub(s.first) >= insists }

func (s sighting) doubtful(now time.Time) bool {
	return s.insistent() || now.Sub(s.first) < claimDoubted
}

// forget drops those who do not answer any more.
func (b *book) forget(now time.Time) (changed bool) {
	turns := (len(b.heard) + askMost - 1) / askMost // until each was asked for once
	ends := claimEnds * time.Duration(turns)
	return b.drop(func(_ holding, s sighting) bool {
		silent := now.Sub(s.latest)
		return silent > claimForgotten || s.insistent() && silent > ends
	})
}

// drop forgets some, and says whether any was told of.
func (b *book) drop(which func(holding, sighting) bool) (changed bool) {
	for h, all := range b.heard {
		b.heard[h] = slices.DeleteFunc(all, func(s sighting) bool {
			gone := which(h, s)
			changed = changed || gone && s.insistent()
			return gone
		})
		if len(b.heard[h]) == 0 {
			delete(b.heard, h)
		}
	}
	return changed
}

// told are those who insist; of several who claim one address, the one with the lowest MAC, since there is a problem as
// long as there is one of them.
func (b *book) told() map[model.Addr]model.Claim {
	out := map[model.Addr]model.Claim{}
	for h, all := range b.heard {
		for _, s := range all {
			known, ok := out[h.address]
			if s.insistent() && (!ok || bytes.Compare(s.mac[:], known.MAC[:]) < 0) {
				out[h.address] = model.Claim{Interface: b.held[h].Name, MAC: s.mac}
			}
		}
	}
	return out
}

// turn are the next ones of all.
func (b *book) turn() []holding {
	return next(slices.Collect(maps.Keys(b.held)), &b.asked)
}

// doubtful are the next ones of those of which it must be known soon who has them.
func (b *book) doubtful(now time.Time) []holding {
	var all []holding
	for h, by := range b.heard {
		if slices.ContainsFunc(by, func(s sighting) bool { return s.doubtful(now) }) {
			all = append(all, h)
		}
	}
	return next(all, &b.doubted)
}

// next are askMost of all at most, those that come after the last one that was asked for.
func next(all []holding, last *holding) []holding {
	slices.SortFunc(all, holding.compare)
	at, found := slices.BinarySearchFunc(all, *last, holding.compare)
	if found {
		at++
	}
	all = slices.Concat(all[at:], all[:at])
	all = all[:min(len(all), askMost)]
	if len(all) > 0 {
		*last = all[len(all)-1]
	}
	return all
}

func (h holding) compare(other holding) int {
	return cmp.Or(h.address.Compare(other.address), cmp.Compare(h.link, other.link))
}
