// SPDX-License-Identifier: Apache-2.0

package model

// Thresholds bound the connections of a server, active and inactive ones together, as in LVS.
type Thresholds struct {
	Upper uint32 // of as many it takes no new ones; 0: never
	Lower uint32 // of fewer than this it does again; 0: of fewer than three quarters of Upper
}

// MaxThreshold is the largest one: more connections than any table has room for.
const MaxThreshold = MaxConnections

// Holds tells whether a server that has been full is so with that many connections.
func (t Thresholds) Holds(connections uint64) bool {
	if t.Lower != 0 {
		return connections >= uint64(t.Lower)
	}
	return t.Upper != 0 && connections*4 >= uint64(t.Upper)*3
}
