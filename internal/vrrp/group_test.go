// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// village is two boxes on two links, in a time of its own. The virtual routers of a box are of one group.
type village struct {
	t     *testing.T
	dice  *rand.Rand
	start time.Time
	now   time.Time
	boxes []*box
	wire  []letter // under way, the first to come first
	cut   map[cable]bool
	log   []string // of the first link of each box that tells it
}

type box struct {
	*village
	name  string
	group *group
	posts []*post
}

// post is a virtual router of a box: a link, and what its thread has.
type post struct {
	*box
	machine *machine
	bond    bond
	link    int
	rung    bool
	begun   bool
	mute    string    // why no advert gets away
	fault   string    // of its own
	blind   bool      // no witness answers
	lives   bool      // somebody answers for its address
	fences  int       // how often its fence was begun
	fails   string    // how that ends
	release time.Time // when its addresses are gone; zero: nobody takes them away
	told    model.VRRPSeen
}

type cable struct {
	from, to string
	link     int
}

type letter struct {
	at   time.Time
	from *post
	said advert
}

var linkNames = []string{"front", "back"}

func newVillage(t *testing.T, priorities ...uint8) *village {
	t0 := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	v := &village{t: t, start: t0, now: t0, cut: map[cable]bool{}}
	for i, priority := range priorities {
		b := &box{village: v, name: fmt.Sprintf("lb%d", i+1), group: newGroup()}
		var members []*member
		for link, name := range linkNames {
			router := of(priority, func(r *model.VirtualRouter) { r.Name = name })
			own := netip.AddrFrom4([4]byte{192, 0, byte(2 + link), byte(1 + i)})
			if link == 1 { // who has the greater address on one link has the lesser on the other
				own = netip.AddrFrom4([4]byte{192, 0, byte(2 + link), byte(9 - i)})
			}
			p := &post{box: b, link: link, machine: newMachine(router, own)}
			p.bond = bond{member: &member{name: name, ring: func() { p.rung = true }}, group: b.group}
			b.posts, members = append(b.posts, p), append(members, p.bond.member)
		}
		b.group.members.Store(&members)
		v.boxes = append(v.boxes, b)
	}
	return v
}

func (v *village) posts() (out []*post) {
	for _, b := range v.boxes {
		out = append(out, b.posts...)
	}
	return out
}

// begins lets all virtual routers of all boxes begin.
func (v *village) begins() *village {
	for _, p := range v.posts() {
		p.begins()
	}
	return v
}

func (p *post) begins() {
	p.begun = true
	p.bond.fault = p.fault
	p.do(p.machine.start(p.now, p.fault))
	p.bond.settle(p.now, p.machine, p.do)
}

// turns is router.turn, but for what comes by the socket and by orders.
func (p *post) turns() {
	p.rung = false
	p.bond.heed(p.now, p.machine, p.do)
	p.do(p.machine.tick(p.now))
	p.bond.settle(p.now, p.machine, p.do)
}

func (p *post) do(deeds []deed) {
	for _, d := range deeds {
		switch {
		case d.kind == advertise && p.mute != "":
			p.do(p.machine.unsaid(p.now, p.mute))
		case d.kind == advertise:
			p.wire = append(p.wire, letter{p.now.Add(time.Millisecond), p, p.machine.advert(d.priority)})
			p.do(p.machine.advertised(p.now))
		case d.kind == ask:
			p.asks()
		case d.kind == fenceOff:
			p.fences++
			p.machine.fenced(p.now, p.fails)
		case d.kind == tell && p.machine.seen != p.told:
			p.tells()
		}
	}
}

func (p *post) asks() {
	for _, w := range p.machine.want.Witness {
		if !p.blind {
			p.machine.answer(p.now, w, theMAC)
		}
	}
	if p.lives {
		p.machine.answer(p.now, p.machine.asked(), theMAC)
	}
}

// tells has the addresses taken away of one that is no master any more.
func (p *post) tells() {
	before := p.told
	if p.told = p.machine.seen; p.told.State != before.State || p.told.Why != before.Why {
		p.log = append(p.log, fmt.Sprintf("%s %s %s: %s: %s", p.now.Sub(p.start).Round(time.Millisecond), p.name, linkNames[p.link], p.told.State, p.told.Why))
	}
	if p.machine.parting() && p.release.IsZero() {
		p.release = p.now.Add(30 * time.Millisecond)
		if p.dice != nil { // hosts are never as fast as each other
			p.release = p.now.Add(time.Duration(10+p.dice.IntN(50)) * time.Millisecond)
		}
	}
}

func (p *post) hears(l letter) {
	w := way{l.from.machine.own, group4, hops}
	deeds, _ := p.machine.hear(p.now, l.said, w)
	p.do(deeds)
	p.turns()
}

// at is when a post has to do something; zero: not by itself.
func (p *post) at() time.Time {
	if !p.begun {
		return time.Time{}
	}
	if p.rung {
		return p.now
	}
	at := p.machine.deadline()
	if !p.release.IsZero() && (at.IsZero() || p.release.Before(at)) {
		return p.release
	}
	return at
}

// next is when anything happens, and what.
func (v *village) next() (at time.Time, do func()) {
	if len(v.wire) > 0 {
		first := v.wire[0]
		at, do = first.at, func() { v.delivers(first) }
	}
	for _, p := range v.posts() {
		if due := p.at(); !due.IsZero() && (at.IsZero() || due.Before(at)) {
			at, do = due, p.acts
		}
	}
	return at, do
}

func (p *post) acts() {
	if isDue(p.release, p.now) {
		p.release = time.Time{}
		p.do(p.machine.released(p.now))
	}
	p.turns()
}

func (v *village) delivers(l letter) {
	v.wire = v.wire[1:]
	for _, p := range v.posts() {
		if p.begun && p.link == l.from.link && p.box != l.from.box && !v.cut[cable{l.from.name, p.name, p.link}] {
			p.hears(l)
		}
	}
}

// pass lets time pass, and holds each box against its promise whenever nobody has anything to do at once.
func (v *village) pass(d time.Duration) *village {
	v.t.Helper()
	end := v.now.Add(d)
	for steps := 0; ; steps++ {
		at, do := v.next()
		if at.IsZero() || at.After(end) {
			v.now = end
			v.agrees()
			return v
		}
		if at.After(v.now) {
			v.agrees()
			v.now, steps = at, 0
		}
		if steps > 1000 {
			v.t.Fatalf("it turns for ever:\n\t%s", strings.Join(v.log[max(0, len(v.log)-20):], "\n\t"))
		}
		do()
	}
}

// agrees: of a box all are master, or none is.
func (v *village) agrees() {
	v.t.Helper()
	for _, b := range v.boxes {
		if n := b.masters(); n != 0 && n != len(b.posts) {
			v.t.Fatalf("%s is master of %d:\n\t%s", b.name, n, strings.Join(v.log[max(0, len(v.log)-20):], "\n\t"))
		}
	}
}

func (b *box) masters() (n int) {
	for _, p := range b.posts {
		if p.machine.seen.State == model.VRRPMaster {
			n++
		}
	}
	return n
}

// master is the box that is; "": none or several are.
func (v *village) master() string {
	var out []string
	for _, b := range v.boxes {
		if b.masters() > 0 {
			out = append(out, b.name)
		}
	}
	return strings.Join(out, " and ")
}

func (p *post) faults(why string) {
	p.fault, p.bond.fault = why, why
	p.do(p.machine.become(p.now, p.machine.want, p.machine.own, p.bond.hindrance(p.machine)))
	p.turns()
}

func (v *village) forgets() *village { v.log = nil; return v }

func (v *village) reads(want ...string) {
	v.t.Helper()
	if !slices.Equal(v.log, want) {
		v.t.Errorf("they did\n\t%s\nwant\n\t%s", strings.Join(v.log, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (v *village) is(master string) *village {
	v.t.Helper()
	if got := v.master(); got != master {
		v.t.Errorf("master is %q, want %q:\n\t%s", got, master, strings.Join(v.log, "\n\t"))
	}
	return v
}

// cuts a link in one direction or both; mends it.
func (v *village) cuts(link int, both bool) *village {
	v.cut[cable{"lb1", "lb2", link}], v.cut[cable{"lb2", "lb1", link}] = true, both
	return v
}

func (v *village) mends() *village { clear(v.cut); return v }

// TestGroupFollowsTheFirstThatRises, although it misses nobody for long yet.
func TestGroupFollowsTheFirstThatRises(t *testing.T) {
	v := newVillage(t, 150, 100)
	v.boxes[0].posts[1].machine.want.Advertise = 2 * time.Second
	v.begins().pass(10 * time.Second).is("lb1")
	v.reads("0s lb1 front: backup: it has just begun", "0s lb1 back: backup: it has just begun",
		"0s lb2 front: backup: it has just begun", "0s lb2 back: backup: it has just begun",
		"3.414s lb1 front: master: no advert of anybody for 3.414s", "3.414s lb1 back: master: front of its group is master: no advert of anybody for 3.414s")
}

// TestGroupLeavesTogether: the fault of one link moves both, and the other box waits on neither.
func TestGroupLeavesTogether(t *testing.T) {
	v := newVillage(t, 150, 100).begins().pass(10 * time.Second).forgets()
	v.cuts(1, true)
	v.boxes[0].posts[1].faults("interface eth1 is down")
	v.pass(10 * time.Second).is("lb2")
	v.reads("10s lb1 back: fault: interface eth1 is down", "10s lb1 front: fault: back of its group is in fault: interface eth1 is down",
		"10.64s lb2 front: master: 192.0.2.1 has stepped down", "10.64s lb2 back: master: 192.0.2.1 has stepped down for front of its group")
	v.forgets().mends()
	v.boxes[0].posts[1].faults("")
	v.pass(10 * time.Second).is("lb1")
}

// TestGroupHoldsWhereOneLinkIsCut: who is not heard on one link, but on another one, is alive.
func TestGroupHoldsWhereOneLinkIsCut(t *testing.T) {
	for _, both := range []bool{false, true} {
		v := newVillage(t, 150, 100).begins().pass(10 * time.Second).forgets()
		v.cuts(1, both).pass(time.Minute).is("lb1")
		v.reads("13.024s lb2 back: backup: no advert of 192.0.3.9 for 3.609s, but front of its group hears its master 192.0.2.1")
		v.forgets().mends().pass(10 * time.Second).is("lb1")
		v.reads("1m10.415s lb2 back: backup: there is a master again")
	}
}

func TestGroupIsTakenOverWhenItsDirectorDies(t *testing.T) {
	v := newVillage(t, 150, 100).begins().pass(10 * time.Second).forgets()
	v.boxes = v.boxes[1:]
	v.pass(10 * time.Second).is("lb2")
	v.reads("13.024s lb2 front: master: no advert of 192.0.2.1 for 3.609s",
		"13.024s lb2 back: master: no advert of 192.0.3.9 for 3.609s")
}

// TestGroupIsLeftToAnotherDirectorAsAWhole, whichever of it is asked; `weir failover` asks all.
func TestGroupIsLeftToAnotherDirectorAsAWhole(t *testing.T) {
	v := newVillage(t, 150, 100).begins().pass(10 * time.Second).forgets()
	front, back := v.boxes[0].posts[0], v.boxes[0].posts[1]
	deeds, err := front.machine.stepDown(v.now)
	if err != nil {
		t.Fatal(err)
	}
	front.do(deeds)
	front.turns()
	v.pass(time.Millisecond)
	if _, err := back.machine.stepDown(v.now); err != nil {
		t.Errorf("one that has followed the others of its group is asked: %v", err)
	}
	v.pass(time.Minute).is("lb2") // they do not preempt
}

// TestGroupBeginsWithTheLastOfIt, and no later.
func TestGroupBeginsWithTheLastOfIt(t *testing.T) {
	v := newVillage(t, 150)
	back := v.boxes[0].posts[1]
	back.machine.want.StartDelay = 20 * time.Second
	v.begins().pass(8 * time.Second).is("")
	if why := v.boxes[0].posts[0].told.Why; why != "no advert of anybody for 3.414s, but back of its group has not begun" {
		t.Errorf("why: %q", why)
	}
	want := back.machine.want
	want.StartDelay = 0
	back.do(back.machine.become(v.now, want, back.machine.own, ""))
	back.turns()
	v.pass(time.Millisecond).is("lb1")
}

// TestOneThatHearsItsMasterDoesNotRiseWithItsGroup: it heard him while another one of it did not, and rose.
func TestOneThatHearsItsMasterDoesNotRiseWithItsGroup(t *testing.T) {
	b := begun(t, of(100)).pass(time.Second).hears(right, said(200)).forgets()
	up := &decision{master: true, why: "back of its group is master", at: b.now}
	b.do(b.obey(b.now, *up))
	b.reads()
	next := b.decide(b.now, "front", up)
	if next == nil || next.master || next.why != "front of its group is backup: it has just begun" {
		t.Errorf("the group is %+v", next)
	}
}

// TestWhoBeginsDoesNotObeyWhatWasDecidedBefore: the master that resigned then has a successor, perhaps.
func TestWhoBeginsDoesNotObeyWhatWasDecidedBefore(t *testing.T) {
	b := begun(t, of(100))
	due := b.due
	b.do(b.obey(b.now, decision{resigned: "192.0.2.1 has stepped down for back of its group", at: b.now.Add(-time.Minute)}))
	if b.due != due {
		t.Errorf("it takes over after %s", b.due.Sub(b.now))
	}
	b.do(b.obey(b.now, decision{resigned: "192.0.2.1 has stepped down for back of its group", at: b.now}))
	if b.due != b.now.Add(b.skew()) {
		t.Errorf("it takes over after %s, want %s", b.due.Sub(b.now), b.skew())
	}
}

// TestGroupIsThatOfBeforeIfAnyOfItGoesOn, and what a group of the same name had decided is nothing to another one.
func TestGroupIsThatOfBeforeIfAnyOfItGoesOn(t *testing.T) {
	r := NewRunner(nil, slog.New(slog.DiscardHandler))
	follows := func(wants ...Want) *group {
		r.groups = r.groupsOf(wants)
		if _, err := r.all(wants); err != nil {
			t.Fatal(err)
		}
		r.assemble(wants)
		return r.groups["pair"]
	}
	wanted := func(name string, id uint8, group string) Want {
		return Want{VRRPWant: model.VRRPWant{VirtualRouter: of(100, func(r *model.VirtualRouter) { r.Name, r.ID, r.Group = name, id, group })}}
	}
	first := follows(wanted("front", 51, "pair"), wanted("back", 52, "pair"), wanted("alone", 53, ""))
	if follows(wanted("front", 61, "pair"), wanted("back", 52, "pair"), wanted("alone", 53, "")) != first {
		t.Error("one of it goes on, and it is another group")
	}
	if follows(wanted("front", 71, "pair"), wanted("back", 72, "pair"), wanted("alone", 53, "pair")) == first {
		t.Error("none of it goes on, and it is the same group")
	}
}

// TestGroupWaitsForOneThatCannotAdvertise, and is master as soon as it can.
func TestGroupWaitsForOneThatCannotAdvertise(t *testing.T) {
	v := newVillage(t, 150)
	back := v.boxes[0].posts[1]
	back.mute = "not permitted"
	v.begins().pass(20 * time.Second).is("")
	if why := v.boxes[0].posts[0].told.Why; !strings.HasSuffix(why, ", but back of its group cannot advertise: not permitted") {
		t.Errorf("why: %q", why)
	}
	back.mute = ""
	v.pass(5 * time.Second).is("lb1")
	for _, p := range v.boxes[0].posts {
		p.mute = "not permitted"
	}
	v.pass(20 * time.Second).is("")
	for _, p := range v.boxes[0].posts {
		p.mute = ""
	}
	v.pass(5 * time.Second).is("lb1")
}

// TestWhoComesBackToAGroupHasSaidNothingYet: the fault for which all of it fell is over for long.
func TestWhoComesBackToAGroupHasSaidNothingYet(t *testing.T) {
	v := newVillage(t, 150).begins().pass(10 * time.Second)
	joins := func(g *group, p *post) {
		p.bond.join(g)
		p.turns()
	}
	front, back := v.boxes[0].posts[0], v.boxes[0].posts[1]
	back.faults("interface eth1 is down")
	v.pass(10 * time.Second).is("")
	joins(nil, front)
	joins(nil, back)
	back.faults("")
	v.pass(10 * time.Second).is("lb1").forgets()
	again := newGroup()
	again.members.Store(&[]*member{front.bond.member, back.bond.member})
	joins(again, front)
	joins(again, back)
	v.pass(10 * time.Second).is("lb1")
	v.reads()
}

// TestGroupKeepsItsPromiseWhateverHappens: a box is never master of a part, and when all is well again one box is of all.
func TestGroupKeepsItsPromiseWhateverHappens(t *testing.T) {
	dice := rand.New(rand.NewPCG(9568, 2))
	for range 400 {
		v := newVillage(t, 150, []uint8{100, 150}[dice.IntN(2)])
		v.dice = dice
		for _, p := range v.posts() {
			if dice.IntN(4) == 0 {
				p.machine.want.StartDelay = time.Duration(dice.IntN(5)) * time.Second
			}
			p.machine.want.Preempt = v.boxes[0].group != p.group || dice.IntN(4) > 0
		}
		v.begins()
		for range 30 {
			v.happens()
			v.pass(time.Duration(dice.Int64N(int64(5 * time.Second))))
		}
		v.mends()
		for _, p := range v.posts() {
			p.mute = ""
			p.faults("")
		}
		v.pass(30 * time.Second)
		if m := v.master(); m != "lb1" && m != "lb2" {
			t.Fatalf("all is well, and master is %q:\n\t%s", m, strings.Join(v.log[max(0, len(v.log)-20):], "\n\t"))
		}
	}
}

func (v *village) happens() {
	all := v.posts()
	p := all[v.dice.IntN(len(all))]
	switch v.dice.IntN(7) {
	case 0:
		v.cut[cable{"lb1", "lb2", p.link}] = v.dice.IntN(2) == 0
	case 1:
		v.cut[cable{"lb2", "lb1", p.link}] = v.dice.IntN(2) == 0
	case 2:
		p.faults([]string{"", "interface eth1 is down"}[v.dice.IntN(2)])
	case 3:
		p.mute = []string{"", "not permitted"}[v.dice.IntN(2)]
	case 4:
		deeds, _ := p.machine.stepDown(v.now)
		p.do(deeds)
		p.turns()
	case 5:
		v.mends()
	case 6:
		p.release = p.now // as if nothing had been there
	}
}

// with changes what the virtual routers of a link are.
func (v *village) with(link int, change func(*model.VirtualRouter)) *village {
	for _, p := range v.posts() {
		if p.link == link {
			change(&p.machine.want)
		}
	}
	return v
}

func gated(r *model.VirtualRouter) { r.Witness = []netip.Addr{gateway} }

// isCut: the first box hears and says nothing any more.
func (v *village) isCut() *village {
	for link := range linkNames {
		v.cut[cable{"lb1", "lb2", link}], v.cut[cable{"lb2", "lb1", link}] = true, true
	}
	return v
}

// What one of a group has to ask first, or to do, all wait for: nobody takes it along before.
func TestGroupWaitsForTheWitnessOfOne(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*model.VirtualRouter)
		now     func(*post)
		then    func(*post)
		masters int // of the second box, before
		fences  int
	}{
		"its witness answers":         {gated, func(*post) {}, func(*post) {}, 2, 0},
		"no witness answers":          {gated, func(p *post) { p.blind = true }, func(p *post) { p.blind = false }, 0, 0},
		"the master lives":            {gated, func(p *post) { p.lives = true }, func(p *post) { p.lives = false }, 0, 0},
		"its fence works":             {fenced, func(*post) {}, func(*post) {}, 2, 1},
		"its fence fails":             {fenced, func(p *post) { p.fails = "no power" }, nil, 0, 1},
		"its witness comes first":     {func(r *model.VirtualRouter) { gated(r); fenced(r) }, func(p *post) { p.blind = true }, func(p *post) { p.blind = false }, 0, 1},
		"it is dead for long":         {gated, func(p *post) { p.blind = true }, func(p *post) { p.pass(time.Minute) }, 0, 0},
		"the fence has failed: go on": {func(r *model.VirtualRouter) { fenced(r); r.Fence.Failed = model.FenceTakeover }, func(p *post) { p.fails = "no power" }, nil, 2, 1},
	} {
		for link := range linkNames {
			t.Run(fmt.Sprintf("%s, %s", linkNames[link], name), func(t *testing.T) {
				v := newVillage(t, 150, 100).with(link, c.change).begins().pass(20 * time.Second)
				second := v.boxes[1]
				c.now(second.posts[link])
				if v.isCut().pass(10 * time.Second); second.masters() != c.masters {
					t.Fatalf("it is master of %d:\n\t%s", second.masters(), strings.Join(v.log, "\n\t"))
				}
				if c.then != nil {
					c.then(second.posts[link])
					if v.pass(10 * time.Second); second.masters() != len(linkNames) {
						t.Errorf("it is master of %d:\n\t%s", second.masters(), strings.Join(v.log, "\n\t"))
					}
				}
				if fences := second.posts[link].fences; fences != c.fences {
					t.Errorf("it has fenced %d times", fences)
				}
			})
		}
	}
}

// With fast adverts they are asked less often than an advert lasts, each when it is its turn, and all that is heard on
// their links makes them look again.
func TestGroupOfWitnessesIsReadyTogether(t *testing.T) {
	for apart := time.Duration(0); apart < 100*time.Millisecond; apart += 10 * time.Millisecond {
		v := newVillage(t, 150, 100)
		for _, p := range v.posts() {
			p.machine.want.Witness, p.machine.want.Advertise = []netip.Addr{gateway}, 10*time.Millisecond
		}
		v.begins().pass(20 * time.Second).is("lb1")
		second := v.boxes[1]
		for _, p := range second.posts {
			p.blind = true
		}
		v.isCut().pass(time.Second)
		last := &second.posts[1].machine.witness.asked
		*last = last.Add(apart)
		for _, p := range second.posts {
			p.blind = false
		}
		for range 1000 {
			v.pass(time.Millisecond)
			for _, p := range second.posts {
				p.turns()
			}
		}
		if second.masters() != len(linkNames) {
			t.Errorf("asked %s apart it is master of %d:\n\t%s", apart, second.masters(), strings.Join(v.log[max(0, len(v.log)-4):], "\n\t"))
		}
	}
}

// Both boxes begin at once: the higher one is first, though both wait longer for a lease of which they know nothing.
func TestOfTwoThatBeginWithAWitnessTheHigherIsFirst(t *testing.T) {
	v := newVillage(t, 150, 100).with(0, gated).with(1, gated).begins().pass(20 * time.Second).is("lb1")
	for _, line := range v.log {
		if strings.Contains(line, "lb2") && strings.Contains(line, ": master: ") {
			t.Error(line)
		}
	}
}

// A master that resigns on one link does on all: nobody is asked about him on the other one, whose switch is dead, and
// nobody shoots him.
func TestGroupSucceedsAMasterThatResignsOnTheOnlyLinkThatLives(t *testing.T) {
	blind := func(p *post) { p.blind = true }
	for name, c := range map[string]struct {
		change func(*model.VirtualRouter)
		then   func(*post)
	}{
		"a witness that does not answer": {gated, blind},
		"a fence":                        {fenced, func(p *post) { p.fails = "no power" }},
		"both":                           {func(r *model.VirtualRouter) { gated(r); fenced(r) }, blind},
	} {
		for _, after := range []time.Duration{100 * time.Millisecond, 20 * time.Second} {
			t.Run(fmt.Sprintf("%s, cut for %s", name, after), func(t *testing.T) {
				v := newVillage(t, 150, 100).with(1, c.change).begins().pass(20 * time.Second)
				first, second := v.boxes[0], v.boxes[1]
				c.then(second.posts[1])
				v.cuts(1, true).pass(after).is("lb1")
				deeds, err := first.posts[0].machine.stepDown(v.now)
				if err != nil {
					t.Fatal(err)
				}
				first.posts[0].do(deeds)
				first.posts[0].turns()
				v.pass(900 * time.Millisecond).is("lb2")
				if second.posts[1].fences != 0 {
					t.Error("it has fenced who resigned")
				}
			})
		}
	}
}

// A fence that failed woke nobody: the resignation does.
func TestResignedMasterOfAGroupWakesWhoHasNothingToWaitFor(t *testing.T) {
	b := begun(t, of(100, fenced)).hears(right, said(200)).pass(4 * time.Second).ends("no power").pass(time.Minute)
	if !b.due.IsZero() {
		t.Fatalf("it is due in %s", b.due.Sub(b.now))
	}
	b.do(b.obey(b.now, decision{resigned: "192.0.2.1 has stepped down for back of its group", at: b.now}))
	b.pass(time.Second).is(model.VRRPMaster, "192.0.2.1 has stepped down for back of its group")
}

// Each has witnesses that are dead: they do not wait for one another for ever.
func TestGroupOfDeadWitnessesIsMasterAfterAWhile(t *testing.T) {
	v := newVillage(t, 150, 100).with(0, gated).with(1, gated).begins().pass(20 * time.Second)
	for _, p := range v.boxes[1].posts {
		p.blind = true
	}
	if v.isCut().pass(30 * time.Second); v.boxes[1].masters() != 0 {
		t.Fatal("they have not waited")
	}
	if v.pass(40 * time.Second); v.boxes[1].masters() != 2 {
		t.Errorf("master of %d:\n\t%s", v.boxes[1].masters(), strings.Join(v.log, "\n\t"))
	}
}
