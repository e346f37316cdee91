// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// tale is a machine in a time of its own, and what it did, as a log book.
type tale struct {
	*machine
	t     *testing.T
	start time.Time
	now   time.Time
	mute  string // why no advert gets away; "": they do
	told  model.VRRPSeen
	log   []string

	there map[netip.Addr]model.MAC // who answers
	loses func() bool              // whether a question is lost; nil: none is
}

func of(priority uint8, change ...func(*model.VirtualRouter)) model.VirtualRouter {
	router := model.VirtualRouter{Name: "front", Interface: "eth0", ID: 51, Version: model.VRRP3, Priority: priority, Advertise: time.Second,
		Addresses: []netip.Prefix{netip.PrefixFrom(vip, 24)}, Preempt: true}
	for _, c := range change {
		c(&router)
	}
	return router
}

func newTale(t *testing.T, router model.VirtualRouter) *tale {
	t0 := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	return &tale{machine: newMachine(router, left), t: t, start: t0, now: t0}
}

// begun is one that has begun.
func begun(t *testing.T, router model.VirtualRouter) *tale { return begunAt(t, router, left) }

// begunAt is one with an address of its own.
func begunAt(t *testing.T, router model.VirtualRouter, own netip.Addr) *tale {
	b := newTale(t, router)
	b.own = own
	b.do(b.machine.start(b.now, ""))
	return b
}

func (b *tale) do(deeds []deed) {
	for _, d := range deeds {
		at := b.now.Sub(b.start).Round(time.Millisecond)
		switch d.kind {
		case advertise:
			b.sends(fmt.Sprintf("%s sends %d", at, d.priority))
		case ask:
			b.asks(at)
		case fenceOff:
			b.log = append(b.log, fmt.Sprintf("%s fences %s", at, b.lost))
		case announce:
			b.log = append(b.log, fmt.Sprintf("%s announces", at))
		case tell:
			if b.seen != b.told {
				b.log = append(b.log, strings.TrimSuffix(fmt.Sprintf("%s %s: %s: unsaid: %s", at, b.seen.State, b.seen.Why, b.seen.Unsaid), ": unsaid: "))
			}
			b.told = b.seen
		}
	}
}

func (b *tale) sends(line string) {
	if b.mute == "" {
		b.log = append(b.log, line)
		b.do(b.advertised(b.now))
		return
	}
	b.log = append(b.log, line+" in vain")
	b.do(b.unsaid(b.now, b.mute))
}

// pass lets time pass, and what is due be done when it is.
func (b *tale) pass(d time.Duration) *tale {
	for end := b.now.Add(d); ; {
		next := b.deadline()
		if next.IsZero() || next.After(end) {
			b.now = end
			return b
		}
		if next.After(b.now) {
			b.now = next
		}
		b.do(b.tick(b.now))
	}
}

// said is an advert of somebody.
func said(priority uint8, change ...func(*advert)) advert {
	a := of4(model.VRRP3, model.ChecksumPseudo)
	a.priority = priority
	for _, c := range change {
		c(&a)
	}
	return a
}

func (b *tale) hears(from netip.Addr, a advert) *tale {
	b.t.Helper()
	if why := b.hearsOf(from, a); why != Taken {
		b.t.Fatalf("discarded: %s", why)
	}
	return b
}

func (b *tale) hearsOf(from netip.Addr, a advert) Reason {
	deeds, why := b.hear(b.now, a, way{from, familyOf(b.want).group, hops})
	b.do(deeds)
	return why
}

func (b *tale) stepsDown() *tale {
	b.t.Helper()
	deeds, err := b.stepDown(b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(deeds)
	return b
}

func (b *tale) letsGo() *tale { b.do(b.released(b.now)); return b }

func (b *tale) wants(router model.VirtualRouter, fault string) *tale {
	b.do(b.become(b.now, router, b.own, fault))
	return b
}

func (b *tale) forgets() *tale { b.log = nil; return b }

// reads compares the log book.
func (b *tale) reads(want ...string) {
	b.t.Helper()
	if !slices.Equal(b.log, want) {
		b.t.Errorf("it did\n\t%s\nwant\n\t%s", strings.Join(b.log, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// master is one that has become it, at 3.609 s.
func master(t *testing.T, change ...func(*model.VirtualRouter)) *tale {
	b := begun(t, of(100, change...)).pass(3700 * time.Millisecond)
	if b.seen.State != model.VRRPMaster {
		t.Fatalf("it is %s", b.seen.State)
	}
	return b.forgets()
}

// RFC 9568 section 6.4.1, RFC 3768 section 6.4.1.
func TestInitBeginsAsBackupOrOwner(t *testing.T) {
	begun(t, of(100)).pass(3608 * time.Millisecond).reads("0s backup: it has just begun")
	begun(t, of(100)).pass(5*time.Second).reads("0s backup: it has just begun",
		"3.609s sends 100", "3.609s master: no advert of anybody for 3.609s", "4.609s sends 100")
	begun(t, of(255)).pass(time.Second).reads("0s sends 255", "0s master: the addresses are this host's own", "1s sends 255")
}

func TestNothingIsBegunWithinTheStartDelay(t *testing.T) {
	b := begun(t, of(100, func(r *model.VirtualRouter) { r.StartDelay = 5 * time.Second }))
	b.pass(time.Second).hears(right, said(200))
	b.pass(9*time.Second).reads("0s init: nothing is begun for 5s after the start", "5s backup: it has just begun",
		"8.609s sends 100", "8.609s master: no advert of anybody for 3.609s", "9.609s sends 100")
}

func TestStartDelayIsOverAtItsTimeWhateverHappensMeanwhile(t *testing.T) {
	delayed := func(priority uint8) model.VirtualRouter {
		return of(priority, func(r *model.VirtualRouter) { r.StartDelay = 10 * time.Second })
	}
	b := newTale(t, delayed(255))
	b.do(b.machine.start(b.now, "eth0 is down"))
	b.pass(2*time.Second).wants(delayed(255), "").pass(9 * time.Second)
	b.reads("0s fault: eth0 is down", "2s init: nothing is begun for 10s after the start",
		"10s sends 255", "10s master: the addresses are this host's own", "11s sends 255")

	b = begun(t, delayed(100)).pass(time.Second).wants(delayed(100), "eth0 is down").pass(time.Second).wants(delayed(100), "")
	b.hears(right, said(200)).hears(right, said(0)).pass(13 * time.Second)
	b.reads("0s init: nothing is begun for 10s after the start", "1s fault: eth0 is down",
		"2s init: nothing is begun for 10s after the start", "10s backup: it has just begun",
		"13.609s sends 100", "13.609s master: no advert of anybody for 3.609s", "14.609s sends 100")

	b = begun(t, delayed(100)).pass(10*time.Second).wants(delayed(100), "eth0 is down").forgets()
	b.pass(time.Minute).wants(delayed(100), "").reads("1m10s backup: the fault is over: eth0 is down")
}

func TestStartDelayIsNotOfWhoResumes(t *testing.T) {
	router := of(100, func(r *model.VirtualRouter) { r.StartDelay = 10 * time.Second })
	b := newTale(t, router)
	b.do(b.resume(b.now))
	b.wants(router, "eth0 is down").letsGo().wants(router, "")
	b.reads("0s sends 100", "0s master: it was master until a moment ago, and nobody has missed it",
		"0s fault: eth0 is down", "0s sends 0", "0s backup: the fault is over: eth0 is down")
}

func TestStartDelayThatIsTakenBackIsNotWaitedFor(t *testing.T) {
	delayed := func(d time.Duration) model.VirtualRouter {
		return of(100, func(r *model.VirtualRouter) { r.StartDelay = d })
	}
	b := begun(t, delayed(time.Hour)).pass(time.Second).wants(delayed(time.Hour), "").wants(delayed(5*time.Second), "").pass(4 * time.Second)
	b.reads("0s init: nothing is begun for 1h0m0s after the start", "1s init: nothing is begun for 5s after the start", "5s backup: it has just begun")
	begun(t, delayed(time.Hour)).forgets().pass(time.Second).wants(delayed(0), "").reads("1s backup: it has just begun")
}

// Section 6.1: the skew lets the higher priority be first. In version 2 it is of a second, not of the interval.
func TestSkewIsOfTheMastersInterval(t *testing.T) {
	for _, c := range []struct {
		version  model.VRRPVersion
		priority uint8
		interval time.Duration
		want     time.Duration
	}{
		{model.VRRP3, 100, time.Second, 3609375 * time.Microsecond},
		{model.VRRP3, 254, time.Second, 3007812500 * time.Nanosecond},
		{model.VRRP3, 200, 100 * time.Millisecond, 321875 * time.Microsecond},
		{model.VRRP3, 1, 10 * time.Millisecond, 39960937 * time.Nanosecond},
		{model.VRRP2, 100, time.Second, 3609375 * time.Microsecond},
		{model.VRRP2, 100, 10 * time.Second, 30609375 * time.Microsecond},
	} {
		b := begun(t, of(c.priority, func(r *model.VirtualRouter) { r.Version, r.Advertise = c.version, c.interval }))
		if got := b.due.Sub(b.start); got != c.want {
			t.Errorf("version %d, %d, %s: %s, want %s", c.version, c.priority, c.interval, got, c.want)
		}
	}
	b := begun(t, of(100)).hears(right, said(200, func(a *advert) { a.interval = 2 * time.Second }))
	if got := b.due.Sub(b.start); got != 7218750*time.Microsecond {
		t.Errorf("of a master with two seconds: %s", got)
	}
}

// Section 6.4.2.
func TestBackupFollowsItsMaster(t *testing.T) {
	b := begun(t, of(100))
	for range 5 {
		b.pass(3*time.Second).hears(right, said(200))
	}
	if b.seen.Master != right || b.seen.Priority != 200 {
		t.Errorf("%+v", b.seen)
	}
	b.pass(4*time.Second).reads("0s backup: it has just begun", "3s backup: it has just begun",
		"18.609s sends 100", "18.609s master: no advert of 192.0.2.2 for 3.609s")
}

func TestEqualPriorityIsFollowed(t *testing.T) {
	b := begun(t, of(100)).pass(3*time.Second).hears(right, said(100))
	b.pass(3*time.Second).reads("0s backup: it has just begun", "3s backup: it has just begun")
}

func TestPriorityZeroIsTakenOverAfterTheSkew(t *testing.T) {
	b := begun(t, of(100)).hears(right, said(200)).pass(time.Second).forgets()
	b.hears(right, said(0)).pass(time.Second)
	b.reads("1.609s sends 100", "1.609s master: 192.0.2.2 has stepped down")
}

// A skew is there to let a higher backup be first; where there is one peer, there is no other backup.
func TestPriorityZeroOfTheOnlyPeerIsTakenOverAtOnce(t *testing.T) {
	for peers, want := range map[int]string{1: "1s", 2: "1.609s"} {
		b := begun(t, of(100, func(r *model.VirtualRouter) {
			r.Peers = []netip.Addr{right, netip.MustParseAddr("192.0.2.9")}[:peers]
		}))
		b.pass(time.Second)
		for _, priority := range []uint8{200, 0} {
			b.forgets()
			deeds, why := b.hear(b.now, said(priority), way{right, left, hops})
			if why != Taken {
				t.Fatalf("discarded: %s", why)
			}
			b.do(deeds)
		}
		b.pass(700*time.Millisecond).reads(want+" sends 100", want+" master: 192.0.2.2 has stepped down")
	}
}

func TestWhoHasSteppedDownIsTheMasterNoMore(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.9")
	b := begun(t, of(100)).hears(right, said(200)).pass(time.Second).hears(right, said(0))
	b.pass(100*time.Millisecond).hears(other, said(150))
	if b.seen.Master != other || b.seen.Priority != 150 {
		t.Errorf("its master is %s (%d)", b.seen.Master, b.seen.Priority)
	}
	b.forgets().hears(other, said(0)).pass(time.Second)
	b.reads("1.709s sends 100", "1.709s master: 192.0.2.9 has stepped down")
}

func TestPriorityZeroOfAStrangerIsNothing(t *testing.T) {
	b := begun(t, of(100)).hears(right, said(200)).forgets()
	b.hears(netip.MustParseAddr("192.0.2.9"), said(0)).pass(3 * time.Second).reads()
}

// TestPriorityZeroAfterAReloadIsTheMasters: adverts to all come from his link-local address, those to peers from another,
// and the first that comes from there may be his last.
func TestPriorityZeroAfterAReloadIsTheMasters(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.9")
	b := begun(t, of(100)).hears(right, said(200)).pass(time.Second)
	b.wants(of(100, func(r *model.VirtualRouter) { r.Peers = []netip.Addr{other} }), "").forgets()
	deeds, why := b.hear(b.now, said(0), way{other, left, hops})
	if why != Taken {
		t.Fatalf("discarded: %s", why)
	}
	b.do(deeds)
	b.pass(time.Second).reads("1s sends 100", "1s master: 192.0.2.9 has stepped down", "2s sends 100")
}

func TestBackupPreemptsALowerPriority(t *testing.T) {
	b := begun(t, of(100))
	for range 4 {
		b.hears(right, said(50)).pass(time.Second)
	}
	b.reads("0s backup: it has just begun", "0s backup: it has just begun",
		"3.609s sends 100", "3.609s master: its priority 100 is above 50 of 192.0.2.2")
}

// TestWhoIsOutrankedMayLive: only then he has something to tell, and to leave.
func TestWhoIsOutrankedMayLive(t *testing.T) {
	for _, c := range []struct {
		what     string
		priority uint8
		adverts  int // of him, one a second
		outranks bool
	}{
		{"he lives", 50, 4, true},
		{"he has fallen silent before", 50, 2, false},
		{"he was never there", 50, 0, false},
		{"he hears no witness", model.Doubtful, 4, false},
	} {
		b := begun(t, of(100))
		for range c.adverts {
			b.hears(right, said(c.priority)).pass(time.Second)
		}
		if b.pass(time.Second); c.adverts < 3 {
			b.pass(3 * time.Second)
		}
		if b.seen.State != model.VRRPMaster || b.seen.Outranks != c.outranks {
			t.Errorf("%s: it is %s, and outranks him: %t", c.what, b.seen.State, b.seen.Outranks)
		}
	}
}

func TestNoPreemptFollowsALowerPriority(t *testing.T) {
	b := begun(t, of(100, func(r *model.VirtualRouter) { r.Preempt = false }))
	for range 10 {
		b.hears(right, said(50)).pass(time.Second)
	}
	b.forgets().pass(4*time.Second).reads("12.609s sends 100", "12.609s master: no advert of 192.0.2.2 for 3.609s", "13.609s sends 100")
}

// TestWhoIsRestrainedTakesOverWhenHeMay: the plan lets it wait until it has the connections of the master.
func TestWhoIsRestrainedTakesOverWhenHeMay(t *testing.T) {
	restrained := of(100, func(r *model.VirtualRouter) { r.Preempt = false })
	b := begun(t, restrained)
	for range 60 {
		b.hears(right, said(50)).pass(time.Second)
	}
	b.forgets().wants(of(100), "")
	for range 3 {
		b.hears(right, said(50)).pass(time.Second)
	}
	b.reads("1m2.609s sends 100", "1m2.609s master: its priority 100 is above 50 of 192.0.2.2")
	b = begun(t, restrained).hears(right, said(50)).forgets() // a master that is gone is not waited for
	b.pass(4*time.Second).reads("3.609s sends 100", "3.609s master: no advert of 192.0.2.2 for 3.609s")
}

func TestPreemptDelayIsOfALivingMasterOnly(t *testing.T) {
	delayed := func(r *model.VirtualRouter) { r.PreemptDelay = time.Minute }
	b := begun(t, of(100, delayed)).forgets()
	for range 70 {
		b.hears(right, said(50)).pass(time.Second)
	}
	if b.seen.State != model.VRRPMaster || b.seen.Since.Sub(b.start) < time.Minute || b.seen.Since.Sub(b.start) > 64*time.Second {
		t.Errorf("%s since %s", b.seen.State, b.seen.Since.Sub(b.start))
	}
	b = begun(t, of(100, delayed)).hears(right, said(50)).forgets()
	b.pass(4*time.Second).reads("3.609s sends 100", "3.609s master: no advert of 192.0.2.2 for 3.609s")
}

// Section 6.4.3.
func TestMasterAdvertises(t *testing.T) {
	master(t).pass(3*time.Second).reads("4.609s sends 100", "5.609s sends 100", "6.609s sends 100")
}

func TestMasterThatWasHeldUpSendsOneAdvertNotMany(t *testing.T) {
	b := master(t)
	b.now = b.now.Add(10 * time.Second)
	b.do(b.tick(b.now))
	b.pass(1500*time.Millisecond).reads("13.7s sends 100", "14.7s sends 100")
}

func TestMasterAnswersPriorityZeroAtOnce(t *testing.T) {
	b := master(t).hears(right, said(0))
	b.pass(time.Second).reads("3.7s sends 100", "4.7s sends 100")
}

func TestMasterYieldsToAHigherPriority(t *testing.T) {
	b := master(t).hears(right, said(101))
	b.pass(3 * time.Second).reads("3.7s backup: a master of priority 101 (192.0.2.2) advertises")
	if b.seen.Master != right || b.seen.Priority != 101 {
		t.Errorf("%+v", b.seen)
	}
}

func TestGreaterAddressWinsOfEqualPriorities(t *testing.T) {
	master(t).hears(right, said(100)).reads("3.7s backup: a master of the same priority 100 and a greater address (192.0.2.2) advertises")
	b := master(t).hears(netip.MustParseAddr("192.0.2.0"), said(100))
	b.reads("3.7s sends 100", "3.7s announces")
}

func TestMasterAssertsItselfAgainstALowerPriority(t *testing.T) {
	b := master(t).hears(right, said(50)).hears(right, said(50))
	b.pass(900*time.Millisecond).hears(right, said(50))
	b.reads("3.7s sends 100", "3.7s announces", "3.7s master: no advert of anybody for 3.609s", "4.6s sends 100", "4.6s announces")
	if want := "192.0.2.2 advertises id 51 with priority 50, as if it were master: it may not hear this one"; b.seen.Conflict != want {
		t.Errorf("%q", b.seen.Conflict)
	}
	if b.pass(2 * time.Minute); b.seen.Conflict != "" {
		t.Errorf("it is still told: %q", b.seen.Conflict)
	}
}

// TestAConflictEndsWithTheMastership that it was about; others do not.
func TestAConflictEndsWithTheMastership(t *testing.T) {
	b := master(t).hears(right, said(50)).pass(900*time.Millisecond).hears(right, said(50))
	if b.seen.Conflict == "" {
		t.Fatal("there is none")
	}
	if b.hears(right, said(200)); b.seen.State != model.VRRPBackup || b.seen.Conflict != "" {
		t.Errorf("%s: %q", b.seen.State, b.seen.Conflict)
	}
	other := said(200, func(a *advert) { a.addresses = []netip.Addr{netip.MustParseAddr("192.0.2.9")} })
	b = master(t)
	b.hearsOf(right, other)
	if told := b.seen.Conflict; told == "" || b.hears(right, said(200)).seen.Conflict != told {
		t.Errorf("of the addresses: %q, then %q", told, b.seen.Conflict)
	}
}

func TestOneLowerAdvertIsNoConflict(t *testing.T) {
	b := master(t).hears(right, said(50)).pass(time.Minute).hears(right, said(50))
	if b.seen.Conflict != "" {
		t.Errorf("%q", b.seen.Conflict)
	}
}

// Both sections: a Shutdown event of a backup says nothing, one of a master priority 0.
func TestReleaseSaysGoodbyeOfAMasterOnly(t *testing.T) {
	b := begun(t, of(100)).forgets()
	b.do(b.release(b.now, "weir stops"))
	b.pass(time.Minute).reads("0s init: weir stops")

	b = master(t)
	b.do(b.release(b.now, "weir stops"))
	if !b.parting() {
		t.Error("it does not wait until the addresses are gone")
	}
	b.pass(100 * time.Millisecond).letsGo().pass(time.Minute).letsGo()
	b.reads("3.7s init: weir stops", "3.8s sends 0")
}

// Whom nobody has heard is no master: neighbours must not be told that it is.
func TestBackupIsNoMasterBeforeAnAdvertGetsAway(t *testing.T) {
	b := begun(t, of(100)).hears(right, said(50)).forgets()
	b.mute = "not permitted"
	if b.pass(5 * time.Second); b.seen.State != model.VRRPBackup || !b.seen.Since.Equal(b.start) || b.seen.Master != right {
		t.Errorf("%+v", b.seen)
	}
	b.reads("3.609s sends 100 in vain", "3.609s backup: it has just begun: unsaid: not permitted", "4.609s sends 100 in vain")
	b.mute = ""
	b.forgets().pass(time.Second).reads("5.609s sends 100", "5.609s master: its priority 100 is above 50 of 192.0.2.2")
}

func TestMuteBackupFollowsAMaster(t *testing.T) {
	b := begun(t, of(100))
	b.mute = "not permitted"
	b.pass(4*time.Second).forgets().hears(right, said(200)).pass(3 * time.Second)
	b.hears(right, said(200)).pass(4 * time.Second)
	b.reads("4s backup: it has just begun", "10.609s sends 100 in vain", "10.609s backup: it has just begun: unsaid: not permitted")
}

func TestMuteOwnerTriesAgain(t *testing.T) {
	b := newTale(t, of(255))
	b.mute = "not permitted"
	b.do(b.machine.start(b.now, ""))
	b.pass(1500 * time.Millisecond)
	b.mute = ""
	b.pass(time.Second).reads("0s sends 255 in vain", "0s backup: nobody heard that it is master: unsaid: not permitted",
		"1s sends 255 in vain", "2s sends 255", "2s master: the addresses are this host's own")
}

// Others take over after as long, so it must be none any more.
func TestMasterThatIsNotHeardForALeaseIsNone(t *testing.T) {
	b := master(t).pass(time.Second).forgets() // the last one at 4.609
	b.mute = "not permitted"
	b.pass(3*time.Second).reads("5.609s sends 100 in vain", "5.609s master: no advert of anybody for 3.609s: unsaid: not permitted",
		"6.609s sends 100 in vain", "7.609s sends 100 in vain")
	b.forgets().pass(5*time.Second).reads("8.219s sends 100 in vain", "8.219s backup: no advert got away for 3.609s: others take it for dead: unsaid: not permitted",
		"11.828s sends 100 in vain")

	b = master(t).pass(time.Second).forgets()
	b.mute = "busy"
	b.pass(2 * time.Second)
	b.mute = ""
	b.pass(3*time.Second).reads("5.609s sends 100 in vain", "5.609s master: no advert of anybody for 3.609s: unsaid: busy", "6.609s sends 100 in vain",
		"7.609s sends 100", "7.609s master: no advert of anybody for 3.609s", "8.609s sends 100", "9.609s sends 100")
}

func TestAddressesThatNobodyLetsGoOfAreWaitedForNotForLong(t *testing.T) {
	b := master(t)
	b.do(b.release(b.now, "weir stops"))
	b.pass(time.Minute).reads("3.7s init: weir stops", "4.609s sends 100", "4.7s sends 0")
}

func TestWhoStepsDownComesBackWhenNobodyElseIsThere(t *testing.T) {
	b := master(t).stepsDown().pass(100 * time.Millisecond).letsGo()
	b.reads("3.7s backup: asked to step down", "3.8s sends 0")
	for range 20 {
		b.pass(time.Second).hears(right, said(50))
	}
	b.forgets().pass(4*time.Second).reads("27.409s sends 100", "27.409s master: no advert of 192.0.2.2 for 3.609s")
	b.forgets().hears(right, said(50)).reads("27.8s sends 100", "27.8s announces")

	b.hears(right, said(200)).forgets() // and is as before: it gives way to no lower one
	for range 4 {
		b.hears(right, said(50)).pass(time.Second)
	}
	if b.seen.State != model.VRRPMaster {
		t.Errorf("it still gives way: %+v", b.seen)
	}
}

func TestOwnerThatSteppedDownStaysBackupAfterAFault(t *testing.T) {
	b := begun(t, of(255)).stepsDown().letsGo().hears(right, said(100)).forgets()
	b.wants(of(255), "down").pass(time.Second).wants(of(255), "")
	b.reads("0s fault: down", "1s backup: the fault is over: down")
	for range 20 {
		b.hears(right, said(100)).pass(time.Second)
	}
	b.forgets().pass(3*time.Second).reads("23.004s sends 255", "23.004s master: no advert of 192.0.2.2 for 3.004s")
}

// Section 7.1 has an owner discard what others say; while it is not master itself, they may well be.
func TestOwnerThatIsNotMasterHasNoConflict(t *testing.T) {
	delayed := of(255, func(r *model.VirtualRouter) { r.StartDelay = 10 * time.Second })
	b := begun(t, delayed).hears(right, said(100)).pass(time.Second).hears(right, said(100))
	if b.seen.Conflict != "" {
		t.Errorf("before it has begun: %q", b.seen.Conflict)
	}
	b = begun(t, of(255)).wants(of(255), "down").letsGo().pass(time.Second).hears(right, said(100))
	if b.seen.Conflict != "" {
		t.Errorf("in fault: %q", b.seen.Conflict)
	}
}

// Whoever has taken over and has the address cannot hear an owner whose adverts come from there.
func TestOwnerThatIsNotHeardSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		router   model.VirtualRouter
		priority uint8
		way      way
		want     string
	}{
		"IPv4":       {of(255), 200, way{right, group4, 255}, "give this interface another IPv4 address to advertise from"},
		"IPv6":       {of(255, two6), 200, way{right6, group6, 255}, "let IP protocol 112 in on that director (firewall)"},
		"two owners": {of(255), 255, way{right, group4, 255}, "write `priority: 255` on one director alone"},
	} {
		b, says := begun(t, c.router), said
		if c.way.source.Is6() {
			says = said6
		}
		if b.hear(b.now, says(c.priority), c.way); !strings.Contains(b.seen.ConflictFix, c.want) {
			t.Errorf("%s: %q", name, b.seen.ConflictFix)
		}
	}
}

// Neighbours may have heard the other one, as those of whom a lower priority tries to be master.
func TestOwnerTellsItsNeighboursAgainWhenAnotherWasMaster(t *testing.T) {
	b := begun(t, of(255)).pass(500 * time.Millisecond).forgets()
	if why := b.hearsOf(right, said(0)); why != ReasonOwner || b.seen.Conflict != "" {
		t.Errorf("who steps down: %s, %q", why, b.seen.Conflict)
	}
	for range 3 {
		if why := b.hearsOf(right, said(254)); why != ReasonOwner || b.seen.Conflict == "" {
			t.Errorf("another master: %s, %q", why, b.seen.Conflict)
		}
	}
	b.pass(550*time.Millisecond).hearsOf(right, said(254))
	b.reads("500ms announces", "500ms master: the addresses are this host's own", "1s sends 255", "1.05s announces")

	b = begun(t, of(255)).forgets() // two owners shall not shout each other down
	b.hearsOf(right, said(255))
	b.reads("0s master: the addresses are this host's own")
}

func TestBackupCannotStepDown(t *testing.T) {
	if _, err := begun(t, of(100)).stepDown(time.Time{}); err == nil || err.Error() != "it is not master here" {
		t.Errorf("%v", err)
	}
}

func TestFaultEndsAndBeginsAnew(t *testing.T) {
	b := master(t).wants(of(100), "interface eth0 is down").wants(of(100), "interface eth0 is down").letsGo()
	b.pass(time.Second).wants(of(100), "there is no interface eth0").hears(right, said(200))
	b.wants(of(100), "").pass(4 * time.Second)
	b.reads("3.7s fault: interface eth0 is down", "3.7s sends 0", "4.7s fault: there is no interface eth0",
		"4.7s backup: the fault is over: there is no interface eth0",
		"8.309s sends 100", "8.309s master: no advert of anybody for 3.609s")
}

// Who has the addresses yet tells nobody that he has not.
func TestFaultThatPassesBeforeTheAddressesAreGone(t *testing.T) {
	b := master(t).wants(of(100), "down").wants(of(100), "")
	b.pass(950*time.Millisecond).letsGo().pass(3600*time.Millisecond).reads("3.7s fault: down", "3.7s backup: the fault is over: down",
		"4.609s sends 100", "4.65s sends 0")
	b.forgets().pass(10*time.Millisecond).reads("8.259s sends 100", "8.259s master: no advert of anybody for 3.609s")

	b = begun(t, of(255)).forgets().wants(of(255), "down").wants(of(255), "").pass(100 * time.Millisecond).letsGo()
	b.reads("0s fault: down", "0s backup: the fault is over: down",
		"100ms sends 0", "100ms sends 255", "100ms master: the addresses are this host's own")
}

func TestFaultFromTheStart(t *testing.T) {
	b := newTale(t, of(255)).wants(of(255), "down").wants(of(255), "")
	b.reads("0s fault: down", "0s sends 255", "0s master: the addresses are this host's own")
}

func TestChangeIsAdvertisedAtOnce(t *testing.T) {
	faster := of(150, func(r *model.VirtualRouter) { r.Advertise = 500 * time.Millisecond })
	b := master(t).wants(of(100), "").wants(faster, "").pass(time.Second)
	b.reads("3.7s sends 150", "4.2s sends 150", "4.7s sends 150")
	alone := of(150, func(r *model.VirtualRouter) { r.Peers = []netip.Addr{right} }) // who hears it by another way
	master(t).wants(alone, "").pass(time.Second).reads("3.7s sends 150", "4.7s sends 150")
}

func TestBackupWaitsAsTheNewPrioritySays(t *testing.T) {
	b := begun(t, of(100)).pass(time.Second).wants(of(200), "").pass(3 * time.Second)
	b.reads("0s backup: it has just begun", "3.219s sends 200", "3.219s master: no advert of anybody for 3.219s")
	begun(t, of(100)).pass(time.Second).wants(of(255), "").reads("0s backup: it has just begun",
		"1s sends 255", "1s master: the addresses are this host's own")
}

// Fault 14: whoever has other addresses is not one of us.
func TestAdvertsThatAreNotOneOfUsChangeNothing(t *testing.T) {
	unicast := func(r *model.VirtualRouter) { r.Peers = []netip.Addr{right} }
	two := func(r *model.VirtualRouter) { r.Version = model.VRRP2 }
	stranger := netip.MustParseAddr("192.0.2.9")
	for name, c := range map[string]struct {
		router   model.VirtualRouter
		advert   advert
		way      way
		want     Reason
		conflict string
	}{
		"own":       {of(100), said(200), way{left, group4, 255}, ReasonOwn, ""},
		"unicast":   {of(100), said(200), way{right, left, 255}, ReasonDestination, ""},
		"multicast": {of(100, unicast), said(200), way{right, group4, 255}, ReasonDestination, ""},
		"peer":      {of(100, unicast), said(200), way{stranger, left, 255}, ReasonPeer, ""},
		"version": {of(100), said(200, func(a *advert) { a.version = model.VRRP2 }), way{right, group4, 255}, ReasonVersion,
			"192.0.2.2 advertises id 51 in version 2, here it is version 3"},
		"password": {of(100, two), said(200, func(a *advert) { a.version, a.auth.kind = model.VRRP2, authPassword }), way{right, group4, 255}, ReasonAuth,
			"192.0.2.2 advertises id 51 with a password, here there is none"},
		"interval": {of(100, two), said(200, func(a *advert) { a.version, a.interval = model.VRRP2, 2*time.Second }), way{right, group4, 255}, ReasonInterval,
			"192.0.2.2 advertises id 51 every 2s, here it is every 1s"},
		"other address": {of(100), said(200, func(a *advert) { a.addresses = []netip.Addr{stranger} }), way{right, group4, 255}, ReasonAddresses,
			"192.0.2.2 advertises id 51 with other addresses (192.0.2.9)"},
		"one more": {of(100), said(200, func(a *advert) { a.addresses = []netip.Addr{vip, vip} }), way{right, group4, 255}, ReasonAddresses,
			"192.0.2.2 advertises id 51 with other addresses (192.0.2.100, 192.0.2.100)"},
		"no address": {of(100), said(200), way{netip.IPv4Unspecified(), group4, 255}, ReasonSource,
			"somebody advertises id 51 from 0.0.0.0, which is no address"},
		"no address, by unicast": {of(100, unicast), said(200), way{netip.IPv4Unspecified(), left, 255}, ReasonSource,
			"somebody advertises id 51 from 0.0.0.0, which is no address"},
		"no address of IPv6": {of(100, two6), said6(200), way{netip.IPv6Unspecified(), group6, 255}, ReasonSource,
			"somebody advertises id 51 from ::, which is no address"},
		"one fewer": {of(100, two6), said6(200, func(a *advert) { a.addresses = a.addresses[:1] }), way{right6, group6, 255}, ReasonAddresses,
			"fe80::10 advertises id 51 with other addresses (fe80::100)"},
		"no address of the link": {of(100, two6), said6(200, func(a *advert) { a.addresses = a.addresses[1:] }), way{right6, group6, 255}, ReasonAddresses,
			"fe80::10 advertises id 51 with other addresses (2001:db8::100)"},
		"one fewer, of an owner": {of(100, two6), said6(255, func(a *advert) { a.addresses = a.addresses[:1] }), way{right6, group6, 255}, ReasonAddresses,
			"fe80::10 advertises id 51 with other addresses (fe80::100)"},
		"owner": {of(255), said(200), way{right, group4, 255}, ReasonOwner,
			"192.0.2.2 advertises id 51 whose addresses are this host's own"},
	} {
		b := begun(t, c.router)
		state, due := b.seen.State, b.due
		if _, why := b.hear(b.now, c.advert, c.way); why != c.want {
			t.Errorf("%s: %s, want %s", name, why, c.want)
		}
		if b.seen.State != state || !b.due.Equal(due) || b.seen.Conflict != c.conflict {
			t.Errorf("%s: %+v", name, b.seen)
		}
	}
}

// Section 7.1: in version 3 another interval is the master's to choose, and told.
func TestAnotherIntervalIsFollowedAndTold(t *testing.T) {
	slow := func(a *advert) { a.interval = 2 * time.Second }
	const told = "192.0.2.2 advertises id 51 every 2s, here it is every 1s: the master's counts"
	b := begun(t, of(100)).hears(right, said(200, slow))
	if b.seen.Conflict != told || b.seen.ConflictFix == "" || b.seen.Master != right || b.active != 2*time.Second {
		t.Errorf("a backup: %+v", b.seen)
	}
	b.pass(30*time.Second).hears(right, said(200))
	if b.pass(31 * time.Second); b.seen.Conflict != "" {
		t.Errorf("it is the same for a minute: %+v", b.seen)
	}
	b = begun(t, of(100)).pass(4*time.Second).hears(right, said(50, slow))
	if b.seen.Conflict != told || b.seen.State != model.VRRPMaster {
		t.Errorf("a master: %+v", b.seen)
	}
	b = begun(t, of(100, func(r *model.VirtualRouter) {
		r.Paths = []model.VRRPPath{{Interface: "eth1", Peer: cableRight, Director: right}}
	}))
	if _, why := b.hearBy(b.now, said(200, slow), way{cableRight, cableLeft, hops}, via{1, cableLeft}); why != Taken || b.seen.Conflict != told {
		t.Errorf("by a path: %s, %+v", why, b.seen)
	}
}

// Section 5.2.9: of IPv6 the first one is to be of the link. That is the sender's business: section 7.1 has nobody look
// at it.
func TestOrderOfAddressesIsFineInIPv6(t *testing.T) {
	b := begunAt(t, of(100, two6), left6).hears(right6, said6(200, func(a *advert) { slices.Reverse(a.addresses) }))
	if b.seen.Master != right6 || b.seen.Conflict != "" {
		t.Errorf("%+v", b.seen)
	}
}

func TestOrderOfAddressesAndAPeerAreFine(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.101")
	b := begun(t, of(100, func(r *model.VirtualRouter) {
		r.Addresses = append(r.Addresses, netip.PrefixFrom(other, 24))
		r.Peers = []netip.Addr{right}
	}))
	a := said(200, func(a *advert) { a.addresses = []netip.Addr{other, vip} })
	if _, why := b.hear(b.now, a, way{right, left, 255}); why != Taken || b.seen.Master != right {
		t.Errorf("%s, %+v", why, b.seen)
	}
}

func TestManyConflictsAreToldSeldom(t *testing.T) {
	b := begun(t, of(100, func(r *model.VirtualRouter) { r.StartDelay = time.Hour })).forgets()
	for i := range 200 {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)})
		b.hearsOf(from, said(200, func(a *advert) { a.addresses = []netip.Addr{from} }))
		b.pass(100 * time.Millisecond)
	}
	if len(b.log) != 2 {
		t.Errorf("told %d times", len(b.log))
	}
}

func TestOfTwoMastersTheOneIsToldWhoWillBeLeft(t *testing.T) {
	b := begun(t, of(50)).hears(right, said(200)).forgets()
	for range 5 {
		b.pass(500*time.Millisecond).hears(netip.MustParseAddr("192.0.2.9"), said(100))
		b.pass(500*time.Millisecond).hears(right, said(200))
	}
	if b.reads(); b.seen.Master != right {
		t.Errorf("%+v", b.seen)
	}
	b.pass(3*time.Second).hears(netip.MustParseAddr("192.0.2.9"), said(100)).pass(time.Second).hears(netip.MustParseAddr("192.0.2.9"), said(100))
	if b.seen.Priority != 100 {
		t.Errorf("%+v", b.seen)
	}
}

func TestChecksumIsThatOfTheLastPeer(t *testing.T) {
	b := begun(t, of(100))
	if got := b.advert(100).checksum; got != model.ChecksumPseudo {
		t.Errorf("at first: %s", got)
	}
	b.hears(right, said(200, func(a *advert) { a.checksum = model.ChecksumMessage }))
	if got := b.advert(100).checksum; got != model.ChecksumMessage {
		t.Errorf("of a peer: %s", got)
	}
	b.wants(of(100, func(r *model.VirtualRouter) { r.Checksum = model.ChecksumPseudo }), "")
	if got := b.advert(100).checksum; got != model.ChecksumPseudo {
		t.Errorf("as it is wanted: %s", got)
	}
}
