// SPDX-License-Identifier: Apache-2.0

// Package sched makes the tables in which bpf/sched.h looks up servers, and holds a plain twin of
// every scheduler that walks them, so that tests and people can be told which server comes next, and why.
// It schedules no packet itself. Read this file first, then rr.go, wrr.go, least.go and highest.go, hash.go
// for the consistent hash, and explain.go and restore.go for who asks.
package sched

import (
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// Table is the servers of a service as schedulers walk them.
type Table struct {
	Version uint32 // another one for another table of the same service; set by whoever stores it
	Slots   []Slot // those that take new connections, the last added first, as IPVS has them
	Top     uint32 // IPVS's mw: where wrr begins a period, the largest weight - (Divisor - 1); 0: no slots
	Divisor uint32 // IPVS's di: the greatest common divisor of the weights, at least 1
	Buckets []int  // of dh and sh: each names a server, as Slot does, also one that takes no connections
	Hash    []int  // of mh: the consistent hash
}

// Slot is one server of a Table.
type Slot struct {
	Server int // its index in the list from which the table was made
	Weight uint32
	Key    model.ServerKey
}

// Make returns the table of servers, which come in the order in which they were added. A weight of
// 0 takes no new connections in any scheduler, so such a server has no slot.
func Make(s model.Scheduler, servers []model.ServerWant) Table {
	t := Table{Buckets: makeBuckets(s, servers)}
	if s == model.MH {
		t.Hash = MakeHash(s, servers)
	}
	var largest uint32
	for i, server := range slices.Backward(servers) {
		weight := uint32(server.Weight)
		if weight == 0 {
			continue
		}
		t.Slots = append(t.Slots, Slot{Server: i, Weight: weight, Key: server.Key})
		t.Divisor = gcd(t.Divisor, weight)
		largest = max(largest, weight)
	}
	t.Divisor = max(t.Divisor, 1)
	t.Top = largest - min(largest, t.Divisor-1)
	return t
}

func makeBuckets(s model.Scheduler, servers []model.ServerWant) []int {
	switch s {
	case model.DH:
		return MakeDH(servers)
	case model.SH:
		return MakeSH(servers)
	}
	return nil
}

// slot is that of a server; false: it takes no connections.
func (t Table) slot(server int, ask Ask) (Slot, bool) {
	for _, slot := range t.Slots {
		if slot.Server == server {
			return slot, ask.takes(slot)
		}
	}
	return Slot{}, false
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Load is what a server has of connections.
type Load struct {
	Active, Inactive uint64
}

// Ask is a new connection, and what a scheduler may know of the servers.
type Ask struct {
	Client  netip.AddrPort        // who asks
	Virtual netip.AddrPort        // and for what
	Load    func(server int) Load // by its index in the list from which the table was made
	Random  func(n uint32) uint32 // a number below n
	Full    func(server int) bool // it takes no other connection (thresholds); nil: nobody is

	Name func(server int) string // what Explain calls a server, also one without a slot
}

func (a Ask) takes(s Slot) bool { return a.Full == nil || !a.Full(s.Server) }

// open is the table without the servers that are full, but in name the same.
func (t Table) open(ask Ask) Table {
	t.Slots = slices.DeleteFunc(slices.Clone(t.Slots), func(s Slot) bool { return !ask.takes(s) })
	return t
}

// Twin is a scheduler in plain Go: what it remembers of a service between two connections.
type Twin interface {
	// Pick returns the slot of a new connection; false: no server takes it.
	Pick(t Table, ask Ask) (Slot, bool)
	// Explain picks, too, and says why. Where lots are drawn, it draws none.
	Explain(t Table, ask Ask) Choice
}

// NewTwin returns the twin of s, as it is before its service's first connection; nil: s has none.
func NewTwin(s model.Scheduler, flags model.SchedulerFlags) Twin {
	switch s {
	case model.RR:
		return new(rr)
	case model.WRR:
		return &wrr{index: head}
	case model.LC:
		return lc{}
	case model.WLC:
		return wlc{}
	case model.SED:
		return sed{}
	case model.NQ:
		return nq{}
	case model.FO:
		return fo{}
	case model.OVF:
		return ovf{}
	case model.TWOS:
		return twos{}
	case model.LBLC:
		return &lblc{servers: map[netip.Addr]model.ServerKey{}}
	case model.LBLCR:
		return &lblcr{sets: map[netip.Addr][]model.ServerKey{}}
	case model.DH:
		return dh{}
	case model.MH:
		return mh{port: flags.Port, fallback: flags.Fallback}
	case model.SH:
		return sh{port: flags.Port, fallback: flags.Fallback}
	}
	return nil
}
