// SPDX-License-Identifier: Apache-2.0

package model

import "strconv"

// Connections is the connection table. All of its memory is taken at the start.
type Connections struct {
	Size int // connections that it has room for; one by NAT counts twice, since it has an entry for each way
}

// What Size may be. A file that does not say gets the default.
const (
	MinConnections     = 1 << 10
	DefaultConnections = 1 << 20
	MaxConnections     = 1 << 26
)

// The table in the kernel: buckets of a fixed number of entries. A connection has few buckets to go
// to, so one is refused before all of them are full: Size is what surely fits. These say again what
// internal/dataplane does; a test there compares them.
const (
	BucketBytes   = 1024
	BucketEntries = 15
	RatedPercent  = 80       // of the entries are in use when Size of them are
	TableBytes    = 64 << 10 // besides the buckets
)

// leastBuckets: each connection may be in either of two.
const leastBuckets = 2

// Buckets is how many buckets the table has.
func (c Connections) Buckets() uint64 {
	const rated = RatedPercent * BucketEntries
	return max(leastBuckets, (uint64(c.Size)*100+rated-1)/rated)
}

// Memory is what the table takes from the kernel, in bytes.
func (c Connections) Memory() uint64 { return c.Buckets()*BucketBytes + TableBytes }

// States are the states of a connection in LVS's words, as they follow one another.
func States() []string {
	return []string{"SYN_RECV", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "CLOSE", "UDP"}
}

// Template is what stands as the state of an entry that is no connection: it says which server the
// connections of a persistent service's client go to. IPVS lists it as NONE or ASSURED.
const Template = "TEMPLATE"

// Kept is the state of a connection that IPVS would have forgotten: its time is over, but perhaps it was a
// stranger who closed it. It is listed only for whoever asks for it.
const Kept = "KEPT"

// ListedStates are States, and what else the table is listed with.
func ListedStates() []string { return append(States(), Kept, Template) }

// Grouped prints a count for people: 1,048,576.
func Grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
