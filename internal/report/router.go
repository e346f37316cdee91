// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Router is a virtual router and how it stands here.
type Router struct {
	Name           string
	Interface      string
	ID             uint8
	Version        model.VRRPVersion
	Advertise      time.Duration
	State          model.VRRPState
	Since          time.Time // zero: it has not begun
	Why            string    // it is in this state, on one line
	Priority       uint8     // of this director
	Written        uint8     // the same as the config has it, before what it tracks
	Tracked        string    // what is wrong with that, and what each does to the priority; "": nothing is
	Group          string    // of those that are master together or not at all; "": it stands alone
	Master         model.Addr
	MasterPriority uint8 // of the one that advertises; 0: that is this director, or nobody is known
	Addresses      []netip.Prefix
	MAC            model.MAC // where they are; zero: at that of the master's interface
	Auth           model.VRRPAuth
	Silent         string // what of its paths and witnesses says nothing that should; "": nothing of that kind
	Held           string // why it does not take over from a silent master; "": nothing keeps it from that
	Routes         []model.VirtualRoute
	Conflict       string // what somebody on the link advertises that cannot be right; "": nothing of late
	Mastered       uint64 // how often it became master since it runs
	Counts         PacketCounts
}

// routers are in the order of the configuration.
func routers(in Input) (out []Router) {
	for _, want := range in.Desired.VRRP {
		seen := in.Seen.VRRP[want.Name]
		out = append(out, Router{
			Name: want.Name, Interface: want.Interface, ID: want.ID, Version: want.Version, Advertise: want.Advertise,
			State: seen.State, Since: seen.Since, Why: waiting(want, seen), Priority: want.Priority,
			Written: want.Written, Tracked: want.Tracked, Group: want.Group,
			Master: seen.Master, MasterPriority: seen.Priority,
			Addresses: want.Addresses, MAC: want.MAC(), Auth: want.Auth, Silent: seen.Silent, Held: seen.Held, Routes: want.Routes, Conflict: seen.Conflict,
			Mastered: in.Readings.Mastered[want.Name], Counts: in.Readings.VRRP[want.Name].clone(),
		})
	}
	return out
}

// waiting is why a virtual router is in its state, and what keeps it from taking over from the master whom it hears.
func waiting(want model.VRRPWant, seen model.VRRPSeen) string {
	if seen.Silent != "" {
		seen.Why += "; " + seen.Silent
	}
	if want.Waits == "" || seen.State != model.VRRPBackup || seen.Priority >= want.Priority || !seen.Master.IsValid() {
		return seen.Why
	}
	return seen.Why + "; it takes over " + want.Waits
}

// role is master where this director is that of all virtual routers, and backup where it is of none.
func role(routers []Router) Role {
	masters := 0
	for _, r := range routers {
		if r.State == model.VRRPMaster {
			masters++
		}
	}
	switch {
	case len(routers) == 0:
		return Single
	case masters == len(routers):
		return Master
	case masters == 0:
		return Backup
	}
	return Mixed
}

// RouterTold is the state of a virtual router that people know of.
type RouterTold struct {
	State model.VRRPState
	Since time.Time
}

// routers tells of each turn, however quickly another one followed, and then of what nobody has turned: an earlier
// daemon may have been master. What is told of one lasts until it is over, also while nobody wants it any more.
func (n *news) routers() {
	maps.Copy(n.now.Routers, n.before.Routers)
	for _, want := range n.in.Desired.VRRP {
		if state, known := n.before.Groups[want.Group]; known {
			n.now.Groups[want.Group] = state
		}
	}
	for _, turn := range n.in.Turns {
		n.turn(turn)
	}
	for _, want := range n.in.Desired.VRRP {
		n.turn(model.VRRPTurn{Name: want.Name, Priority: want.Priority, Seen: n.in.Seen.VRRP[want.Name]})
		n.troubles(want)
	}
}

var turnKinds = map[model.VRRPState]model.EventKind{
	model.VRRPMaster: model.VRRPToMaster, model.VRRPBackup: model.VRRPToBackup, model.VRRPFault: model.VRRPToFault,
}

// turn tells of a change of state. Where it has not begun, or waits to begin again, there is nothing to tell, and where
// it begins that is told, as keepalived does: who acts on it must know how to begin. So is its end.
func (n *news) turn(turn model.VRRPTurn) {
	before, begun := n.now.Routers[turn.Name]
	kind, tells := turnKinds[turn.Seen.State]
	switch {
	case turn.Over && begun:
		kind = model.VRRPToStop
		delete(n.now.Routers, turn.Name)
	case !tells || turn.Seen.State == before.State:
		return
	default:
		n.now.Routers[turn.Name] = RouterTold{turn.Seen.State, turn.Seen.Since}
	}
	n.events = append(n.events, model.Event{Kind: kind, Router: turn.Name, Priority: turn.Priority,
		Time: turn.Seen.Since, Reason: turn.Seen.Why, Was: before.State, Since: before.Since, Group: n.united(turn.Name)})
}

// united is the group all of which have become what this one is now, which was the last to do so; "": there is none, or
// it was so before, and only some of it were something else meanwhile.
func (n *news) united(router string) string {
	i := slices.IndexFunc(n.in.Desired.VRRP, func(want model.VRRPWant) bool { return want.Name == router })
	if i < 0 || n.in.Desired.VRRP[i].Group == "" {
		return ""
	}
	group, state := n.in.Desired.VRRP[i].Group, n.now.Routers[router].State
	apart := func(want model.VRRPWant) bool { return want.Group == group && n.now.Routers[want.Name].State != state }
	if n.now.Groups[group] == state || slices.ContainsFunc(n.in.Desired.VRRP, apart) {
		return ""
	}
	n.now.Groups[group] = state
	return group
}

// troubles tells when somebody else's adverts cannot be right, when this director is held back, and when a path or a
// witness is silent; and when that is over.
func (n *news) troubles(want model.VRRPWant) {
	seen := n.in.Seen.VRRP[want.Name]
	n.trouble(want, seen.Conflict, n.before.Conflicts, n.now.Conflicts, model.ConflictBegin, model.ConflictEnd)
	n.trouble(want, seen.Held, n.before.Held, n.now.Held, model.HeldBegin, model.HeldEnd)
	n.trouble(want, seen.Silent, n.before.Silent, n.now.Silent, model.SilentBegin, model.SilentEnd)
}

func (n *news) trouble(want model.VRRPWant, why string, before, now map[string]time.Time, begins, ends model.EventKind) {
	since, told := before[want.Name]
	switch {
	case why != "":
		e := routerEvent(want, begins)
		e.Time, e.Reason = n.in.Now, why
		begin(n, before, now, want.Name, n.in.Now, e)
	case told:
		e := routerEvent(want, ends)
		e.Time, e.Since = n.in.Now, since
		n.events = append(n.events, e)
	}
}

func routerEvent(want model.VRRPWant, kind model.EventKind) model.Event {
	return model.Event{Kind: kind, Router: want.Name, Priority: want.Priority}
}
