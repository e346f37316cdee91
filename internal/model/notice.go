// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Event is a change that people may want to be told of.
type Event struct {
	Time       time.Time
	Kind       EventKind
	Service    string // its name
	ServiceKey ServiceKey
	Server     ServerKey // zero: the event is about the service
	Reason     string    // why, on one line; "": it is plain
	Since      time.Time // of what is over now: when it began; zero: not known

	Router   string    // name of the virtual router that the event is about; "": it is about a service or a server
	Priority uint8     // of this director in it
	Was      VRRPState // its state before, since Since
	Group    string    // all virtual routers of which have become so with this one, which is the last; "": that is not so

	Peer Addr // of a director that connections are shared with; zero: the event is about something else
}

// EventKind is what happened.
type EventKind string

const (
	ServerDown  EventKind = "server_down"  // its checks found it down
	ServerUp    EventKind = "server_up"    // its checks found it up, after they had found it down
	ServiceDown EventKind = "service_down" // it has no server left that takes new connections, or no quorum
	ServiceUp   EventKind = "service_up"   // it has one again
	PanicBegin  EventKind = "panic_begin"  // so few of its servers are healthy that those that are down are kept
	PanicEnd    EventKind = "panic_end"    // enough of them are again

	MaintenanceBegin EventKind = "maintenance_begin" // somebody works on a server, or all of a service: what it does is no alarm
	MaintenanceEnd   EventKind = "maintenance_end"

	CertificateEnds    EventKind = "certificate_ends"    // that of a server, soon
	CertificateRenewed EventKind = "certificate_renewed" // it shows one that does not

	VRRPToMaster EventKind = "vrrp_master" // this director has the addresses of a virtual router now
	VRRPToBackup EventKind = "vrrp_backup" // another one has them, or will
	VRRPToFault  EventKind = "vrrp_fault"  // this one cannot take part
	VRRPToStop   EventKind = "vrrp_stop"   // this one takes no part any more: weir stops, the virtual router is not configured any more, or another one by its interface, id, version or family

	ConflictBegin EventKind = "vrrp_conflict_begin" // somebody on the link advertises what cannot be right
	ConflictEnd   EventKind = "vrrp_conflict_end"

	HeldBegin   EventKind = "vrrp_held_begin" // this director does not take over from a silent master, for want of a witness or of its fence
	HeldEnd     EventKind = "vrrp_held_end"
	SilentBegin EventKind = "vrrp_silent_begin" // a path or a witness says nothing that should
	SilentEnd   EventKind = "vrrp_silent_end"

	SyncReached EventKind = "sync_ready" // this director and a peer have all connections of each other: one could take over from the other
	SyncLost    EventKind = "sync_lost"  // a peer is silent, or does not get done telling
)

// EventKinds are all of them.
func EventKinds() []EventKind {
	return []EventKind{ServerDown, ServerUp, ServiceDown, ServiceUp, PanicBegin, PanicEnd, MaintenanceBegin, MaintenanceEnd,
		CertificateEnds, CertificateRenewed, VRRPToMaster, VRRPToBackup, VRRPToFault, VRRPToStop, ConflictBegin, ConflictEnd,
		HeldBegin, HeldEnd, SilentBegin, SilentEnd, SyncReached, SyncLost}
}

// Severity says how much an event matters; more is graver.
type Severity uint8

const (
	Info     Severity = iota + 1 // all is well again
	Warning                      // others do the work
	Critical                     // nobody does
)

var severities = map[Severity]string{Info: "info", Warning: "warning", Critical: "critical"}

func (s Severity) String() string { return severities[s] }

// ParseSeverity is the inverse of Severity.String.
func ParseSeverity(text string) (Severity, bool) {
	for s, name := range severities {
		if name == text {
			return s, true
		}
	}
	return 0, false
}

// Begins tells whether what happened lasts until another event ends it.
func (k EventKind) Begins() bool {
	switch k {
	case ServerDown, ServiceDown, PanicBegin, CertificateEnds, VRRPToFault, ConflictBegin, HeldBegin, SilentBegin, SyncLost:
		return true
	}
	return false
}

// IsOfService tells whether an event is about a service, or a server of one.
func (e Event) IsOfService() bool { return e.Router == "" && !e.Peer.IsValid() }

// Severity of an event is that of its kind.
func (e Event) Severity() Severity {
	switch e.Kind {
	case ServerDown, CertificateEnds, VRRPToMaster, VRRPToFault, VRRPToStop, SilentBegin, SyncLost:
		return Warning
	case ServiceDown, PanicBegin, ConflictBegin, HeldBegin:
		return Critical
	}
	return Info
}
