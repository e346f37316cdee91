// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/model"
)

// set is a reading of the host's clock as it would be, had somebody set it by so many seconds: what time.Now returns
// has a second clock in it, which goes on (package time, Monotonic Clocks). Both are packed into one word.
func set(reading time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&reading))
	*wall += uint64(int64(by/time.Second)) << 30
	return reading
}

func TestAClockIsSet(t *testing.T) {
	now := time.Now()
	for _, by := range []time.Duration{time.Hour, -time.Hour, day, -day} {
		later := set(now.Add(second), by)
		if later.Sub(now) != second || later.Round(0).Sub(now.Round(0)) != second+by {
			t.Errorf("by %s: %s later by one clock, %s by the other", by, later.Sub(now), later.Round(0).Sub(now.Round(0)))
		}
	}
}

// duellist is a director on a link with others: his machine, and the clock of his host.
type duellist struct {
	*machine
	step  time.Duration // by which it was set
	slew  int           // microseconds by which it is faster, a second
	ahead time.Duration // by which it has become so
	rises int
}

// clock is what it says.
func (m *duellist) clock(now time.Time) time.Time { return set(now.Add(m.ahead), m.step) }

// duel is directors who sign, and hear each other, with what each does.
type duel struct {
	t     *testing.T
	now   time.Time
	all   []*duellist
	heard map[Reason]int
	log   [][]byte // adverts, as they went over the wire, and who sent them
	from  []netip.Addr
}

func newDuel(t *testing.T, change func(*model.VirtualRouter)) *duel {
	d := &duel{t: t, now: time.Now(), heard: map[Reason]int{}}
	for i, own := range []netip.Addr{left, right} {
		m := newMachine(of(uint8(200-100*i), change), own)
		m.guard.follow(m.want, keysOf(t, draftKey))
		d.all = append(d.all, &duellist{machine: m})
	}
	for _, each := range d.all {
		d.do(each, each.start(d.now, ""))
	}
	return d
}

func (d *duel) do(each *duellist, deeds []deed) {
	for _, one := range deeds {
		if one.kind != advertise {
			continue
		}
		now := each.clock(d.now)
		w := way{each.own, group4, hops}
		text := each.guard.sign(now, each.advert(one.priority), each.own).bytes(w)
		d.log, d.from = append(d.log, text), append(d.from, each.own)
		d.do(each, each.advertised(now))
		for _, other := range d.all {
			if other != each {
				d.heard[d.tells(other, text, w)]++
			}
		}
	}
}

// tells is what becomes of a message that comes to a director.
func (d *duel) tells(to *duellist, text []byte, w way) Reason {
	a, why := parse(text, w)
	if why != Taken {
		return why
	}
	a.text = text
	before := to.seen.State
	deeds, why := to.hear(to.clock(d.now), a, w)
	d.do(to, deeds)
	to.count(before)
	return why
}

func (m *duellist) count(before model.VRRPState) {
	if before != model.VRRPMaster && m.seen.State == model.VRRPMaster {
		m.rises++
	}
}

func (d *duel) pass(lasts time.Duration) {
	const moment = 10 * time.Millisecond
	for end := d.now.Add(lasts); d.now.Before(end); d.now = d.now.Add(moment) {
		for _, each := range d.all {
			each.ahead += moment * time.Duration(each.slew) / 1_000_000
			before, now := each.seen.State, each.clock(d.now)
			if isDue(each.deadline(), now) {
				d.do(each, each.tick(now))
				each.count(before)
			}
		}
	}
}

// TestFaults is the fault that needs no network, only directors who hear each other.
func TestFaults(t *testing.T) {
	faults.Test(t, []faults.Fault{clockSet()})
}

// Parts of fault 41 of VRRP. Those of connection sync and of checks are measured there.
const (
	whenSet       = "transitions_set"     // takeovers while clocks are set
	whenSlewed    = "transitions_slewed"  // while one goes faster than the other, as fast as Linux lets NTP have it
	clockRefused  = "adverts_refused"     // of those that were said a moment ago
	clockBelieved = "recordings_believed" // of those that were said before
)

// clockSet is fault 41, played with the readings that the kernel would give: to set the clock of one director only, there
// would have to be a machine for each.
func clockSet() faults.Fault {
	return faults.Fault{
		Number:  41,
		Divided: true,
		Parts: []faults.Part{
			{Name: whenSet, Unit: "takeovers"}, {Name: whenSlewed, Unit: "takeovers"},
			{Name: clockRefused, Unit: "adverts"}, {Name: clockBelieved, Unit: "adverts"},
		},
		Beside: "keepalived's auth_hmac refuses what is outside of its window by the wall clock",
		Prepare: func(t *testing.T, _ faults.Size) faults.Run {
			return func() (faults.Measured, error) {
				figures := map[string]float64{}
				for _, every := range []time.Duration{100 * time.Millisecond, second, 10 * second} {
					for who := range 3 {
						playSet(t, figures, every, who)
					}
					playSlewed(t, figures, every)
				}
				return faults.Measured{Figures: figures}, nil
			}
		},
	}
}

// playSet has somebody set the master's clock, the backup's, or both, by an hour or a day forward or back, again and
// again. What was recorded before comes again after each.
func playSet(t *testing.T, figures map[string]float64, every time.Duration, who int) {
	d := newDuel(t, func(r *model.VirtualRouter) { r.Advertise = every })
	d.pass(10 * every)
	d.mustBeCalm()
	for _, step := range []time.Duration{time.Hour, 0, -time.Hour, 0, day, -day, day, 0} {
		for n := range d.all {
			if who == n || who == 2 {
				d.all[n].step = step
			}
		}
		recorded := len(d.log)
		d.pass(10 * every)
		d.count(figures, whenSet)
		for n, text := range d.log[:recorded] {
			for _, each := range d.all {
				if d.tells(each, text, way{d.from[n], group4, hops}) == Taken {
					figures[clockBelieved]++
				}
			}
		}
	}
}

// playSlewed has NTP slow down one clock and speed up the other one, by the most that Linux does (adjtimex(2), 500 ppm),
// for 1,000 adverts. Timers go by that clock, too.
func playSlewed(t *testing.T, figures map[string]float64, every time.Duration) {
	const most = 500
	for _, ahead := range []int{most, -most} {
		d := newDuel(t, func(r *model.VirtualRouter) { r.Advertise = every })
		d.pass(10 * every)
		d.mustBeCalm()
		d.all[0].slew, d.all[1].slew = ahead, -ahead
		d.pass(1000 * every)
		d.count(figures, whenSlewed)
	}
}

// mustBeCalm: before anything happens the better one is master.
func (d *duel) mustBeCalm() {
	d.t.Helper()
	if d.all[0].rises != 1 || d.all[1].rises != 0 {
		d.t.Fatalf("they rise %d and %d times", d.all[0].rises, d.all[1].rises)
	}
}

// count adds how often they have risen too often, and how many adverts were refused, since the duel began.
func (d *duel) count(figures map[string]float64, part string) {
	d.t.Helper()
	refused := 0
	for why, n := range d.heard {
		if why != Taken {
			refused += n
		}
	}
	if d.heard[Taken] == 0 || d.all[1].seen.Master != left {
		d.t.Errorf("nothing was heard, or somebody else is master: %v, %s", d.heard, d.all[1].seen.Master)
	}
	figures[part] = max(figures[part], float64(d.all[0].rises-1+d.all[1].rises))
	figures[clockRefused] = max(figures[clockRefused], float64(refused))
	figures[clockBelieved] += 0
}

// TestWhoBeginsWithAWrongClock, an hour or a day, while the other one lives: each believes the other in the end, and the
// better one is master. A clock that is behind is not noticed, since whoever begins hears before he speaks. To one that is ahead the other's adverts are a recording,
// until he has heard of it: so it misses him once.
func TestWhoBeginsWithAWrongClock(t *testing.T) {
	for _, wrong := range []time.Duration{0, time.Hour, -time.Hour, day, -day} {
		for begins := range 2 {
			d := newDuel(t, func(*model.VirtualRouter) {})
			d.pass(10 * second)
			stays := d.all[1-begins]
			want, own := d.all[begins].want, d.all[begins].own
			d.all = []*duellist{stays}
			d.pass(10 * second)
			m := newMachine(want, own)
			m.guard.follow(m.want, keysOf(t, draftKey))
			back := &duellist{machine: m, step: wrong}
			d.all = append(d.all, back)
			d.do(back, back.start(set(d.now, wrong), ""))
			d.pass(20 * second)
			better, worse := back, stays
			if begins == 1 {
				better, worse = stays, back
			}
			if better.seen.State != model.VRRPMaster || worse.seen.State != model.VRRPBackup || worse.seen.Master != left {
				t.Errorf("%s wrong, of director %d: %s and %s: %v", wrong, begins, better.seen.State, worse.seen.State, d.heard)
			}
			refused, missed := d.heard[ReasonStale]+d.heard[ReasonReplay], 0
			if wrong > 0 {
				missed = 4 // as many as come in three intervals and a skew
			}
			if refused > missed {
				t.Errorf("%s wrong, of director %d: %d adverts are refused: %v", wrong, begins, refused, d.heard)
			}
		}
	}
}

// TestWhoIsResumedWithAClockThatIsBehind speaks before he has heard anybody: a master whose daemon is killed, and goes on
// within its lease, its clock set back meanwhile. To the backup that is a recording, so it takes over; by its first
// advert he hears how late it is, is believed, and takes back what is his.
func TestWhoIsResumedWithAClockThatIsBehind(t *testing.T) {
	for _, wrong := range []time.Duration{0, time.Hour, 4 * -second, -time.Hour, -day} {
		d := newDuel(t, func(*model.VirtualRouter) {})
		d.pass(10 * second)
		backup := d.all[1]
		d.all = []*duellist{backup}
		d.pass(second / 2)
		m := newMachine(of(200), left)
		m.guard.follow(m.want, keysOf(t, draftKey))
		back := &duellist{machine: m, step: wrong}
		d.all = []*duellist{back, backup}
		d.do(back, back.resume(set(d.now, wrong)))
		before := len(d.from)
		d.pass(20 * second)
		said, want := 0, 0 // adverts of the backup, as master
		for _, from := range d.from[before:] {
			if from == right {
				said++
			}
		}
		if wrong < 0 { // by more than the daemon was away
			want = 1
		}
		if back.seen.State != model.VRRPMaster || backup.seen.State != model.VRRPBackup || backup.seen.Master != left || said != want {
			t.Errorf("%s wrong: %s and %s, the backup was master for %d adverts, want %d: %v", wrong, back.seen.State, backup.seen.State, said, want, d.heard)
		}
	}
}
