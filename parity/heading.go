// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// section is what the rows below a heading have in common.
type section struct {
	scheduler string // "" where rows name theirs
	label     string // of the traffic, where rows do not name it
	protocol  model.Protocol
	vip       netip.Addr
	marked    bool
	edits     bool // rows are one service, and what it has of connections stays from row to row
	next      int  // the port of the next row, where rows do not tell it; 0: they do
	one, many clients
	apart     int // by how much ports of clients are higher with each row
}

// vip4 is the service's address where the heading names none.
var vip4 = netip.MustParseAddr("10.0.0.100")

// address is one in a text, without the point or colon behind it.
const address = `([0-9a-f.:]*[0-9a-f])`

// headings are the kinds of sections.
var headings = []struct {
	form *regexp.Regexp
	read func(*section, []string) error
}{
	{regexp.MustCompile(`^([a-z]+(?: -[a-z] \S+| -o)*)(?:[,:]| \(| weights? |$)`), (*section).ofScheduler},
	{regexp.MustCompile(`^IPv6: ` + address + `,.*'many': `), (*section).ofIPv6},
	{regexp.MustCompile(`^UDP: \S+ ports `), (*section).ofUDP},
	{regexp.MustCompile(`^fwmark service.* (\d+) destination(?: addresse)?s ` + address + `\.\.\d+(?: port |:)(\d+).*client ` + address + `(.*)`), (*section).ofMark},
	{regexp.MustCompile(`^one-packet scheduling, UDP VIP:(\d+)\.\..* (\d+) datagrams of one socket address \(` + address +
		`:(\d+)\), then (\d+) of ports (\d+)\.\.`), (*section).ofSockets},
}

// heading begins a section.
func (r *reader) heading(text string) error {
	r.section = &section{protocol: model.TCP, vip: vip4, one: r.one, many: r.many}
	for _, kind := range headings {
		m := kind.form.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		return errors.Join(r.told(text, &r.section.one, &r.section.many), kind.read(r.section, m[1:]))
	}
	return fmt.Errorf("heading %q: not known", text)
}

func (s *section) ofScheduler(words []string) error {
	s.scheduler = words[0]
	return nil
}

func (s *section) ofIPv6(words []string) (err error) {
	s.label = "many, IPv6"
	s.vip, err = netip.ParseAddr(words[0])
	return err
}

func (s *section) ofUDP([]string) error {
	s.label, s.protocol = "one, UDP", model.UDP
	return nil
}

// newMark in a text says that a row has a service of its own. Else they were one, and its scheduler was edited.
const newMark = "new mark"

// ofMark: the client goes round the addresses of the service, from another port each time. The text does
// not tell them, and no rule asks for them but with flag sh-port or mh-port.
func (s *section) ofMark(words []string) error {
	n, err := numbers(words[0], words[2])
	if err != nil {
		return err
	}
	to, err := hosts(words[1], n[0])
	if err != nil {
		return err
	}
	s.label, s.marked, s.edits = fmt.Sprintf("%d addresses", n[0]), true, !strings.Contains(words[4], newMark)
	for _, host := range to {
		s.one.to = append(s.one.to, netip.AddrPortFrom(host, uint16(n[1])))
	}
	s.apart = 2 * n[0]
	s.one.from, err = ports(words[3], 20001, s.apart)
	return err
}

// ofSockets: many datagrams from one port, then one from each of others. The rows of the record began 200
// ports apart, which the text does not tell.
func (s *section) ofSockets(words []string) error {
	n, err := numbers(words[0], words[1], words[3], words[4], words[5])
	if err != nil {
		return err
	}
	s.label, s.protocol, s.next, s.apart, s.one.from = "one port, then many, UDP", model.UDP, n[0], 200, nil
	for range n[1] {
		same, err := ports(words[2], n[2], 1)
		if err != nil {
			return err
		}
		s.one.from = append(s.one.from, same...)
	}
	others, err := ports(words[2], n[4], n[3])
	s.one.from = append(s.one.from, others...)
	return err
}

// What texts say of clients and weights.
var (
	oneText    = regexp.MustCompile(`(?:one client|UDP:) ` + address + ` ports (\d+)\.\.(\d+)`)
	manyText   = regexp.MustCompile(`'many': ` + address + `\.\.(\d+) port (\d+),? then (?:\S+ port )?(\d+)`)
	weightText = regexp.MustCompile(`weights? (\d+(?: \d+)+)`)
)

// told takes what a text says.
func (r *reader) told(text string, one, many *clients) error {
	return errors.Join(
		telling(oneText, text, func(m []string) (err error) {
			n, err := numbers(m[1:]...)
			if err != nil {
				return err
			}
			one.from, err = ports(m[0], n[0], n[1]-n[0]+1)
			return err
		}),
		telling(manyText, text, func(m []string) (err error) {
			n, err := numbers(m[1:]...)
			if err != nil {
				return err
			}
			many.from, err = rounds(m[0], n[0], n[1], n[2])
			return err
		}),
		telling(weightText, text, func(m []string) (err error) {
			r.weights, err = numbers(strings.Fields(m[0])...)
			return err
		}),
	)
}

func telling(form *regexp.Regexp, text string, take func([]string) error) error {
	m := form.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	if err := take(m[1:]); err != nil {
		return fmt.Errorf("%q: %w", m[0], err)
	}
	return nil
}

// numbers reads some that are at most the largest port or weight.
func numbers(words ...string) (out []int, err error) {
	for _, word := range words {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil {
			return nil, err
		}
		out = append(out, int(n))
	}
	return out, nil
}
