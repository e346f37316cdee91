// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// guard signs the adverts of a virtual router, and says which of others' are believed (trailer.go). It is pure.
//
// The number of an advert is the time of its sender, which the wire wants, and keepalived, which believes nobody whose
// clock is not its own. Here no clock is asked that may be set while the two know each other:
//
//	a sender's numbers   grow, whatever becomes of its clock: set forward, they follow; set back, they go on as time passes
//	an advert of a known sender   is believed when its number is above the one before, by about the time that has passed here
//	the first one of a sender     when it is of now, by this host's clock as it is or as it was, or of later
//	one that is believed as of now by the clock   must be so by the clock as it was, too: it may have been set back since
//	a sender that begins anew     goes on above what it hears of others, so one with a wrong clock is believed as well
type guard struct {
	keys Keys // none: nothing is signed
	mode model.VRRPAuthMode
	wall func(now time.Time) time.Time // what the host's clock says now: it may jump, which now does not

	window  time.Duration
	sent    sequence // the highest number that was sent
	ahead   reading  // the time that numbers are made of
	own     reading  // this host's clock as it was, which nobody can set
	began   reading  // the same, or a sender's that is ahead of it
	senders []sender // the latest last
}

// sender is who has signed an advert that was believed.
type sender struct {
	address netip.Addr
	latest  reading       // its number, and when it came
	every   time.Duration // so often it advertises
}

const (
	leastWindow = 5 * time.Second
	// mostSenders is more than there are masters of one id. Only who has the key is one of them.
	mostSenders = 16
)

func newGuard() guard { return guard{wall: func(now time.Time) time.Time { return now }} }

// begin reads the host's clock once, before anything is signed or believed. Whoever believes nobody that is behind it is
// not behind it himself, lest he believes nobody who goes on from what he says.
func (g *guard) begin(now time.Time) {
	if g.own.at.IsZero() {
		g.own = reading{g.clock(now), now}
		g.began, g.ahead = g.own, g.own
	}
}

// follow is what is wanted. What is known of senders stays: a new key is nobody's beginning.
func (g *guard) follow(want model.VirtualRouter, keys Keys) {
	g.keys, g.mode = keys, want.Auth.Mode
	g.window = max(leastWindow, 3*want.Advertise) // the draft's default
}

func (g *guard) clock(now time.Time) sequence { return sequenceAt(g.wall(now)) }

// sign is an advert as it goes out.
func (g *guard) sign(now time.Time, a advert, source netip.Addr) advert {
	if len(g.keys) == 0 || g.mode == model.AuthReceive {
		return a
	}
	return g.keys[0].secret.sign(a, source, g.next(now))
}

// next is a number above all before. A clock that was set back a little is waited for; by more, time goes on here.
func (g *guard) next(now time.Time) sequence {
	const counted = 0xffff
	g.begin(now)
	clock, ahead := g.clock(now), g.ahead.now(now)
	if ahead.near(clock, g.window) {
		ahead = g.ahead.said
	}
	if clock.after(ahead) {
		ahead = clock
	}
	if number := ahead &^ counted; number.after(g.sent) || g.sent == 0 {
		g.sent = number
	} else {
		g.sent++
	}
	g.ahead = reading{ahead, now}
	return g.sent
}

// admit says whether an advert is believed, as far as signatures go.
func (g *guard) admit(now time.Time, a advert, from netip.Addr) Reason {
	switch {
	case len(g.keys) == 0 && a.trailer == nil:
		return Taken
	case len(g.keys) == 0:
		return ReasonSigned
	case a.trailer == nil && g.mode == model.AuthEnforce:
		return ReasonUnsigned
	case a.trailer == nil:
		return Taken
	}
	key := g.keys.with(a.trailer.key)
	if key == nil {
		return ReasonKey
	}
	g.begin(now)
	if !key.signed(a.text, from) {
		return ReasonHMAC
	}
	why := g.judge(now, a, from)
	if why == Taken {
		g.know(now, a, from)
	}
	return why
}

// judge says whether an advert that is signed is of now.
func (g *guard) judge(now time.Time, a advert, from netip.Addr) Reason {
	number := a.trailer.sequence
	i := g.sender(from)
	if i < 0 {
		return g.first(now, number)
	}
	known := g.senders[i]
	least := known.latest.now(now).plus(-g.window)
	switch {
	case number.after(known.latest.said) && !least.after(number):
		return Taken
	case number.after(known.latest.said):
		return g.first(now, number) // it was silent, and its clock has stood still
	case known.isGone(now) && g.isOfNow(now, number) && known.latest.said.after(g.clock(now).plus(g.window)):
		return Taken // its clock was ahead, and is right again
	case known.latest.said.since(number) > g.window:
		return ReasonStale
	}
	return ReasonReplay
}

// first judges an advert of somebody of whom nothing is known.
func (g *guard) first(now time.Time, number sequence) Reason {
	if g.isOfNow(now, number) || !g.began.now(now).plus(-g.window).after(number) {
		return Taken
	}
	return ReasonStale
}

// isOfNow is a matter of the host's clock. Set back by an hour, it would have all that was recorded an hour ago be of
// now, one after the other: so no less than the time is asked for that has passed here, whatever the clock says.
func (g *guard) isOfNow(now time.Time, number sequence) bool {
	return number.near(g.clock(now), g.window) && !g.own.now(now).plus(-g.window).after(number)
}

// isGone says whether an advert of it is missing: who repeats old ones beside the new ones is not it.
func (s sender) isGone(now time.Time) bool { return now.Sub(s.latest.at) >= 2*s.every }

func (g *guard) sender(address netip.Addr) int {
	return slices.IndexFunc(g.senders, func(s sender) bool { return s.address == address })
}

// know remembers an advert that is believed. Its time is no later than now: whoever is behind goes on from there.
func (g *guard) know(now time.Time, a advert, from netip.Addr) {
	latest := reading{a.trailer.sequence, now}
	if i := g.sender(from); i >= 0 {
		g.senders = slices.Delete(g.senders, i, i+1)
	} else if len(g.senders) == mostSenders {
		g.senders = slices.Delete(g.senders, 0, 1)
	}
	g.senders = append(g.senders, sender{from, latest, a.interval})
	g.ahead.raise(latest.said, now)
	g.began.raise(latest.said, now)
}
