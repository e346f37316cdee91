// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// failoverResult is what the demo ends with. Its JSON is a contract.
type failoverResult struct {
	OK   bool          `json:"ok"`
	Rows []failoverRow `json:"rows"`

	wanted int           // rows
	took   time.Duration // all of it
}

// failoverRow is what clients of a family saw of an event.
type failoverRow struct {
	Event          string         `json:"event"`
	Method         lab.Forwarding `json:"method"`
	Family         lab.Family     `json:"family"`
	GapMS          int64          `json:"gap_ms"`      // the longest time between two that have connected, less the pause between two that come
	Connections    int            `json:"connections"` // those that stay
	Lost           int            `json:"lost"`        // of them, since the row before
	Requests       int            `json:"requests"`    // new connections, each with a question and an answer
	RequestsFailed int            `json:"requests_failed"`

	may   int    // requests that may fail
	what  string // happens
	notes []string
}

func (r failoverRow) good() bool { return r.Lost == 0 && r.served() }

func (r failoverRow) served() bool { return r.Requests > 0 && r.RequestsFailed <= r.may }

func (r failoverResult) ok() bool { return r.OK }

// judge decides whether all is well: every row is there, no connection is lost, and of new ones no more fail than may.
func (r *failoverResult) judge() {
	bad := func(r failoverRow) bool { return !r.good() }
	r.OK = r.wanted > 0 && len(r.Rows) == r.wanted && !slices.ContainsFunc(r.Rows, bad)
}

// failoverHead says what is shown, in front of its rows.
const failoverHead = `Two directors share an address, and know each other's connections. One of them leaves, dies and returns, while connections stay that send bytes and want them back.
GAP: the longest time without a new one, of 200 that come each second. LOST: those that were to stay. FAILED: new ones.

EVENT      METHOD  FAMILY     GAP  CONNECTIONS  LOST  REQUESTS  FAILED  WHAT HAPPENS
`

// text is its line for people.
func (r failoverRow) text(p paint) string {
	return fmt.Sprintf("%-9s  %-6s  %-6s  %4.2f s  %11d  %s  %8d  %s  %s\n", r.Event, r.Method, r.Family, float64(r.GapMS)/1000, r.Connections,
		p(r.Lost == 0, fmt.Sprintf("%4d", r.Lost)), r.Requests, p(r.served(), fmt.Sprintf("%6d", r.RequestsFailed)), r.what)
}

// text is what its rows have not said.
func (r failoverResult) text(p paint) string {
	verdict := "No connection was lost."
	if !r.OK {
		verdict = "Not all went well: see above."
	}
	return fmt.Sprintf("\n%s It took %.0f seconds.\n", p(r.OK, verdict), r.took.Seconds())
}
