// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// book is the virtual router as RFC 9568 section 6.4 has it, and RFC 3768 section 6.4 in version 2, word by word, with
// the former's timers and names and nothing of weir's: no delays, no waiting for addresses, no conflicts. It takes whole
// adverts only. One thing is not RFC 3768's: there the Active discards an advert of lower priority; weir answers it as in
// version 3, and as keepalived does.
type book struct {
	version   model.VRRPVersion
	priority  int
	preempt   bool
	interval  time.Duration // Advertisement_Interval
	addresses netip.Addr    // its primary one

	state  string // Initialize, Backup, Active
	active time.Duration
	adver  time.Time // Adver_Timer; zero: cancelled
	down   time.Time // Active_Down_Timer; zero: cancelled
	sent   []int     // priorities
}

func (b *book) skewTime() time.Duration { // section 6.1 of both
	if b.version == model.VRRP2 {
		return time.Duration(256-b.priority) * time.Second / 256
	}
	return time.Duration(256-b.priority) * b.active / 256
}

func (b *book) downInterval() time.Duration {
	return 3*b.active + b.skewTime()
}

// verify is section 7.1, as far as it is about whole adverts of the virtual router's own.
func (b *book) verify(interval time.Duration) bool {
	return b.priority != 255 && (b.version == model.VRRP3 || interval == b.interval)
}

func (b *book) startup(now time.Time) { // section 6.4.1
	if b.priority == 255 {
		b.sent = append(b.sent, b.priority)
		b.adver = now.Add(b.interval)
		b.state = "Active"
		return
	}
	b.active = b.interval
	b.down = now.Add(b.downInterval())
	b.state = "Backup"
}

func (b *book) shutdown() {
	if b.state == "Active" {
		b.adver = time.Time{}
		b.sent = append(b.sent, 0)
	}
	b.down = time.Time{}
	b.state = "Initialize"
}

func (b *book) timers(now time.Time) {
	switch {
	case b.state == "Backup" && !now.Before(b.down): // section 6.4.2
		b.sent = append(b.sent, b.priority)
		b.adver, b.down = now.Add(b.interval), time.Time{}
		b.state = "Active"
	case b.state == "Active" && !now.Before(b.adver): // section 6.4.3
		b.sent = append(b.sent, b.priority)
		b.adver = now.Add(b.interval)
	}
}

func (b *book) advertisement(now time.Time, priority int, interval time.Duration, sender netip.Addr) {
	switch {
	case !b.verify(interval):
		return
	case b.state == "Backup":
		if priority == 0 {
			b.down = now.Add(b.skewTime())
		} else if !b.preempt || priority >= b.priority {
			b.active = interval
			b.down = now.Add(b.downInterval())
		} // else discard
	case b.state == "Active":
		if priority == 0 {
			b.sent = append(b.sent, b.priority)
			b.adver = now.Add(b.interval)
		} else if priority > b.priority || priority == b.priority && sender.Compare(b.addresses) > 0 {
			b.adver = time.Time{}
			b.active = interval
			b.down = now.Add(b.downInterval())
			b.state = "Backup"
		} else {
			b.sent = append(b.sent, b.priority) // "send an ADVERTISEMENT immediately"
			b.adver = now.Add(b.interval)
		}
	}
}

func (b *book) next() time.Time {
	if b.state == "Active" {
		return b.adver
	}
	return b.down
}

// pair is both of them, who live through the same. One other director sends, so that of priority 0 weir does not
// doubt who said it; and never two lower adverts within half an interval, which weir answers once.
type pair struct {
	t     *testing.T
	weir  *machine
	book  *book
	other netip.Addr
	now   time.Time
	last  time.Time // when the last advert came
	sent  int
	steps []string
}

// kind is what virtual routers differ in beside their priority.
type kind struct {
	version  model.VRRPVersion
	preempt  bool
	interval time.Duration
	six      bool // of IPv6
	greater  bool // its address is above the other director's
}

func newPair(t *testing.T, priority uint8, k kind) *pair {
	own, other, address := left, right, vip
	if k.six {
		own, other, address = left6, right6, vip6
	}
	if k.greater {
		own, other = other, own
	}
	router := of(priority, func(r *model.VirtualRouter) {
		r.Version, r.Preempt, r.Advertise = k.version, k.preempt, k.interval
		r.Addresses = []netip.Prefix{netip.PrefixFrom(address, address.BitLen()/2)}
	})
	return &pair{t: t, weir: newMachine(router, own), other: other, now: time.Unix(1e9, 0),
		book: &book{version: k.version, priority: int(priority), preempt: k.preempt, interval: k.interval, addresses: own, state: "Initialize"}}
}

func (p *pair) take(deeds []deed) {
	for _, d := range deeds {
		if d.kind != advertise {
			continue
		}
		if p.sent >= len(p.book.sent) || int(d.priority) != p.book.sent[p.sent] {
			p.t.Fatalf("%v: weir sends %d, the RFC %v", p.steps, d.priority, p.book.sent[p.sent:])
		}
		p.sent++
	}
}

// agree says whether they do.
func (p *pair) agree(what string) {
	p.steps = append(p.steps, what)
	states := map[model.VRRPState]string{model.VRRPInit: "Initialize", model.VRRPBackup: "Backup", model.VRRPMaster: "Active"}
	if got := states[p.weir.seen.State]; got != p.book.state {
		p.t.Fatalf("%v: weir is %s, the RFC %s", p.steps, got, p.book.state)
	}
	if p.sent != len(p.book.sent) {
		p.t.Fatalf("%v: weir sent %d adverts, the RFC %d", p.steps, p.sent, len(p.book.sent))
	}
	if p.book.state != "Initialize" && !p.weir.due.Equal(p.book.next()) {
		p.t.Fatalf("%v: weir waits until %s, the RFC until %s", p.steps, p.weir.due, p.book.next())
	}
}

// pass lets time pass, from timer to timer.
func (p *pair) pass(d time.Duration) {
	for end := p.now.Add(d); ; {
		next := p.book.next()
		if next.IsZero() || next.After(end) {
			p.now = end
			return
		}
		p.now = next
		p.book.timers(p.now)
		p.take(p.weir.tick(p.now))
		p.agree("timer")
	}
}

func (p *pair) hear(priority uint8, interval time.Duration) {
	if p.book.state == "Active" && p.now.Sub(p.last) < p.book.interval/2 {
		p.pass(p.book.interval / 2)
	}
	p.last = p.now
	transitions := p.weir.seen.Since
	p.book.advertisement(p.now, int(priority), interval, p.other)
	a := p.weir.advert(priority)
	a.interval = interval
	deeds, why := p.weir.hear(p.now, a, way{p.other, familyOf(p.weir.want).group, hops})
	if taken := p.book.verify(interval); p.book.state != "Initialize" && taken != (why == Taken) {
		p.t.Fatalf("%v: weir says %s, the RFC takes it: %t", p.steps, why, taken)
	}
	p.take(deeds)
	p.agree(string(rune('0'+priority/50)) + "!")
	if p.weir.seen.Since != transitions && p.weir.seen.State == model.VRRPMaster {
		p.t.Fatalf("%v: an advert made it master", p.steps)
	}
}

func (p *pair) restart() {
	if p.book.state == "Initialize" {
		p.book.startup(p.now)
		p.take(p.weir.start(p.now, ""))
		p.agree("startup")
		return
	}
	p.book.shutdown()
	p.take(p.weir.release(p.now, "weir stops"))
	p.take(p.weir.released(p.now))
	p.agree("shutdown")
}

// FuzzMachine lives through anything as the RFC has it.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{100, 1, 0, 1, 200, 2, 50, 1, 250, 3, 0, 1, 0, 3, 0})
	f.Add([]byte{200, 0, 0, 1, 100, 2, 40, 1, 250, 2, 255, 2, 255, 1, 0, 2, 90})
	f.Add([]byte{254, 1, 3, 0, 3, 0, 3, 0, 2, 200, 1, 254, 1, 1})
	f.Add([]byte{100, 3, 1, 200, 2, 50, 1, 0, 2, 40, 1, 100, 1, 50, 3, 0})
	f.Add([]byte{100, 12, 2, 100, 1, 100, 1, 0, 2, 40, 1, 101, 3, 0})
	f.Add([]byte{255, 8, 1, 255, 1, 0, 2, 40, 1, 254, 3, 0, 3, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 2 || b[0] == 0 {
			return
		}
		k := kind{version: model.VRRP3, preempt: b[1]&1 != 0, interval: time.Second, six: b[1]&4 != 0, greater: b[1]&8 != 0}
		if b[1]&2 != 0 {
			k.version, k.six = model.VRRP2, false
		}
		p := newPair(t, b[0], k)
		p.restart()
		for b = b[2:]; len(b) > 1; b = b[2:] {
			switch b[0] % 4 {
			case 0, 1:
				p.hear(b[1], time.Second)
			case 2:
				p.pass(time.Duration(b[1]) * 50 * time.Millisecond)
			case 3:
				p.restart()
			}
		}
	})
}

// anyKind is a virtual router of any kind, and how long from advert to advert it may be.
func anyKind(dice *rand.Rand) (k kind, interval func() time.Duration) {
	k = kind{version: model.VRRP3, preempt: dice.IntN(2) == 1, six: dice.IntN(2) == 1, greater: dice.IntN(2) == 1}
	interval = func() time.Duration { return time.Duration(1+dice.IntN(200)) * centisecond }
	if dice.IntN(3) == 0 {
		k.version, k.six = model.VRRP2, false
		interval = func() time.Duration { return time.Duration(1+dice.IntN(5)) * time.Second }
	}
	k.interval = interval()
	return k, interval
}

// TestMachineIsThatOfTheRFC is the same with many made up lives, and other intervals.
func TestMachineIsThatOfTheRFC(t *testing.T) {
	dice := rand.New(rand.NewPCG(9568, 3768))
	for range 4000 {
		k, interval := anyKind(dice)
		priority := uint8(1 + dice.IntN(254))
		if dice.IntN(10) == 0 {
			priority = owner
		}
		p := newPair(t, priority, k)
		p.restart()
		for range 60 {
			switch n := dice.IntN(20); {
			case n < 8:
				p.pass(time.Duration(dice.Int64N(int64(2 * p.book.interval))))
			case n < 9:
				p.pass(5 * p.book.interval)
			case n < 10:
				p.restart()
			case n < 12:
				p.hear(0, p.book.interval)
			case n < 14:
				p.hear(uint8(p.book.priority), p.book.interval)
			case n < 17:
				p.hear(uint8(1+dice.IntN(255)), p.book.interval)
			default:
				p.hear(uint8(1+dice.IntN(255)), interval())
			}
		}
	}
}

// life is a machine that anything may happen to, and what must be true of it whatever that was.
type life struct {
	*machine
	t       *testing.T
	dice    *rand.Rand
	now     time.Time
	fault   string
	delayed time.Time // it begins not before; zero: at any time, since the delay was changed
	mute    bool
	ended   bool
	steps   []string

	there, lives bool // the witness answers, and somebody for the address
	shooting     bool // its fence runs
	turns        int  // without time that passes: an answer that comes at once makes it look again
}

func (l *life) take(deeds []deed) {
	for _, d := range deeds {
		switch {
		case d.kind == fenceOff && (l.shooting || l.seen.State != model.VRRPBackup || !l.lost.IsValid()):
			l.t.Fatalf("%v: it fences %s as %s, while one runs: %t", l.steps, l.lost, l.seen.State, l.shooting)
		case d.kind == fenceOff:
			l.shooting = true
		case d.kind == ask:
			l.asked()
		case d.kind == announce && l.seen.State != model.VRRPMaster && !l.mute:
			l.t.Fatalf("%v: it announces as %s", l.steps, l.seen.State)
		case d.kind != advertise:
			continue
		case d.priority == 0 && (l.parting() || l.seen.State == model.VRRPMaster && !l.isOwner()):
			l.t.Fatalf("%v: it says 0 as %s, parting %v", l.steps, l.seen.State, l.parting())
		case d.priority != 0 && l.seen.State != model.VRRPMaster && !l.parting() && !l.mute:
			l.t.Fatalf("%v: it says %d as %s", l.steps, d.priority, l.seen.State)
		case l.mute:
			l.take(l.unsaid(l.now, "not permitted"))
		default:
			l.take(l.advertised(l.now))
		}
	}
}

func (l *life) asked() {
	if l.there {
		l.answer(l.now, gateway, theMAC)
	}
	if l.lives {
		l.answer(l.now, l.machine.asked(), theMAC)
	}
}

func (l *life) check(step string) {
	if l.steps = append(l.steps, step); len(l.steps) > 12 {
		l.steps = l.steps[1:]
	}
	state := l.seen.State
	switch {
	case state == model.VRRPMaster && l.now.Before(l.delayed):
		l.t.Fatalf("%v: it is master within its start delay", l.steps)
	case state == model.VRRPMaster && (l.fault != "" || l.ended || l.parting()):
		l.t.Fatalf("%v: it is master with fault %q, ended %v, parting %v", l.steps, l.fault, l.ended, l.parting())
	case (state == model.VRRPFault) != (l.fault != "") && !l.ended:
		l.t.Fatalf("%v: it is %s with fault %q", l.steps, state, l.fault)
	case state == model.VRRPMaster && !l.said.IsZero() && l.now.Sub(l.said) > l.lasts() && step != "otherwise":
		l.t.Fatalf("%v: it is master, although nobody has heard it for %s", l.steps, l.now.Sub(l.said))
	case state == model.VRRPMaster && l.said.IsZero():
		l.t.Fatalf("%v: it is master, and nobody has heard that", l.steps)
	case !l.deadline().IsZero() && !l.deadline().After(l.now) && step == "time" && l.turns > 2:
		l.t.Fatalf("%v: it would turn for ever: due %s", l.steps, l.deadline().Sub(l.now))
	case state == model.VRRPMaster && l.shooting && strings.HasPrefix(l.seen.Why, "no advert"):
		l.t.Fatalf("%v: it is master by silence, while its fence runs", l.steps)
	case state == model.VRRPBackup && l.fence.running != l.shooting:
		l.t.Fatalf("%v: its fence runs: %t", l.steps, l.shooting)
	case l.deadline().IsZero() && state != model.VRRPFault && !l.ended && !l.shooting && l.seen.Held == "":
		l.t.Fatalf("%v: it waits for ever as %s", l.steps, state)
	}
}

// pass lets time pass, from deadline to deadline.
func (l *life) pass(d time.Duration) {
	for end := l.now.Add(d); ; {
		next := l.deadline()
		if next.IsZero() || next.After(end) {
			l.now = end
			return
		}
		if l.turns++; next.After(l.now) {
			l.now, l.turns = next, 0
		}
		l.take(l.tick(l.now))
		l.check("time")
	}
}

func (l *life) wants(change func(*model.VirtualRouter), fault string) {
	want := l.want
	change(&want)
	l.fault = fault
	l.take(l.become(l.now, want, left, fault))
}

func (l *life) happens() string {
	priorities := []uint8{1, 50, 100, 200, 255}
	switch n := l.dice.IntN(30); {
	case n == 24:
		l.there = !l.there
		return "a witness answers or not"
	case n == 25:
		l.lives = !l.lives
		return "somebody answers or not"
	case n == 26 && l.shooting:
		l.shooting = false
		l.fenced(l.now, []string{"", "exit code 1"}[l.dice.IntN(2)])
		return "its fence ends"
	case n > 26 && len(l.want.Paths) > 0:
		deeds, _ := l.hearBy(l.now, said([]uint8{0, 1, 50, 100, 200, 255}[l.dice.IntN(6)]), way{cableRight, cableLeft, hops}, via{1, cableLeft})
		l.take(deeds)
		return "hears by cable"
	case n > 23:
		return "nothing"

	case n < 8:
		l.pass(time.Duration(l.dice.Int64N(int64(2 * l.want.Advertise))))
		return "passes"
	case n < 9:
		l.pass(20 * l.want.Advertise)
		return "long passes"
	case n < 14:
		from := []netip.Addr{right, netip.MustParseAddr("192.0.2.9")}[l.dice.IntN(2)]
		deeds, _ := l.hear(l.now, said([]uint8{0, 1, 50, 100, 200, 255}[l.dice.IntN(6)]), way{from, group4, hops})
		l.take(deeds)
		return "hears"
	case n < 16:
		l.take(l.released(l.now))
		return "released"
	case n < 17:
		if deeds, err := l.stepDown(l.now); err == nil {
			l.take(deeds)
		}
		return "steps down"
	case n < 18 && l.dice.IntN(5) == 0:
		l.ended = true
		l.take(l.release(l.now, "weir stops"))
		return "ends"
	case n < 19:
		l.mute = !l.mute
		return "mute or not"
	case l.ended:
		return "is over"
	case n < 21:
		l.wants(func(*model.VirtualRouter) {}, []string{"", "down"}[l.dice.IntN(2)])
		return "fault or none"
	case n < 22:
		l.wants(func(r *model.VirtualRouter) { r.Priority = priorities[l.dice.IntN(len(priorities))] }, l.fault)
		return "another priority"
	}
	l.delayed = time.Time{}
	l.wants(func(r *model.VirtualRouter) {
		r.StartDelay = time.Duration(l.dice.IntN(2)) * 10 * time.Second
		r.Preempt = l.dice.IntN(2) == 0
		r.PreemptDelay = time.Duration(l.dice.IntN(2)) * 5 * time.Second
		r.Advertise = time.Duration(1+l.dice.IntN(200)) * centisecond
	}, l.fault)
	return "otherwise"
}

// TestMachineKeepsItsPromisesWhateverHappens: with faults, delays, step-downs, new configs and adverts that do not get
// away, of which the RFC knows nothing.
func TestMachineKeepsItsPromisesWhateverHappens(t *testing.T) {
	dice := rand.New(rand.NewPCG(5798, 9568))
	for range 3000 {
		router := of([]uint8{1, 100, 254, 255}[dice.IntN(4)], func(r *model.VirtualRouter) { r.StartDelay = time.Duration(dice.IntN(2)) * 5 * time.Second })
		if dice.IntN(2) == 0 { // whoever has an address for its own has none of these
			witnessed(&router)
			cabled(&router)
			fenced(&router)
			router.Advertise = time.Second
		}
		l := &life{machine: newMachine(router, left), t: t, there: dice.IntN(2) == 0, dice: dice, now: time.Unix(1e9, 0), mute: dice.IntN(5) == 0}
		if dice.IntN(4) == 0 {
			l.take(l.resume(l.now))
		} else {
			l.fault, l.delayed = []string{"", "down"}[dice.IntN(2)], l.now.Add(router.StartDelay)
			l.take(l.start(l.now, l.fault))
		}
		l.check("begins")
		for range 80 {
			l.check(l.happens())
		}
	}
}
