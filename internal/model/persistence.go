// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Persistence is how long, and by what, a service knows its clients again: all connections of one go to
// one server. The zero value: each connection is scheduled on its own.
type Persistence struct {
	Timeout   time.Duration // since a client's last new connection; 0: the service is not persistent
	Mask      uint8         // bits of a client's address that are compared; 0: all
	Quiescent Quiescent     // 0: KeepQuiescent
}

// DefaultPersistence is IPVS's (IPVS_SVC_PERSISTENT_TIMEOUT).
const DefaultPersistence = 6 * time.Minute

// Quiescent is what becomes of a client whose server has weight 0.
type Quiescent uint8

const (
	KeepQuiescent   Quiescent = iota + 1 // its connections still go there, as in IPVS
	ExpireQuiescent                      // its next one goes to another server
)

var quiescents = map[Quiescent]string{KeepQuiescent: "keep", ExpireQuiescent: "expire"}

func (q Quiescent) String() string { return quiescents[q] }

// Quiescents lists all, the default first.
func Quiescents() []Quiescent { return []Quiescent{KeepQuiescent, ExpireQuiescent} }

// ParseQuiescent is the inverse of Quiescent.String.
func ParseQuiescent(s string) (Quiescent, bool) {
	for _, q := range Quiescents() {
		if q.String() == s {
			return q, true
		}
	}
	return 0, false
}
