// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/lab"
	"golang.org/x/sys/unix"
)

// result is what a demo ends with. Its JSON is a contract.
type result struct {
	OK      bool     `json:"ok"`
	Rows    []row    `json:"rows"`
	Restart *restart `json:"restart,omitempty"` // absent: it did not come to that
}

type row struct {
	Method      lab.Forwarding `json:"method"`
	Family      lab.Family     `json:"family"`
	Clients     int            `json:"clients"` // distinct addresses that servers saw
	Requests    int            `json:"requests"`
	Failed      int            `json:"failed"`
	Servers     map[string]int `json:"servers"`     // answers of each
	Transparent bool           `json:"transparent"` // servers saw the client's own address every time

	asked int // clients that sent requests
}

type restart struct {
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
}

func newRow(m lab.Forwarding, f lab.Family, l *lab.Lab, t lab.Tally) row {
	r := row{
		Method: m, Family: f,
		Clients: t.Clients(), Requests: t.Requests, Failed: t.Failed,
		Servers: map[string]int{}, Transparent: t.Transparent(),
		asked: len(l.Client.Addresses(f)),
	}
	for _, s := range l.Servers {
		r.Servers[s.Name] = t.Servers[s.Name] // also one that answered nobody
	}
	return r
}

// good tells whether a row shows what it should.
func (r row) good() bool {
	for _, answers := range r.Servers {
		if answers == 0 {
			return false
		}
	}
	return r.Failed == 0 && r.Transparent && r.Clients == r.asked
}

// judge decides whether all is well: every row is there and good, and the restart cost nothing.
func (r *result) judge() {
	bad := func(r row) bool { return !r.good() }
	r.OK = len(r.Rows) == len(stages)*len(lab.Families()) && !slices.ContainsFunc(r.Rows, bad) &&
		r.Restart != nil && r.Restart.Failed == 0
}

// outcome is what a demo ends with. Its JSON is a contract; its text is what a person has not been told yet.
type outcome interface {
	ok() bool
	text(paint) string
}

func (r result) ok() bool { return r.OK }

// show prints a result for a person or a machine, and fails if it is not a good one.
func show(out io.Writer, asJSON bool, r outcome) error {
	var err error
	if asJSON {
		err = json.NewEncoder(out).Encode(r)
	} else {
		_, err = io.WriteString(out, r.text(paintFor(out)))
	}
	if err == nil && !r.ok() {
		err = errSaid
	}
	return err
}

// isTerminal tells whether a person looks at it, who wants colours.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// paint marks a text as good or bad.
type paint func(good bool, text string) string

func paintFor(out io.Writer) paint {
	if isTerminal(out) {
		return coloured
	}
	return plain
}

func plain(_ bool, text string) string { return text }

func coloured(good bool, text string) string {
	if good {
		return "\x1b[32m" + text + "\x1b[0m"
	}
	return "\x1b[31m" + text + "\x1b[0m"
}

// text is a table for people and a sentence about the restart.
func (r result) text(p paint) string {
	var out strings.Builder
	servers := r.serverNames()
	fmt.Fprintf(&out, "%-6s  %-6s  %7s  %8s  %6s", "METHOD", "FAMILY", "CLIENTS", "REQUESTS", "FAILED")
	for _, s := range servers {
		fmt.Fprintf(&out, "  %5s", s)
	}
	out.WriteString("  SERVERS SAW\n")
	for _, row := range r.Rows {
		row.write(&out, servers, p)
	}
	fmt.Fprintf(&out, "\n%s\n%s\n", r.Restart.text(p), p(r.OK, r.verdict()))
	return out.String()
}

func (r row) write(out io.Writer, servers []string, p paint) {
	fmt.Fprintf(out, "%-6s  %-6s  %7d  %8d", r.Method, r.Family, r.Clients, r.Requests)
	fmt.Fprintf(out, "  %s", p(r.Failed == 0, fmt.Sprintf("%6d", r.Failed)))
	for _, s := range servers {
		fmt.Fprintf(out, "  %s", p(r.Servers[s] > 0, fmt.Sprintf("%5d", r.Servers[s])))
	}
	fmt.Fprintf(out, "  %s\n", p(r.Transparent, r.saw()))
}

func (r result) serverNames() []string {
	names := map[string]bool{}
	for _, row := range r.Rows {
		for name := range row.Servers {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (r row) saw() string {
	switch {
	case r.Clients == 0:
		return "nobody"
	case r.Transparent:
		return "the client's address"
	default:
		return "other addresses"
	}
}

func (r *restart) text(p paint) string {
	if r == nil {
		return p(false, "The daemon was not killed under load: it did not come to that.")
	}
	return fmt.Sprintf("The daemon was killed with -9 under load and started again: %d requests, %s.",
		r.Requests, p(r.Failed == 0, fmt.Sprintf("%d failed", r.Failed)))
}

func (r result) verdict() string {
	if r.OK {
		return "Nothing failed."
	}
	return "Not all went well: see above."
}
