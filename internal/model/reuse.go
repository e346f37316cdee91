// SPDX-License-Identifier: Apache-2.0

package model

// Reuse is when a client that uses a port again begins another connection, which any server may have. Before
// that its SYN goes to the server that it had.
type Reuse uint8

const (
	ReuseClosed  Reuse = iota + 1 // both sides have closed; or one has, and the server takes no new ones
	ReuseClosing                  // one side has closed, or somebody sent an RST: DR and TUN see no more of some connections
	ReuseKept                     // never, as long as the connection is remembered
)

var reuses = map[Reuse]string{ReuseClosed: "closed", ReuseClosing: "closing", ReuseKept: "kept"}

func (r Reuse) String() string { return reuses[r] }

// Reuses lists all, the default first.
func Reuses() []Reuse { return []Reuse{ReuseClosed, ReuseClosing, ReuseKept} }

// ParseReuse is the inverse of Reuse.String.
func ParseReuse(s string) (Reuse, bool) {
	for _, r := range Reuses() {
		if r.String() == s {
			return r, true
		}
	}
	return 0, false
}
