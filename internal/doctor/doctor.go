// SPDX-License-Identifier: Apache-2.0

// Package doctor finds what is wrong with a director's host, and says how to mend it. Judge is
// pure: a table of small checks over Facts, which Look gathers from the kernel. It changes nothing,
// and needs no daemon; one that runs is asked by the command line, which hands its answer in.
//
// It is not for real servers: `weir realserver status` is. Read this file first, then look.go, and
// any of the checks: host.go, interfaces.go, checks.go, network.go, routers.go, services.go. docs/doctor.md says the
// same to those who run it.
package doctor

import (
	"fmt"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// Facts are all that a check may look at.
type Facts struct {
	Now      time.Time
	Spec     *model.Spec // nil: there is no configuration
	Daemon   Daemon
	Host     dataplane.Host
	Filter   error // why the kernel has no filter for checks; nil: it has
	Process  Process
	Network  model.Network
	Devices  map[int]address.Device // by index
	Timers   []address.Timer
	Entries4 int               // in the kernel's neighbour table
	Entries6 int               // the same of IPv6
	Sysctls  map[string]string // by path below /proc/sys; absent: this kernel or namespace has it not
}

// Daemon is what a daemon said of itself.
type Daemon struct {
	Status  *api.Status      // nil: none answers
	Silent  string           // why none can be asked; "" where none listens
	Clients []api.Connection // some of its connections
}

// Process is the one that balances: the daemon, or this one where no daemon runs.
type Process struct {
	Pid          int    // of the daemon; 0: this process
	Capabilities uint64 // effective ones, bit by number
	Files        uint64 // that it may have open
	Synchronised bool   // the clock
}

// check is one question. It has at least one answer.
type check struct {
	name string
	look func(host) []api.Finding
}

// checks stand in the order of their answers: from the kernel up to the services.
var checks = []check{
	{"kernel", kernel},
	{"btf", types},
	{"capabilities", capabilities},
	{"program", program},
	{"bpffs", bpffs},
	{"pins", pins},
	{"files", files},
	{"clock", clock},
	{"daemon", daemon},
	{"config", configuration},
	{"xdp", xdp},
	{"gro", gro},
	{"lro", lro},
	{"rxvlan", rxVLAN},
	{"veth-gro", vethGRO},
	{"veth-checksum", vethChecksum},
	{"clsact", clsact},
	{"mtu", mtu},
	{"rp-filter", rpFilter},
	{"forwarding", forwarding},
	{"neighbour-timers", neighbourTimers},
	{"neighbour-table", neighbourTable},
	{"vrrp", virtualRouters},
	{"arp", arp},
	{"one-arm-nat", oneArmNAT},
	{"own-client", ownClient},
}

// Checks names every check, in order.
func Checks() []string {
	var out []string
	for _, c := range checks {
		out = append(out, c.name)
	}
	return out
}

// host is the facts and what follows from them.
type host struct {
	Facts
	desired    model.Desired // zero without a configuration
	interfaces []nic
}

// Judge answers every check.
func Judge(f Facts) []api.Finding {
	h := newHost(f)
	var out []api.Finding
	for _, c := range checks {
		for _, finding := range c.look(h) {
			finding.Check = c.name
			out = append(out, finding)
		}
	}
	return out
}

// Report is what is shown of findings.
func Report(findings []api.Finding) api.Doctor {
	out := api.Doctor{Findings: findings}
	for _, f := range findings {
		if f.Level == api.LevelWarning || f.Level == api.LevelError {
			out.Degraded = true
		}
	}
	return out
}

// newHost adds what follows from facts.
func newHost(f Facts) host {
	h := host{Facts: f}
	if f.Spec != nil {
		h.desired, _ = plan.Make(*f.Spec, asMaster(*f.Spec, f.Network), f.Now)
	}
	h.interfaces = balanced(h)
	return h
}

// runs says whether a daemon answers.
func (h host) runs() bool { return h.Daemon.Status != nil }

// fine is the answer of a check that found nothing.
func fine(what string, args ...any) []api.Finding {
	return []api.Finding{{Level: api.LevelOK, What: fmt.Sprintf(what, args...)}}
}

// found is the answer of a check that found one thing.
func found(level api.Level, what, why, fix string) []api.Finding {
	return []api.Finding{{Level: level, What: what, Why: why, Fix: fix}}
}

// orFine is a list of findings or, where there are none, what is well.
func orFine(findings []api.Finding, what string, args ...any) []api.Finding {
	if len(findings) > 0 {
		return findings
	}
	return fine(what, args...)
}

// sysctl is the command that sets one. Its path keeps the slashes: the name of an interface may have
// dots.
func sysctl(path, value string) string { return "sysctl -w " + path + "=" + value }
