// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// machine is a virtual router (RFC 9568 section 6.4, RFC 3768 section 6.4). It is pure: it reads no clock.
//
//	            start, and after StartDelay, unless there is a fault
//	   ┌─────────── init ◄──── release: it ends
//	   ▼             │
//	backup ◄─┐       │ owner of the addresses
//	   │  ▲  │       ▼
//	   │  │  └──── master ◄─┐
//	   │  │  higher priority│ no advert for a master-down interval,
//	   │  │  or step down   │ or a skew after priority 0, nothing where it has one peer
//	   └──┼─────────────────┘
//	      └──────► fault ◄── from everywhere, as long as there is one
//
// Of a group (group.go) it rises only when the others may, and with the first of them.
//
// Who was master and was not overcome by another one lets go of the addresses first, and says priority 0 then: until
// its owner has done so, or ReleaseWithin is over, it goes on to advertise.
type machine struct {
	want    model.VirtualRouter
	own     netip.Addr // that adverts come from; it decides between equal priorities
	seen    model.VRRPSeen
	due     time.Time // init: it begins; backup: the master is missed; master: the next advert; zero: nothing comes
	goodbye time.Time // until then it lets go of the addresses; zero: it does not
	begins  time.Time // nothing is begun before: StartDelay after the start, whatever happened since; zero: it has begun once

	// Of a backup.
	active       time.Duration // from advert to advert of the master (Active_Adver_Interval)
	heard        time.Time     // since when the master is missed
	cause        string        // why it will be master, if it is not for silence
	latest       time.Time     // when the master that it knows was heard
	lost         netip.Addr    // who that was, also when he is silent; zero: it has heard none
	lostPriority uint8
	readdressed  bool      // since then a reload has changed Peers: his adverts may come from another address
	met          time.Time // when this one stepped back for him, being master too; zero: it was none
	left         bool      // he has said that he is none any more
	outranks     bool      // he lives, and is of a lower priority
	preempt      time.Time // when it stops to give way to a master of lower priority; zero: there was none
	gaveWay      bool      // it was asked to step down, and takes over from nobody who lives

	// Of a master.
	said     time.Time      // when an advert last got away; zero: none has since it rose
	before   model.VRRPSeen // it rose
	asserted time.Time      // when it last answered a lower priority
	rivals   int            // adverts of others in a row, who hold themselves for master
	rivalAt  time.Time      // when there was the latest

	guard     guard // of whom it believes
	paths     paths
	reviews   time.Time // when a path may have fallen silent; zero: none can
	witness   witness
	fence     fence
	checksum  model.VRRPChecksum // that others had last
	conflicts struct {
		latest time.Time // when there last was the one that is told
		told   time.Time // since when it is
		rival  bool      // it is of another master, and over when this one is none any more
	}

	// Of one of a group.
	others   others // what the others of it say
	waits    bool   // it would be master, but for them
	resigned string // its master has stepped down, and they were not told yet
}

// ReleaseWithin is how long who steps down advertises still, at most, while he lets go of the addresses: so long nobody
// takes over from him.
const ReleaseWithin = time.Second

const (
	// A conflict is forgotten after so long without another; a second one is told so long after the first.
	conflictLasts = time.Minute
	conflictEvery = 10 * time.Second
	// One advert of a lower priority may have been under way when this one became master.
	rivalsTold = 2
	owner      = model.OwnerPriority // the priority of who has the addresses for his own
)

// deed is what a machine wants done.
type deed struct {
	kind     deedKind
	priority uint8 // of an advert
}

type deedKind uint8

const (
	advertise deedKind = iota + 1 // send an advert
	tell                          // what is seen is something else now
	announce                      // the neighbours are to be told again whose the addresses are
	ask                           // witnesses are to be asked, and who has the address
	fenceOff                      // the silent master is to be made harmless
)

func newMachine(want model.VirtualRouter, own netip.Addr) *machine {
	m := &machine{want: want, own: own, guard: newGuard(), checksum: model.ChecksumPseudo}
	m.seats()
	return m
}

// start is the RFC's Startup event. Nothing is begun within StartDelay, nor as long as there is a fault.
func (m *machine) start(now time.Time, fault string) []deed {
	m.begins = now.Add(m.want.StartDelay)
	if fault != "" {
		return m.leave(now, model.VRRPFault, fault)
	}
	return m.begin(now, "it has just begun")
}

// resume is the way into master of one that was it until a moment ago. For him there is no StartDelay.
func (m *machine) resume(now time.Time) []deed {
	return m.rise(now, "it was master until a moment ago, and nobody has missed it")
}

// lasts is how long a backup waits for an advert of this master: longer, since it is of a lower priority.
func (m *machine) lasts() time.Duration {
	backup := machine{want: m.want, active: m.want.Advertise}
	return backup.down()
}

// begin is the way out of init and fault (section 6.4.1).
func (m *machine) begin(now time.Time, why string) []deed {
	if now.Before(m.begins) {
		m.due = m.begins
		return m.enter(now, model.VRRPInit, fmt.Sprintf("nothing is begun for %s after the start", m.want.StartDelay))
	}
	m.begins = time.Time{}
	if m.isOwner() {
		return m.rise(now, "the addresses are this host's own")
	}
	if m.seen.State == model.VRRPFault {
		m.awaitAgain(now)
	} else {
		m.await(now)
	}
	return m.enter(now, model.VRRPBackup, why)
}

// isOwner says whether the addresses are this host's own, and nobody has asked it to leave them to another one.
func (m *machine) isOwner() bool { return m.want.Priority == owner && !m.gaveWay }

// await waits for a master of whom nothing is known.
func (m *machine) await(now time.Time) {
	m.active, m.heard, m.cause, m.preempt = m.want.Advertise, now, "", time.Time{}
	m.forsake()
	m.calm()
	m.due = now.Add(m.down())
}

// awaitAgain waits after a fault. Who was silent before it is so still until somebody is heard: whether he is harmless,
// a fence says that runs on, or that has failed. Who had resigned need not be made so.
func (m *machine) awaitAgain(now time.Time) {
	resigned, lost, priority, met, fence := m.left, m.lost, m.lostPriority, m.met, m.fence
	if m.await(now); resigned {
		return
	}
	m.lost, m.lostPriority, m.met = lost, priority, met
	fence.done, fence.shown = fence.done && fence.failure != "", false
	m.fence = fence
}

// forsake is that this one was master since: whom it had followed before is nothing to it.
func (m *machine) forsake() {
	m.lost, m.lostPriority, m.met = netip.Addr{}, 0, time.Time{}
	m.fence.calm()
}

// deadline is when tick is to be called; zero: not before something else happens.
func (m *machine) deadline() (first time.Time) {
	for _, t := range []time.Time{m.due, m.goodbye, m.conflictEnds(), m.questionDue(), m.reviews} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// tick does what is due.
func (m *machine) tick(now time.Time) []deed {
	do := append(m.forget(now), m.question(now)...)
	do = append(do, m.act(now)...)
	return append(do, m.review(now)...)
}

func (m *machine) act(now time.Time) []deed {
	if isDue(m.goodbye, now) {
		return m.released(now)
	}
	if !isDue(m.due, now) {
		return nil
	}
	switch {
	case m.seen.State == model.VRRPMaster || m.parting():
		m.again(now)
		return []deed{{advertise, m.says()}}
	case m.seen.State == model.VRRPInit:
		return m.begin(now, "it has just begun")
	case m.others.keeps != "":
		return m.wait(now)
	}
	return m.takeOver(now)
}

func isDue(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// again sets the next advert, from when this one was due: late ones do not make all later.
func (m *machine) again(now time.Time) {
	if m.due = m.due.Add(m.want.Advertise); !m.due.After(now) {
		m.due = now.Add(m.want.Advertise)
	}
}

// missing is why a backup becomes master.
func (m *machine) missing(now time.Time) string {
	if m.cause != "" {
		return m.cause
	}
	who := "anybody"
	if m.seen.Master.IsValid() {
		who = m.seen.Master.String()
	}
	return fmt.Sprintf("no advert of %s for %s", who, now.Sub(m.heard).Round(time.Millisecond))
}

// rise makes it master (section 6.4.2). That it must announce itself follows from its state.
func (m *machine) rise(now time.Time, why string) []deed {
	m.due, m.cause = now.Add(m.want.Advertise), why
	m.before, m.said = m.seen, time.Time{}
	m.gaveWay, m.rivals, m.asserted = false, 0, time.Time{}
	m.witness.trusted = m.answersLately(now)
	outranks := m.outranks && m.before.Priority != model.Doubtful && now.Before(m.latest.Add(2*m.active))
	do := append([]deed{{advertise, m.want.Priority}}, m.enter(now, model.VRRPMaster, why)...)
	m.seen.Outranks = outranks
	return do
}

func (m *machine) enter(now time.Time, state model.VRRPState, why string) []deed {
	if m.seen.State == model.VRRPMaster && state != m.seen.State { // what was silent then says nothing of now
		m.witness.unheard, m.witness.doubt = 0, false
	}
	if m.conflicts.rival && state != model.VRRPMaster { // whoever is it now may say so
		m.dropConflict()
	}
	m.seen = model.VRRPSeen{State: state, Since: now, Why: why, Conflict: m.seen.Conflict, ConflictFix: m.seen.ConflictFix, Silent: m.seen.Silent}
	m.waits, m.resigned = false, ""
	return []deed{{kind: tell}}
}

// advertised is that an advert got away: others believe that it is master.
func (m *machine) advertised(now time.Time) []deed {
	m.said = now
	return m.silence("")
}

// silence is why no advert gets away.
func (m *machine) silence(why string) []deed {
	if m.seen.Unsaid == why {
		return nil
	}
	m.seen.Unsaid = why
	return []deed{{kind: tell}}
}

// unsaid is that no other one got an advert. Who has said nothing yet is no master, and tries again; who was believed
// is it for as long as others wait for him.
func (m *machine) unsaid(now time.Time, why string) []deed {
	switch silent := m.said.Add(m.lasts()); {
	case m.seen.State != model.VRRPMaster:
		return nil
	case m.said.IsZero():
		m.stay(now)
	case now.Before(silent):
		m.due = earlier(m.due, silent)
	default:
		m.await(now)
		m.enter(now, model.VRRPBackup, fmt.Sprintf("no advert got away for %s: others take it for dead", now.Sub(m.said).Round(time.Millisecond)))
	}
	m.seen.Unsaid = why
	return []deed{{kind: tell}}
}

// stay is the way back of one that would have risen: nothing was told of that.
func (m *machine) stay(now time.Time) {
	if m.before.State != model.VRRPBackup {
		m.active = m.want.Advertise
		m.enter(now, model.VRRPBackup, "nobody heard that it is master")
		return
	}
	m.before.Conflict, m.before.ConflictFix = m.seen.Conflict, m.seen.ConflictFix
	m.before.Silent = m.seen.Silent
	m.seen = m.before
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// down is how long a backup waits for an advert (Master_Down_Interval, Active_Down_Interval).
func (m *machine) down() time.Duration { return 3*m.active + m.skew() }

// skew lets the higher of two backups be first. In version 2 it does not depend on the interval.
func (m *machine) skew() time.Duration { return m.skewOf(m.want.Priority) }

func (m *machine) skewOf(priority uint8) time.Duration {
	of := m.active
	if m.want.Version == model.VRRP2 {
		of = time.Second
	}
	return time.Duration(256-int(priority)) * of / 256
}

// turn is how long it waits when the master has let go: a skew, in which a higher backup would be first (section 6.4.2).
// Who has one peer, and that was the master, is the only backup: nobody else waits for anything.
func (m *machine) turn() time.Duration {
	if len(m.want.Peers) == 1 {
		return 0
	}
	return m.skew()
}

// hear takes an advert of the virtual router's id in that came on its own interface, and says whether it counts.
func (m *machine) hear(now time.Time, a advert, w way) ([]deed, Reason) {
	return m.hearBy(now, a, w, via{ownLink, m.own})
}

// heed does what an advert asks for.
func (m *machine) heed(now time.Time, a advert, w way) ([]deed, Reason) {
	switch {
	case m.seen.State == model.VRRPMaster && m.isOwner():
		return m.defend(now, a, w), ReasonOwner
	case m.parting():
		return nil, Taken // it is about to say that it is none any more
	case m.seen.State == model.VRRPBackup:
		return m.hearAsBackup(now, a, w.source), Taken
	case m.seen.State == model.VRRPMaster:
		return m.hearAsMaster(now, a, w.source), Taken
	}
	return nil, Taken
}

// judge looks first at whose it is: what it says is nothing to who does not believe it.
func (m *machine) judge(now time.Time, a advert, w way, by via) Reason {
	if why := judgeWay(m.of(by), by.own, a, w); why != Taken {
		return why
	}
	if why := m.guard.admit(now, a, w.source); why != Taken {
		return why
	}
	return judge(m.want, a)
}

func (m *machine) learn(a advert) {
	if a.checksum != model.ChecksumPeer {
		m.checksum = a.checksum
	}
}

// hearAsBackup is section 6.4.2. Of priority 0 it believes nobody but the master that it knows, or misses.
func (m *machine) hearAsBackup(now time.Time, a advert, from netip.Addr) []deed {
	switch {
	case a.priority == 0 && m.lost.IsValid() && from != m.lost && !m.readdressed:
		return nil
	case a.priority == 0:
		m.resigned = fmt.Sprintf("%s has stepped down", from)
		m.due, m.heard, m.cause, m.waits = now.Add(m.turn()), now, m.resigned, false
		m.left, m.outranks = true, false
		m.latest = time.Time{} // whoever comes now is the master
		return nil
	case m.givesWay(now, a):
		m.active, m.heard, m.cause, m.resigned = a.interval, now, "", ""
		m.calm()
		m.due = now.Add(m.down())
		m.rest()
		return append(m.silence(""), m.follow(now, a, from)...) // it need say nothing
	default: // what is missed stays missed, until this one is master
		m.cause = fmt.Sprintf("its priority %d is above %d of %s", m.want.Priority, a.priority, from)
		m.left, m.outranks = false, true
		if a.priority == model.Doubtful && len(m.want.Witness) > 0 { // what comes before it may have waited for ARP
			m.due = now
		}
		m.relieve(now)
	}
	return m.follow(now, a, from)
}

// relieve is that a master of lower priority is heard. A fence that has failed was for a silence that is over, and this
// one may have waited for nothing else.
func (m *machine) relieve(now time.Time) {
	if m.fence.running {
		return
	}
	m.fence.calm()
	if m.due.IsZero() {
		m.due = now
	}
}

// givesWay says whether the master of an advert may stay it.
func (m *machine) givesWay(now time.Time, a advert) bool {
	if a.priority == model.Doubtful && len(m.want.Witness) > 0 && !m.gaveWay {
		return !m.answersLately(now)
	}
	if m.isDeaf(now) || a.priority >= m.want.Priority || !m.want.Preempt || m.gaveWay {
		m.preempt = time.Time{}
		return true
	}
	if m.preempt.IsZero() {
		m.preempt = now.Add(m.want.PreemptDelay)
	}
	return now.Before(m.preempt)
}

// follow knows the master by its adverts. Of two that live it is the one that will be left.
func (m *machine) follow(now time.Time, a advert, from netip.Addr) []deed {
	known := m.seen.Master
	if known.IsValid() && known != from && now.Before(m.latest.Add(m.down())) && !beats(a.priority, from, m.seen.Priority, known) {
		return nil
	}
	m.latest, m.lost, m.lostPriority, m.readdressed = now, from, a.priority, false
	if known != from {
		m.paths.since = now
	}
	if known == from && m.seen.Priority == a.priority {
		return nil
	}
	m.seen.Master, m.seen.Priority = from, a.priority
	return []deed{{kind: tell}}
}

// beats says who stays master of two: the higher priority, and of equal ones the greater address.
func beats(priority uint8, address netip.Addr, others uint8, other netip.Addr) bool {
	return priority > others || priority == others && other.Less(address)
}

// hearAsMaster is section 6.4.3.
func (m *machine) hearAsMaster(now time.Time, a advert, from netip.Addr) []deed {
	switch {
	case a.priority == 0:
		m.due = now.Add(m.want.Advertise)
		return []deed{{advertise, m.says()}}
	case beats(a.priority, from, m.says(), m.own):
		return m.yield(now, a, from)
	}
	return append(m.assert(now), m.rival(now, a, from)...)
}

func (m *machine) yield(now time.Time, a advert, from netip.Addr) []deed {
	why := fmt.Sprintf("a master of priority %d (%s) advertises", a.priority, from)
	switch {
	case m.witness.doubt:
		why += ", and no witness answers here"
	case a.priority == m.want.Priority:
		why = fmt.Sprintf("a master of the same priority %d and a greater address (%s) advertises", a.priority, from)
	}
	m.await(now)
	m.active = a.interval
	m.due = now.Add(m.down())
	do := m.enter(now, model.VRRPBackup, why)
	m.follow(now, a, from)
	m.met = now
	return do
}

// assert answers a lower priority at once, and tells the neighbours whose the addresses are: they may have heard
// the other one. Twice within half an interval it does not: nobody shall make it shout.
func (m *machine) assert(now time.Time) []deed {
	if m.hasAsserted(now) {
		return nil
	}
	m.asserted, m.due = now, now.Add(m.want.Advertise)
	return []deed{{advertise, m.says()}, {kind: announce}}
}

func (m *machine) hasAsserted(now time.Time) bool {
	return !m.asserted.IsZero() && now.Sub(m.asserted) < m.want.Advertise/2
}

// defend is what an owner does about another master. It has to discard the advert (section 7.1), so it answers none;
// but the neighbours may have heard the other one.
func (m *machine) defend(now time.Time, a advert, w way) []deed {
	if a.priority == 0 {
		return nil
	}
	do := m.clash(now, conflictOf(m.want, a, w, ReasonOwner))
	if a.priority == owner || m.hasAsserted(now) { // two owners shall not shout each other down
		return do
	}
	m.asserted = now
	return append([]deed{{kind: announce}}, do...)
}

// rival counts adverts of a master that does not give way: it may not hear this one.
func (m *machine) rival(now time.Time, a advert, from netip.Addr) []deed {
	switch since := now.Sub(m.rivalAt); {
	case since > rivalsTold*2*a.interval:
		m.rivals = 0
	case since < a.interval/2 && len(m.want.Paths) > 0:
		return nil // the same one, by another path
	}
	m.rivalAt = now
	if m.rivals++; m.rivals < rivalsTold {
		return nil
	}
	do := m.clash(now, conflict{what: fmt.Sprintf("%s advertises id %d with priority %d, as if it were master: it may not hear this one", from, a.id, a.priority)})
	m.conflicts.rival = m.conflicts.rival || len(do) > 0
	return do
}

// clash knows a conflict, and reports whether it is another one than is told. Many at once are no reason to tell
// more often.
func (m *machine) clash(now time.Time, c conflict) []deed {
	if c.what == m.seen.Conflict {
		m.conflicts.latest = now
		return nil
	}
	if c.what == "" || m.seen.Conflict != "" && now.Before(m.conflicts.told.Add(conflictEvery)) {
		return nil
	}
	m.seen.Conflict, m.seen.ConflictFix = c.what, c.fix
	m.conflicts.latest, m.conflicts.told, m.conflicts.rival = now, now, false
	return []deed{{kind: tell}}
}

func (m *machine) conflictEnds() time.Time {
	if m.seen.Conflict == "" {
		return time.Time{}
	}
	return m.conflicts.latest.Add(conflictLasts)
}

func (m *machine) forget(now time.Time) []deed {
	if !isDue(m.conflictEnds(), now) {
		return nil
	}
	m.dropConflict()
	return []deed{{kind: tell}}
}

func (m *machine) dropConflict() {
	m.seen.Conflict, m.seen.ConflictFix, m.conflicts.rival = "", "", false
}

var errNoMaster = errors.New("it is not master here")

// stepDown makes a master backup because somebody wants it. It takes over again when nobody else advertises.
func (m *machine) stepDown(now time.Time) ([]deed, error) {
	switch {
	case m.seen.State == model.VRRPBackup && m.gaveWay:
		return nil, nil // another one of its group was asked before
	case m.seen.State != model.VRRPMaster:
		return nil, errNoMaster
	}
	m.gaveWay = true
	return m.leave(now, model.VRRPBackup, "asked to step down"), nil
}

// release is the RFC's Shutdown event.
func (m *machine) release(now time.Time, why string) []deed {
	return m.leave(now, model.VRRPInit, why)
}

// leave ends to be what it is. A master's adverts go on until it has let go.
func (m *machine) leave(now time.Time, to model.VRRPState, why string) []deed {
	switch {
	case m.seen.State == model.VRRPMaster:
		m.forsake()
		m.goodbye = now.Add(ReleaseWithin)
	case !m.parting():
		m.due = time.Time{}
	}
	return m.enter(now, to, why)
}

// parting says whether it lets go of the addresses.
func (m *machine) parting() bool { return !m.goodbye.IsZero() }

// released is that nobody reaches the addresses here any more: another one may have them. An owner that had to let go
// of them for a fault, which is over, has them again.
func (m *machine) released(now time.Time) []deed {
	if !m.parting() {
		return nil
	}
	m.goodbye, m.due = time.Time{}, time.Time{}
	do := []deed{{advertise, 0}}
	if m.seen.State != model.VRRPBackup {
		return do
	}
	if m.isOwner() {
		return append(do, m.begin(now, "")...)
	}
	m.await(now)
	return do
}

// become is that something else is wanted, or that there is a fault or none. A change of interface, id or version
// makes another virtual router.
func (m *machine) become(now time.Time, want model.VirtualRouter, own netip.Addr, fault string) []deed {
	was, said := m.want, m.says()
	m.want, m.own = want, own
	if !slices.Equal(was.Peers, want.Peers) {
		m.readdressed = true
	}
	if !slices.Equal(was.Paths, want.Paths) {
		m.paths = paths{since: now}
		m.seats()
	}
	if !slices.Equal(was.Witness, want.Witness) { // what others have said, or not, is nothing to these
		m.witness = witness{}
	}
	delayed := !m.begins.IsZero() && was.StartDelay != want.StartDelay
	if delayed {
		m.begins = m.begins.Add(want.StartDelay - was.StartDelay)
	}
	switch {
	case fault != "" && m.seen.State != model.VRRPFault:
		return m.leave(now, model.VRRPFault, fault)
	case fault != "":
		return m.remain(fault)
	case m.seen.State == model.VRRPFault && m.parting(): // the addresses go first, as when it steps down
		return m.enter(now, model.VRRPBackup, "the fault is over: "+m.seen.Why)
	case m.seen.State == model.VRRPFault:
		return m.begin(now, "the fault is over: "+m.seen.Why)
	case m.parting():
		return nil
	case m.seen.State == model.VRRPInit && delayed:
		return m.begin(now, "it has just begun")
	case m.seen.State == model.VRRPMaster:
		return m.advertiseChange(now, was, said)
	case m.seen.State == model.VRRPBackup:
		return m.waitOtherwise(now, was)
	}
	return nil
}

// remain stays in fault, for another reason.
func (m *machine) remain(fault string) []deed {
	if m.seen.Why == fault {
		return nil
	}
	m.seen.Why = fault
	return []deed{{kind: tell}}
}

// advertiseChange says at once what adverts say otherwise now.
func (m *machine) advertiseChange(now time.Time, was model.VirtualRouter, said uint8) []deed {
	if said == m.says() && was.Advertise == m.want.Advertise &&
		slices.Equal(was.Addresses, m.want.Addresses) && slices.Equal(was.Peers, m.want.Peers) {
		return nil
	}
	m.due = now.Add(m.want.Advertise)
	return []deed{{advertise, m.says()}}
}

// waitOtherwise waits as long as the new priority and interval say since what was heard.
func (m *machine) waitOtherwise(now time.Time, was model.VirtualRouter) []deed {
	if m.isOwner() && was.Priority != owner {
		return m.begin(now, "")
	}
	if was.PreemptDelay != m.want.PreemptDelay || was.Preempt != m.want.Preempt {
		m.preempt = time.Time{}
	}
	if !m.seen.Master.IsValid() {
		m.active = m.want.Advertise
	}
	if (was.Priority != m.want.Priority || was.Advertise != m.want.Advertise) && m.cause == "" {
		m.due = m.heard.Add(m.down())
	}
	if was.Fence != m.want.Fence && m.due.IsZero() {
		m.due = now // there may be none that it waits for
	}
	return nil
}

// advert is what this one says with a priority.
func (m *machine) advert(priority uint8) advert {
	a := advert{version: m.want.Version, id: m.want.ID, priority: priority, interval: m.want.Advertise,
		addresses: addressesOf(m.want), checksum: m.want.Checksum}
	if a.checksum == model.ChecksumPeer {
		a.checksum = m.checksum
	}
	return a
}
