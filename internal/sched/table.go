// SPDX-License-Identifier: Apache-2.0

// Package sched makes the tables in which bpf/sched.h looks up servers, and holds a plain twin of
// every scheduler that walks them, so that tests can say which server comes next. It schedules no
// packet itself. Read this file first, then rr.go and wrr.go, and hash.go for the consistent hash.
package sched

import (
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// Table is the servers of a service as schedulers walk them.
type Table struct {
	Version uint32 // another one for another table of the same service; set by whoever stores it
	Slots   []Slot // those that take new connections, the last added first, as IPVS has them
	Top     uint32 // IPVS's mw: where wrr begins a period, the largest weight - (Divisor - 1); 0: no slots
	Divisor uint32 // IPVS's di: the greatest common divisor of the weights, at least 1
}

// Slot is one server of a Table.
type Slot struct {
	Server int // its index in the list from which the table was made
	Weight uint32
}

// Make returns the table of servers, which come in the order in which they were added. A weight of
// 0 takes no new connections in any scheduler, so such a server has no slot.
func Make(servers []model.ServerWant) Table {
	var t Table
	var largest uint32
	for i, server := range slices.Backward(servers) {
		weight := uint32(server.Weight)
		if weight == 0 {
			continue
		}
		t.Slots = append(t.Slots, Slot{Server: i, Weight: weight})
		t.Divisor = gcd(t.Divisor, weight)
		largest = max(largest, weight)
	}
	t.Divisor = max(t.Divisor, 1)
	t.Top = largest - min(largest, t.Divisor-1)
	return t
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Twin is a scheduler in plain Go: what it remembers of a service between two connections.
type Twin interface {
	// Pick returns the slot of the next new connection; false: no server takes any.
	Pick(t Table) (Slot, bool)
}

// NewTwin returns the twin of s, as it is before its service's first connection; nil: s has none.
func NewTwin(s model.Scheduler) Twin {
	switch s {
	case model.RR:
		return new(rr)
	case model.WRR:
		return &wrr{index: head}
	}
	return nil
}
