// SPDX-License-Identifier: Apache-2.0

package model

// Unknown is what becomes of packets without an entry in the connection table: those that belong to no
// connection and begin none, and those that would begin one and find no room.
type Unknown uint8

const (
	ForwardUnknown Unknown = iota + 1 // they go to the server that the consistent hash of their flow names
	PassUnknown                       // the host's kernel gets the former, and resets them; the latter are dropped
)

var unknowns = map[Unknown]string{ForwardUnknown: "forward", PassUnknown: "pass"}

func (u Unknown) String() string { return unknowns[u] }

// Unknowns lists every policy, the default first.
func Unknowns() []Unknown { return []Unknown{ForwardUnknown, PassUnknown} }

// ParseUnknown is the inverse of Unknown.String.
func ParseUnknown(s string) (Unknown, bool) {
	for _, u := range Unknowns() {
		if u.String() == s {
			return u, true
		}
	}
	return 0, false
}
