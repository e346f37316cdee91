// SPDX-License-Identifier: Apache-2.0

package model

// Scheduler is the rule by which a service picks a server for a new connection.
// A new one is a line here, a case in bpf/sched.h or a table in internal/sched, and its twin there.
type Scheduler uint8

const (
	RR  Scheduler = iota + 1 // each server in turn
	WRR                      // each server in turn, as often as its weight says
)

var schedulers = map[Scheduler]string{RR: "rr", WRR: "wrr"}

func (s Scheduler) String() string { return schedulers[s] }

// Schedulers lists every scheduler that this version has.
func Schedulers() []Scheduler { return []Scheduler{RR, WRR} }

// LaterSchedulers are LVS's schedulers that this version does not have yet; they are refused by name.
func LaterSchedulers() []string {
	return []string{"lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"}
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
