// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"fmt"
	"math"
	"strconv"
)

// Choice is what a scheduler decides about a new connection, and why. What it has for servers goes by
// their indexes in the list from which the table was made.
type Choice struct {
	Slot     Slot
	Found    bool            // false: nobody takes the connection, or lots are drawn
	Why      string          // in words, for people
	Compared map[int]string  // what was compared of a server
	Shares   map[int]float64 // where lots are drawn: how likely each is; 1 together
}

// explained makes the choice of those whose table is walked: what is compared is that of every server which
// is not full.
func explained(t Table, ask Ask, compared func(Slot) string) Choice {
	c := Choice{Compared: map[int]string{}}
	for _, slot := range t.open(ask).Slots {
		c.Compared[slot.Server] = compared(slot)
	}
	return c
}

// picks adds what was picked; why is asked only if somebody was.
func (c Choice) picks(slot Slot, found bool, why func() string) Choice {
	c.Slot, c.Found, c.Why = slot, found, nobodyTakes
	if found {
		c.Why = why()
	}
	return c
}

const nobodyTakes = "no server takes connections"

// figure is what a scheduler compares of a server, with names for a sentence, and short for a table.
type figure struct{ words, short string }

func (f figure) over(weight uint32, value float64) figure {
	return figure{
		fmt.Sprintf("(%s) / weight %d = %s", f.words, weight, decimal(value/float64(weight))),
		fmt.Sprintf("(%s) / %d = %s", f.short, weight, decimal(value/float64(weight))),
	}
}

func (f figure) is(value uint64) figure {
	return figure{fmt.Sprintf("%s = %d", f.words, value), fmt.Sprintf("%s = %d", f.short, value)}
}

func overheadOf(l Load) figure {
	return figure{
		fmt.Sprintf("active %d x 256 + inactive %d", l.Active, l.Inactive),
		fmt.Sprintf("%d x 256 + %d", l.Active, l.Inactive),
	}
}

// decimal has three places at most: more does not help to see which is less.
func decimal(f float64) string { return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64) }

// best is a server whose figure none of the others beats.
func best(t Table, picked Slot, what, most string, less func(a, b Slot) bool) string {
	text := fmt.Sprintf("%s is the %s of %s", what, most, counted(len(t.Slots), "server"))
	equal := 0
	for _, slot := range t.Slots {
		if !less(slot, picked) && !less(picked, slot) {
			equal++
		}
	}
	if equal > 1 {
		text += fmt.Sprintf("; %d are equal, of which it was added last", equal)
	}
	return text
}

// counted prints "1 server", "2 servers".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// dealt says how many of the buckets, or indexes, each server has.
func dealt(table []int, nouns string) map[int]string {
	counts := map[int]int{}
	for _, server := range table {
		counts[server]++
	}
	out := map[int]string{}
	for server, n := range counts {
		out[server] = fmt.Sprintf("%d of %d %s", n, len(table), nouns)
	}
	return out
}
