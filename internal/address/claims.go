// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/weir-lb/weir/internal/model"
)

const (
	// askEvery is how often the neighbours are asked who has an address: one that says nothing unasked answers.
	askEvery = 2 * time.Second
	// askMost are asked for in a turn, since each question is a broadcast. More than these have their turns later.
	askMost = 64
	// askAgain is how often they are asked for one that somebody was just heard to claim.
	askAgain = 100 * time.Millisecond
	// insists is how long somebody must go on to claim an address: whoever lets go of it just now does not.
	insists = 200 * time.Millisecond
	// A claim has ended after seven questions without an answer: clients may be sent to nobody meanwhile.
	claimEnds = 7 * askAgain
	// Who has not insisted yet is asked for so long, and remembered for a while: he may say nothing but unasked.
	claimDoubted   = time.Second
	claimForgotten = 10 * time.Second
)

// ClaimObserver finds out who else says that he has a virtual address that this host holds. It changes nothing.
//
//	Follow ─► every 2 s: who has it? ─► neighbours
//	ARP, neighbour advertisements ─► hear ─► every 100 ms: who has it? ─► out, when it is insisted on, and has ended
type ClaimObserver struct {
	log    *slog.Logger
	follow chan []model.VIP // a mailbox: the newest list
}

func NewClaimObserver(log *slog.Logger) *ClaimObserver {
	return &ClaimObserver{log: log, follow: make(chan []model.VIP, 1)}
}

// Follow says which addresses this host holds. The newest list wins.
func (o *ClaimObserver) Follow(vips []model.VIP) {
	vips = slices.Clone(vips)
	for {
		select {
		case o.follow <- vips:
			return
		case <-o.follow: // nobody wants the older one any more
		}
	}
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
	return o.watch(ctx, handle, claims, out)
}

// claim is that somebody says at which MAC an address is.
type claim struct {
	holding
	mac model.MAC
}

// watch is the loop of Run.
func (o *ClaimObserver) watch(ctx context.Context, handle *netlink.Handle, claims <-chan claim, out func(map[model.Addr]model.Claim)) error {
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
			changed = o.look(handle, b, vips)
		case c := <-claims:
			var first bool
			if first, changed = b.hear(c, time.Now()); first {
				again.Reset(askAgain)
			}
		case now := <-again.C:
			changed = b.forget(now)
			if doubtful := b.doubtful(now); len(doubtful) > 0 {
				o.ask(b, doubtful)
				again.Reset(askAgain)
			}
		case <-ask.C:
			changed = o.look(handle, b, vips)
			o.ask(b, b.turn())
			ask.Reset(askEvery)
		}
		if changed {
			out(b.told())
		}
	}
}

// look finds the links of what is held. What cannot be read now is as it was before.
func (o *ClaimObserver) look(handle *netlink.Handle, b *book, vips []model.VIP) (changed bool) {
	links, err := readLinks(handle)
	if err != nil {
		o.log.Warn("links cannot be read, trying again", "err", err)
		return false
	}
	return b.follow(links, vips)
}

func (o *ClaimObserver) ask(b *book, holdings []holding) {
	for _, h := range holdings {
		frame, ok := b.question(h)
		if !ok {
			continue
		}
		if err := sendFrames(h.link, frame); err != nil && !isAway(err) {
			o.log.Debug("nobody is asked who else has an address", "address", h.address, "err", err)
		}
	}
}

// book is what was heard of whom. It is pure.
type book struct {
	held   map[holding]model.Link
	own    map[model.MAC]bool // this host's: it may hear itself, by another of its links
	heard  map[holding]sighting
	asking int // the first of the next turn
}

// sighting is who was heard to have an address.
type sighting struct {
	mac           model.MAC
	first, latest time.Time
}

func newBook() *book { return &book{heard: map[holding]sighting{}} }

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

// hear takes a claim in, and says whether it is the first of somebody, and whether he is to be told of now.
func (b *book) hear(c claim, now time.Time) (first, changed bool) {
	if _, ok := b.held[c.holding]; !ok || b.own[c.mac] {
		return false, false
	}
	known, ok := b.heard[c.holding]
	if !ok || known.mac != c.mac {
		b.heard[c.holding] = sighting{c.mac, now, now}
		return true, ok && known.insistent()
	}
	was := known.insistent()
	known.latest = now
	b.heard[c.holding] = known
	return false, known.insistent() != was
}

func (s sighting) insistent() bool { return s.latest.Sub(s.first) >= insists }

// forget drops those who do not answer any more.
func (b *book) forget(now time.Time) (changed bool) {
	return b.drop(func(_ holding, s sighting) bool {
		silent := now.Sub(s.latest)
		return silent > claimForgotten || s.insistent() && silent > claimEnds
	})
}

// doubtful are those of which it must be known soon who has them.
func (b *book) doubtful(now time.Time) (out []holding) {
	for h, s := range b.heard {
		if s.insistent() || now.Sub(s.first) < claimDoubted {
			out = append(out, h)
		}
	}
	return out
}

// drop forgets some, and says whether any was told of.
func (b *book) drop(which func(holding, sighting) bool) (changed bool) {
	for h, s := range b.heard {
		if which(h, s) {
			delete(b.heard, h)
			changed = changed || s.insistent()
		}
	}
	return changed
}

// told are those who insist.
func (b *book) told() map[model.Addr]model.Claim {
	out := map[model.Addr]model.Claim{}
	for h, s := range b.heard {
		if s.insistent() {
			out[h.address] = model.Claim{Interface: b.held[h].Name, MAC: s.mac}
		}
	}
	return out
}

// turn are the next ones of all.
func (b *book) turn() (out []holding) {
	all := slices.SortedFunc(maps.Keys(b.held), func(x, y holding) int { return x.address.Compare(y.address) })
	for range min(len(all), askMost) {
		b.asking = (b.asking + 1) % len(all)
		out = append(out, all[b.asking])
	}
	return out
}
