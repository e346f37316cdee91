// SPDX-License-Identifier: Apache-2.0

// Package parity compares what weir picks with what the real IPVS picked: it reads records of runs of
// the real one (testdata/), and judges what came of the same connections. Its test makes them, through
// a daemon in the lab. It knows no scheduler's rule: those are in internal/sched.
//
// Read this file first, then read.go for what records look like, judge.go for what is equal, and
// parity_test.go. What came of it, and why, is in docs/parity.md.
package parity

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// Row is one run of the real IPVS: connections to one service, and who took each.
type Row struct {
	File      string
	Line      int
	Scheduler string   // as ipvsadm calls it
	Flags     []string // the same, "sh-port"
	Traffic   string   // as the record calls it: "one close"
	Protocol  model.Protocol
	OnePacket bool
	Marked    bool           // the service is a firewall mark, of many addresses
	Service   netip.AddrPort // zero when Marked
	Continues bool           // it is the service of the row above, which was edited
	Keep      bool           // connections stay open to the end
	Weights   []int          // of servers 1, 2, 3 and so on, in the order of adding
	Change    Change
	Asks      []Ask
	Picks     []string       // of each ask: a server's number, Refused or Silent
	Open      map[int]Counts // by server, while all connections were open; nil: not told
	Left      map[int]Counts // by server, when all were closed; nil: not told
}

// What came of a connection that no server took.
const (
	Refused = "-"
	Silent  = "." // no answer in a second: a refusal too, when the host had told it too often already
)

// Ask is one connection.
type Ask struct{ From, To netip.AddrPort }

// Change is what was done to a server before the first connection; Server 0: nothing.
type Change struct {
	Server  int
	Weight  int
	Removed bool
}

// Counts are the connections of a server.
type Counts struct{ Active, Inactive int }

// Name is the scheduler with its flags.
func (r Row) Name() string {
	name := strings.Join(append([]string{r.Scheduler}, r.Flags...), " ")
	if r.OnePacket {
		name += " -o"
	}
	return name
}

// Place is where the row stands.
func (r Row) Place() string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

// Has tells whether the scheduler has a flag: "port" or "fallback".
func (r Row) Has(flag string) bool { return slices.Contains(r.Flags, r.Scheduler+"-"+flag) }

// final is the weights after the change; 0: the server takes no connections, or is not there.
func (r Row) final() []int {
	out := slices.Clone(r.Weights)
	if r.Change.Server != 0 {
		out[r.Change.Server-1] = r.Change.Weight // 0 when it was removed
	}
	return out
}

// Server is the address of server n.
func (r Row) Server(n int) netip.AddrPort {
	network := servers[0]
	if r.Asks[0].To.Addr().Is6() {
		network = servers[1]
	}
	return netip.AddrPortFrom(netip.MustParseAddr(network+strconv.Itoa(n)), ServerPort)
}

// ServerPort is where every server listens.
const ServerPort = 80

// Batches are rows whose services can be in one configuration.
func Batches(rows []Row) (out [][]Row) {
	type key struct {
		protocol model.Protocol
		service  netip.AddrPort
	}
	turns := map[key]int{}
	for _, r := range rows {
		k := key{r.Protocol, r.virtual()}
		turn := turns[k]
		turns[k]++
		if turn == len(out) {
			out = append(out, nil)
		}
		out[turn] = append(out[turn], r)
	}
	return out
}
