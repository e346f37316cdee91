// SPDX-License-Identifier: Apache-2.0

package model

// Scheduler is the rule by which a service picks a server for a new connection.
// A new one is a line here, a case in bpf/sched.h or a table in internal/sched, and its twin there.
type Scheduler uint8

const (
	RR    Scheduler = iota + 1 // each server in turn
	WRR                        // each server in turn, as often as its weight says
	LC                         // the server that has the fewest connections
	WLC                        // the same, for its weight: the default
	SED                        // the server that has the fewest active ones for its weight, counting the new one
	NQ                         // a server without active ones, else as SED
	FO                         // the server of the highest weight
	OVF                        // the same, among those that have no more active ones than their weight
	TWOS                       // of two servers that are drawn by weight the one that has fewer connections for it
	LBLC                       // the server that the address went to before, unless it is overloaded
	LBLCR                      // the same, of a set of servers
	DH                         // the server that the address of the service names
	SH                         // the server that the client's address names
	MH                         // the same by a consistent hash: when a server leaves, only its clients go elsewhere
)

// SchedulerFlags change what SH and MH do.
type SchedulerFlags struct {
	Port     bool // the client's port counts, too
	Fallback bool // in place of a server that takes no connections another one has them
}

// DefaultScheduler is LVS's.
const DefaultScheduler = WLC

var schedulers = map[Scheduler]string{
	RR: "rr", WRR: "wrr", LC: "lc", WLC: "wlc", SED: "sed", NQ: "nq", FO: "fo", OVF: "ovf", TWOS: "twos", LBLC: "lblc", LBLCR: "lblcr", DH: "dh", SH: "sh", MH: "mh",
}

func (s Scheduler) String() string { return schedulers[s] }

// Schedulers lists every scheduler that this version has.
func Schedulers() []Scheduler {
	return []Scheduler{RR, WRR, LC, WLC, SED, NQ, FO, OVF, TWOS, LBLC, LBLCR, DH, SH, MH}
}

// Draws tells that nobody can say beforehand which server comes next.
func (s Scheduler) Draws() bool { return s == TWOS }

// Deals tells that it deals out load, and means no certain server for a client: another one would do as well.
func (s Scheduler) Deals() bool {
	switch s {
	case RR, WRR, LC, WLC, SED, NQ, TWOS:
		return true
	}
	return false
}

// ParseScheduler is the inverse of Scheduler.String.
func ParseScheduler(s string) (Scheduler, bool) {
	for _, k := range Schedulers() {
		if k.String() == s {
			return k, true
		}
	}
	return 0, false
}
