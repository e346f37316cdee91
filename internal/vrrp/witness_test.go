// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

var (
	gateway = netip.MustParseAddr("192.0.2.254")
	theMAC  = model.MAC{2, 0, 0, 0, 0, 2}
)

func witnessed(r *model.VirtualRouter) {
	r.Witness, r.Advertise = []netip.Addr{gateway}, 100*time.Millisecond
}

// asks: who is there answers at once.
func (b *tale) asks(time.Duration) {
	if b.loses != nil && b.loses() {
		return
	}
	for address, mac := range b.there {
		b.answer(b.now, address, mac)
	}
}

func (b *tale) answers(address netip.Addr) *tale {
	if b.there == nil {
		b.there = map[netip.Addr]model.MAC{}
	}
	b.there[address] = theMAC
	return b
}

func (b *tale) isGone(address netip.Addr) *tale { delete(b.there, address); return b }

// hearsFor is a master's adverts for a while.
func (b *tale) hearsFor(d time.Duration, from netip.Addr, priority uint8) *tale {
	b.t.Helper()
	for end := b.now.Add(d); b.now.Before(end); b.pass(100 * time.Millisecond) {
		b.hears(from, quick(priority))
	}
	return b
}

// quick is an advert of a master that has one every 100 ms.
func quick(priority uint8) advert {
	return said(priority, func(a *advert) { a.interval = 100 * time.Millisecond })
}

func (b *tale) is(state model.VRRPState, why string) *tale {
	b.t.Helper()
	if b.seen.State != state || !strings.Contains(b.seen.Why, why) {
		b.t.Fatalf("it is %s: %s, want %s: %s\n%s", b.seen.State, b.seen.Why, state, why, strings.Join(b.log, "\n"))
	}
	return b
}

// The master dies: nobody answers for the address any more, and the witness does.
func TestWitnessLetsABackupTakeOverInTime(t *testing.T) {
	b := begun(t, of(200, witnessed)).answers(gateway).hearsFor(10*time.Second, right, 210)
	silent := b.heard
	b.pass(400*time.Millisecond).is(model.VRRPMaster, "no advert of 192.0.2.2 for 335ms")
	if took := b.seen.Since.Sub(silent); took > 340*time.Millisecond {
		t.Errorf("after %s", took)
	}
	if b.seen.Held != "" || b.seen.Silent != "" {
		t.Errorf("%+v", b.seen)
	}
}

// The heartbeat is cut, and the LAN lives: the master answers for the address. When he does not any more, he is dead.
func TestWhoHearsThatTheMasterLivesStaysBackup(t *testing.T) {
	b := begun(t, of(100, witnessed)).answers(gateway).hearsFor(10*time.Second, right, 150)
	b.answers(vip).pass(time.Hour).is(model.VRRPBackup, "no advert of 192.0.2.2 for 361ms, but 02:00:00:00:00:02 answers for 192.0.2.100: a master lives, and his adverts do not come here")
	if b.seen.Held == "" {
		t.Error("nobody is told")
	}
	b.isGone(vip).pass(time.Second).is(model.VRRPMaster, "no advert of 192.0.2.2")
	if b.seen.Held != "" {
		t.Errorf("%+v", b.seen)
	}
}

// The patience is with silence: it begins when the last neighbour has answered, however long one did before.
func TestHoursOfAnAnsweringMasterAreNoSilence(t *testing.T) {
	b := begun(t, of(100, witnessed)).answers(gateway).hearsFor(10*time.Second, right, 150)
	b.answers(vip).pass(time.Hour).is(model.VRRPBackup, "a master lives")
	b.isGone(gateway).isGone(vip).pass(50*time.Second).is(model.VRRPBackup, "no witness answers")
	b.pass(20*time.Second).is(model.VRRPMaster, ", and no witness answers")
}

// What a dead master's kernel answered while his lease held is no sign of life.
func TestAnswersWithinTheLeaseAreNone(t *testing.T) {
	b := begun(t, of(100, witnessed)).answers(gateway).answers(vip).hearsFor(10*time.Second, right, 150)
	lease := machine{want: of(150, witnessed), active: 100 * time.Millisecond}
	b.pass(b.heard.Add(lease.down()).Sub(b.now)).isGone(vip)
	b.pass(300*time.Millisecond).is(model.VRRPMaster, "no advert of 192.0.2.2 for 361ms")
}

// Whether he lives is not for one frame to say: of the questions after his lease, any but one may be lost.
func TestLostQuestionKillsNobody(t *testing.T) {
	for _, interval := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		for answered := range 3 {
			b := begun(t, of(100, witnessed, func(r *model.VirtualRouter) { r.Advertise = interval })).answers(gateway).answers(vip)
			for range 10 {
				b.hears(right, said(150, func(a *advert) { a.interval = interval })).pass(interval)
			}
			asked, lease := 0, b.probeAt()
			b.loses = func() bool {
				if b.now.Before(lease) {
					return false
				}
				asked++
				return asked-1 != answered
			}
			b.pass(lease.Add(max(b.down()-lease.Sub(b.heard), b.grace())).Sub(b.now)).is(model.VRRPBackup, "a master lives")
			if asked != 3 {
				t.Errorf("every %s it has asked %d times", interval, asked)
			}
		}
	}
}

// It is cut off: neither master nor witness. When the cable is in again it hears the master, and nothing has happened.
func TestWhoIsCutOffStaysBackup(t *testing.T) {
	b := begun(t, of(100, witnessed)).answers(gateway).hearsFor(10*time.Second, right, 150).forgets()
	b.isGone(gateway).pass(30*time.Second).is(model.VRRPBackup, "but no witness answers (192.0.2.254): this director may be cut off")
	b.answers(gateway).hearsFor(time.Second, right, 150).is(model.VRRPBackup, "there is a master again")
	if b.seen.Held != "" || b.seen.Master != right {
		t.Errorf("%+v", b.seen)
	}
	b.pass(time.Second).is(model.VRRPMaster, "no advert of 192.0.2.2")
}

// What does not answer in the silence was not dead before, however the questions fell between the adverts.
func TestWhoIsCutOffHasNoDeadWitness(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 50 * time.Millisecond {
		b := begun(t, of(100, witnessed, func(r *model.VirtualRouter) { r.Advertise = time.Second })).answers(gateway).pass(phase)
		for range 10 {
			b.hears(right, said(150)).pass(time.Second)
		}
		b.hears(right, said(150)).isGone(gateway).pass(50*time.Second).is(model.VRRPBackup, "no witness answers")
	}
}

// An answer of before the cut is none: it came when the master was heard, too.
func TestAnswersOfBeforeTheSilenceAreNone(t *testing.T) {
	b := begun(t, of(200, witnessed)).answers(gateway).hearsFor(10*time.Second, right, 210)
	b.answer(b.now.Add(-50*time.Millisecond), gateway, theMAC)
	b.isGone(gateway).pass(10*time.Second).is(model.VRRPBackup, "no witness answers")
	b.answers(gateway).pass(200*time.Millisecond).is(model.VRRPMaster, "no advert")
}

// A dead witness must not stop both for ever: what was silent while the master was heard proves nothing, and what has
// died with him is waited for a minute.
func TestDeadWitnessStopsNobodyForEver(t *testing.T) {
	b := begun(t, of(100, witnessed)).hearsFor(10*time.Second, right, 150)
	if b.seen.Silent != "no witness answers (192.0.2.254)" {
		t.Errorf("it tells %q", b.seen.Silent)
	}
	b.pass(500*time.Millisecond).is(model.VRRPMaster, "no advert of 192.0.2.2 for 361ms, and no witness answers")

	b = begun(t, of(100, witnessed)).answers(gateway).hearsFor(10*time.Second, right, 150)
	b.isGone(gateway).pass(50*time.Second).is(model.VRRPBackup, "no witness answers")
	b.pass(20*time.Second).is(model.VRRPMaster, ", and no witness answers")

	b = begun(t, of(100, witnessed)).pass(50*time.Second).is(model.VRRPBackup, "no witness answers") // both have just begun
	b.pass(20*time.Second).is(model.VRRPMaster, ", and no witness answers")
}

// Who is told by the master himself needs no witness.
func TestResignedMasterNeedsNoWitness(t *testing.T) {
	b := begun(t, of(200, witnessed)).hearsFor(time.Second, right, 210)
	b.answers(vip).hears(right, quick(0)).pass(50*time.Millisecond).is(model.VRRPMaster, "192.0.2.2 has stepped down")
}

// A third director that ends says nothing of the master who is missed.
func TestResignationOfAnotherOneIsNone(t *testing.T) {
	third := netip.MustParseAddr("192.0.2.3")
	b := begun(t, of(100, witnessed)).answers(gateway).hearsFor(time.Second, right, 150).answers(vip).pass(10 * time.Second)
	b.hears(third, quick(0)).pass(10*time.Second).is(model.VRRPBackup, "a master lives")
	b.hears(right, quick(0)).pass(100*time.Millisecond).is(model.VRRPMaster, "192.0.2.2 has stepped down")

	b = begun(t, of(100, fenced)).hears(right, said(200)).pass(4 * time.Second).ends("no power")
	b.hears(third, said(0)).pass(time.Minute).is(model.VRRPBackup, "the fence has failed")
}

func TestBetterPriorityNeedsNoWitness(t *testing.T) {
	b := begun(t, of(200, witnessed)).answers(vip).hearsFor(time.Second, right, 100)
	b.is(model.VRRPMaster, "its priority 200 is above 100 of 192.0.2.2")
}

// A master stays it without a witness, since that may be dead; but whoever has one is better, and his adverts say so.
// When it answers again and no other master is heard, his priority is back.
func TestMasterWithoutWitnessLeavesTheAddressesToWhoHasOne(t *testing.T) {
	b := begun(t, of(150, witnessed)).answers(gateway).pass(10*time.Second).is(model.VRRPMaster, "")
	b.isGone(gateway).forgets().pass(8 * time.Second)
	b.is(model.VRRPMaster, "").mustSay(model.Doubtful)
	if want := "no witness answers (192.0.2.254); adverts say priority 1 until one has again"; b.seen.Silent != want {
		t.Errorf("it tells %q, want %q", b.seen.Silent, want)
	}
	b.answers(gateway).pass(5 * time.Second)
	b.mustSay(150)

	b.isGone(gateway).pass(8*time.Second).hears(right, quick(100))
	b.is(model.VRRPBackup, "a master of priority 100 (192.0.2.2) advertises, and no witness answers here")
}

// Who is not asked any more leaves no doubt, and neither does who was another one.
func TestWitnessThatIsTakenOutLeavesNoDoubt(t *testing.T) {
	for name, change := range map[string]func(*model.VirtualRouter){
		"none":         func(r *model.VirtualRouter) { r.Witness = nil },
		"another one":  func(r *model.VirtualRouter) { r.Witness = []netip.Addr{right} },
		"one more too": func(r *model.VirtualRouter) { r.Witness = append(r.Witness, right) },
	} {
		t.Run(name, func(t *testing.T) {
			b := begun(t, of(150, witnessed)).answers(gateway).pass(10*time.Second).is(model.VRRPMaster, "").isGone(gateway).pass(8 * time.Second)
			b.mustSay(model.Doubtful)
			b.forgets().wants(of(150, witnessed, change), "").mustSay(150)
			if len(b.log) == 0 || !strings.HasSuffix(b.log[0], "sends 150") {
				t.Errorf("it did %q", b.log)
			}
			if b.pass(time.Second); strings.Contains(b.seen.Silent, "priority 1") {
				t.Errorf("it tells %q", b.seen.Silent)
			}
		})
	}
}

// The way out of being held back that the documentation names.
func TestWitnessThatIsTakenOutHoldsNobodyBack(t *testing.T) {
	b := begun(t, of(100, witnessed)).answers(gateway).hearsFor(10*time.Second, right, 150).answers(vip).pass(time.Minute)
	b.is(model.VRRPBackup, "a master lives").wants(of(100, witnessed, func(r *model.VirtualRouter) { r.Witness = nil }), "")
	b.pass(time.Second).is(model.VRRPMaster, "no advert of 192.0.2.2")
}

func (b *tale) mustSay(priority uint8) {
	b.t.Helper()
	if said := b.says(); said != priority {
		b.t.Fatalf("its adverts say %d, want %d", said, priority)
	}
}

// Of a master who is in doubt a backup takes over if it has a witness, and only then: whatever preempt says.
func TestDoubtfulMasterIsRelievedByWhoHasAWitness(t *testing.T) {
	idle := func(r *model.VirtualRouter) { witnessed(r); r.Preempt = false }
	begun(t, of(100, idle)).answers(gateway).hearsFor(3*time.Second, right, model.Doubtful).is(model.VRRPMaster, "its priority 100 is above 1 of 192.0.2.2")
	begun(t, of(100, witnessed)).hearsFor(10*time.Second, right, model.Doubtful).is(model.VRRPBackup, "it has just begun")
}

// Adverts of before his doubt may come late, since they waited for ARP: who stepped back for them is master again at once.
func TestAdvertsThatWaitedForARPMoveNothing(t *testing.T) {
	b := begun(t, of(100, witnessed)).answers(gateway).pass(10*time.Second).is(model.VRRPMaster, "")
	b.hears(right, quick(150)).is(model.VRRPBackup, "a master of priority 150")
	b.hears(right, quick(model.Doubtful)).pass(0).is(model.VRRPMaster, "its priority 100 is above 1 of 192.0.2.2")
}

// TestTwoDirectorsOfADeadWitness: nothing moves for it.
func TestTwoDirectorsOfADeadWitness(t *testing.T) {
	b := begun(t, of(150, witnessed)).pass(time.Minute+10*time.Second).is(model.VRRPMaster, "")
	b.pass(time.Minute).mustSay(150) // it has never answered: that means nothing
}

// Both were masters: the heartbeat and all else between the two was cut, and both had their witness. One is left.
func TestSplitBrainHealsToOneThatAnnouncesItself(t *testing.T) {
	better, worse := begun(t, of(150, witnessed)).answers(gateway), begun(t, of(100, witnessed)).answers(gateway)
	better.pass(10*time.Second).is(model.VRRPMaster, "").forgets()
	worse.pass(10*time.Second).is(model.VRRPMaster, "").forgets()
	better.hears(right, quick(100)).reads("10s sends 150", "10s announces")
	worse.hears(right, quick(150)).reads("10s backup: a master of priority 150 (192.0.2.2) advertises")
}

// Who stood still between two questions asks all three, and waits for what is said to the last one: he lives.
func TestWhoStoodStillAsksThriceAllTheSame(t *testing.T) {
	for stood := range 4 { // behind so many questions
		b := begun(t, of(100, witnessed)).answers(gateway).answers(vip).hearsFor(2*time.Second, right, 150)
		asked, lease := 0, b.probeAt()
		b.loses = func() bool {
			if b.now.Before(lease) {
				return false
			}
			if asked++; asked-1 == stood {
				b.now = b.now.Add(b.grace())
			}
			return asked < 3
		}
		b.pass(lease.Add(3*b.grace()).Sub(b.now)).is(model.VRRPBackup, "a master lives")
	}
}
