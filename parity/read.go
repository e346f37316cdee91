// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Read reads every record of a directory. A line that is not understood is an error, since a record
// that is passed over would look like one that is equal.
//
//	# text                                            what clients "one" and "many" are
//	== sh -b sh-port                                  a section: rows of one scheduler
//	one close [8039]: 3 2 - 1                         a row: traffic, the service's port, who took each connection
//	  10.1.0.11:80 w1 active 0 inactive 10            what server 1 of the row above had afterwards
//	  (while open) 10.1.0.11:80 1 10 0                and before: weight, active, inactive
//	== UDP: 10.0.0.2 ports 20001..20060               a section of another kind (heading.go): rows of several schedulers
//	sh -b sh-port [8098]: 1 1 1                       a row
func Read(dir string) ([]Row, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var out []Row
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		rows, err := Parse(filepath.Base(file), string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no records", dir)
	}
	return out, nil
}

// Parse reads one file.
func Parse(name, text string) ([]Row, error) {
	r := reader{file: name, weights: []int{1, 2, 3}}
	for line := range strings.Lines(text) {
		r.line++
		if err := r.read(strings.TrimRight(line, " \r\n")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, r.line, err)
		}
	}
	return r.rows, nil
}

// reader is a file as far as it was read.
type reader struct {
	file      string
	line      int
	one, many clients
	weights   []int    // of the next row
	section   *section // nil: none has begun
	rows      []Row
}

var (
	kernelLine = regexp.MustCompile(`^\d+\.\d+[\w.-]*$`)
	rowLine    = regexp.MustCompile(`^([^\[:]*?) *(?:\[(\d+)\])?: *((?:[1-9.-](?: |$))+)$`)
	countsLine = regexp.MustCompile(`^ +(\(while open\) )?(\S+) w?(\d+) (?:active )?(\d+) (?:inactive )?(\d+)$`)
)

func (r *reader) read(line string) error {
	switch {
	case line == "", kernelLine.MatchString(line), line == notAvailable:
		return nil
	case strings.HasPrefix(line, "#"):
		return r.told(line, &r.one, &r.many)
	case strings.HasPrefix(line, "== "):
		return r.heading(strings.TrimPrefix(line, "== "))
	}
	if m := countsLine.FindStringSubmatch(line); m != nil {
		return r.counts(m)
	}
	m := rowLine.FindStringSubmatch(line)
	if m == nil || r.section == nil {
		return fmt.Errorf("not understood: %q", line)
	}
	return r.row(m[1], m[2], strings.Fields(m[3]))
}

// notAvailable is a scheduler that the kernel of the record does not have.
const notAvailable = "not available"

// row adds one; name is what stands before its port.
func (r *reader) row(name, port string, picks []string) error {
	row := Row{File: r.file, Line: r.line, Picks: picks, Weights: slices.Clone(r.weights), Protocol: r.section.protocol}
	if err := r.section.describe(&row, name); err != nil {
		return err
	}
	if row.Change.Server > len(row.Weights) {
		return fmt.Errorf("server %d of %d", row.Change.Server, len(row.Weights))
	}
	at, err := r.section.port(port)
	if err != nil {
		return err
	}
	if !row.Marked {
		row.Service = netip.AddrPortFrom(r.section.vip, at)
	}
	row.Continues = r.section.edits && len(r.rows) > 0 && r.rows[len(r.rows)-1].Marked
	who := r.section.one
	if strings.HasPrefix(row.Traffic, "many") {
		who = r.section.many
	}
	row.Asks, err = who.asks(row.Service, len(picks))
	r.section.one = r.section.one.later(r.section.apart)
	r.rows = append(r.rows, row)
	return err
}

// counts belong to the row above, and tell its weights, which those below have too.
func (r *reader) counts(m []string) error {
	if len(r.rows) == 0 {
		return errors.New("counts of no row")
	}
	row := &r.rows[len(r.rows)-1]
	n, err := numbers(m[3:]...)
	if err != nil {
		return err
	}
	address, err := netip.ParseAddrPort(m[2])
	if err != nil {
		return err
	}
	server, err := numberOf(address.Addr())
	if err != nil {
		return err
	}
	if row.Change.Server == 0 {
		r.weigh(row, server, n[0])
	}
	into := &row.Left
	if m[1] != "" {
		into = &row.Open
	}
	if *into == nil {
		*into = map[int]Counts{}
	}
	(*into)[server] = Counts{Active: n[1], Inactive: n[2]}
	return nil
}

// weigh lengthens the list where a server is new.
func (r *reader) weigh(row *Row, server, weight int) {
	for len(row.Weights) < server {
		row.Weights = append(row.Weights, 1)
	}
	row.Weights[server-1] = weight
	r.weights = slices.Clone(row.Weights)
}

// servers are the networks of servers: number n is at an address that ends with 1n.
var servers = [2]string{"10.1.0.1", "fd00:b::1"}

// numberOf is the inverse of Row.Server.
func numberOf(a netip.Addr) (int, error) {
	for n := 1; n <= 9; n++ {
		for _, network := range servers {
			if a.String() == network+strconv.Itoa(n) {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%v is no server of the records", a)
}

// describe reads what stands before a row's port.
func (s *section) describe(row *Row, name string) error {
	row.Marked = s.marked
	if s.scheduler != "" {
		return errors.Join(readName(row, s.scheduler), readTraffic(row, name))
	}
	row.Traffic = s.label
	err := readName(row, name)
	if row.Keep {
		row.Traffic += " keep"
	}
	return err
}

// port is that in a row's brackets, or the next one of the section.
func (s *section) port(text string) (uint16, error) {
	switch {
	case text != "":
		n, err := numbers(text)
		return uint16(append(n, 0)[0]), err
	case s.marked:
		return 0, nil
	case s.next == 0:
		return 0, errors.New("the service's port is missing")
	}
	s.next++
	return uint16(s.next - 1), nil
}

var (
	traffics = regexp.MustCompile(`^(one|many) (close|keep)(?:, server (\d) (?:at weight (\d+)|(removed)))?$`)
	names    = regexp.MustCompile(`^([a-z]+)((?: -[a-z] ?\S*)*?)(?: (close|keep))?$`)
)

// readTraffic takes the name of a row in a section of one scheduler.
func readTraffic(row *Row, name string) error {
	m := traffics.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("traffic %q: not known", name)
	}
	row.Traffic, row.Keep = name, m[2] == "keep"
	row.Change.Server, _ = strconv.Atoi(m[3])
	row.Change.Weight, _ = strconv.Atoi(m[4])
	row.Change.Removed = m[5] != ""
	return nil
}

// readName takes a scheduler with its flags.
func readName(row *Row, name string) error {
	m := names.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("%q: no scheduler", name)
	}
	row.Scheduler, row.Keep = m[1], m[3] == "keep"
	options := strings.Fields(m[2])
	for i := 0; i < len(options); i++ {
		switch {
		case options[i] == "-o":
			row.OnePacket = true
		case options[i] == "-b" && i+1 < len(options):
			i++
			row.Flags = strings.Split(options[i], ",")
		default:
			return fmt.Errorf("%q: option %s is not known", name, options[i])
		}
	}
	return nil
}
