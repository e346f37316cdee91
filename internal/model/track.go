// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Track is something beside its own link that decides whether a virtual router may be master, or with which priority.
// It is comparable: what two virtual routers of a group track alike counts once (see Alike).
type Track struct {
	Of     Tracked
	Weight int // of the priority: below 0 it is taken off while something is wrong, above 0 added while nothing is; 0: a fault
}

// Alike is equal for all that counts once: a file says one number, however often it is read.
func (t Track) Alike() Track {
	if of, ok := t.Of.(TrackFile); ok {
		t.Of = TrackFile{Check{Ask: of.Check.Ask}}
	}
	return t
}

// MaxTrackWeight is the largest weight, and the largest number in a file, either way (keepalived's).
const MaxTrackWeight = 253

// Tracked is one kind of it. All its types are comparable structs of this package.
type Tracked interface {
	Kind() string // as the config names it
}

// TrackInterface is right while the interface is up.
type TrackInterface struct{ Name string }

func (TrackInterface) Kind() string { return "interface" }

// TrackService is right while the service has a server that is healthy, or its quorum where it has one.
type TrackService struct {
	Name string
	Key  ServiceKey
}

func (TrackService) Kind() string { return "service" }

// TrackDataplane is right while the program is on the interfaces where it shall be, and the connection table has room.
type TrackDataplane struct{}

func (TrackDataplane) Kind() string { return "dataplane" }

// TrackExec is right while a program says so, that is run as a check's is.
type TrackExec struct{ Check Check }

func (TrackExec) Kind() string { return "exec" }

// TrackFile is never wrong: the number in it is what the priority changes by.
type TrackFile struct{ Check Check }

func (TrackFile) Kind() string { return "file" }

// TrackRoute is right while this host has the route, and it leads to the network. What weir has put there for a virtual
// router is none.
type TrackRoute struct {
	To        netip.Prefix
	Via       Addr   // its next hop, or one of several; zero: any, or none
	Interface string // that it leads to, by that next hop; "": any
	Table     uint32
}

func (TrackRoute) Kind() string { return "route" }

// TrackBFD is right while the session is up, or its peer has switched it off.
type TrackBFD struct{ Name string }

func (TrackBFD) Kind() string { return "bfd" }

// MainTable is the table of routes by which packets go, unless a rule says otherwise.
const MainTable = 254

func (t TrackRoute) String() string { return routeText(t.To, t.Via, t.Interface, t.Table) }

// routeText is a route as `ip route` has it, as far as it says which one.
func routeText(to netip.Prefix, via Addr, link string, table uint32) string {
	text := to.String()
	if via.IsValid() {
		text += " via " + via.String()
	}
	if link != "" {
		text += " dev " + link
	}
	if table != MainTable {
		text += fmt.Sprintf(" table %d", table)
	}
	return text
}

// TrackProcess is right while so many processes run that have a name, or whose command line begins so.
type TrackProcess struct {
	Name    string // as the kernel knows it: 15 bytes at most; "": Command decides
	Command string // the first words of the command line, as of JoinArguments; "": Name decides
	Quorum  int    // so many have to run

	ForkDelay      time.Duration // they count as running when they have done so for this long
	TerminateDelay time.Duration // they are missed when they have been gone for so long
}

func (TrackProcess) Kind() string { return "process" }

func (t TrackProcess) String() string {
	return cmp.Or(t.Name, strings.Join(SplitArguments(t.Command), " "))
}

// AskNumber reads a whole number from a file on this host. No file says 0, as with keepalived.
type AskNumber struct{ Path string }

func (AskNumber) Kind() string { return "number" }

// Asks is the check that has to be made of what is tracked; without one there is nothing to ask.
func (t Track) Asks() (CheckKey, bool) {
	switch of := t.Of.(type) {
	case TrackExec:
		return CheckKey{Check: of.Check}, true
	case TrackFile:
		return CheckKey{Check: of.Check}, true
	}
	return CheckKey{}, false
}
