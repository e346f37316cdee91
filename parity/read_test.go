// SPDX-License-Identifier: Apache-2.0

package parity_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/parity"
)

// told is a row in one line: who asked first and last, for what, with which servers, and what became of it.
func told(r parity.Row) string {
	first, last := r.Asks[0], r.Asks[len(r.Asks)-1]
	return fmt.Sprintf("%d %s | %s | %s %v..%v to %v..%v | %v %v keep %v mark %v | %s | %v %v",
		r.Line, r.Name(), r.Traffic, r.Protocol, first.From, last.From, first.To, last.To,
		r.Weights, r.Change, r.Keep, r.Marked, strings.Join(r.Picks, ""), r.Open, r.Left)
}

const clientsText = "# rows: one client 10.0.0.2 ports 20001..20003 in turn; 'many': 10.9.0.1..2 port 30001, then 10.9.0.1..2 port 30002, 4 in turn\n"

// TestRecordsAreReadAsTheyWereMade: each kind of section, in the words of the records.
func TestRecordsAreReadAsTheyWereMade(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       []string
	}{
		{"a scheduler", "== sh -b sh-port\n" +
			"one keep  [8040]: 3 - . \n  (while open) 10.1.0.11:80 5 1 0\n  10.1.0.11:80 w5 active 0 inactive 1\n" +
			"many close [8041]: 3 2 3 1 \nmany close, server 2 at weight 0 [8043]: 3 \nmany close, server 3 removed [8044]: 1 \n",
			[]string{
				"3 sh sh-port | one keep | tcp 10.0.0.2:20001..10.0.0.2:20003 to 10.0.0.100:8040..10.0.0.100:8040 | [5 2 3] {0 0 false} keep true mark false | 3-. | map[1:{1 0}] map[1:{0 1}]",
				"6 sh sh-port | many close | tcp 10.9.0.1:30001..10.9.0.2:30002 to 10.0.0.100:8041..10.0.0.100:8041 | [5 2 3] {0 0 false} keep false mark false | 3231 | map[] map[]",
				"7 sh sh-port | many close, server 2 at weight 0 | tcp 10.9.0.1:30001..10.9.0.1:30001 to 10.0.0.100:8043..10.0.0.100:8043 | [5 2 3] {2 0 false} keep false mark false | 3 | map[] map[]",
				"8 sh sh-port | many close, server 3 removed | tcp 10.9.0.1:30001..10.9.0.1:30001 to 10.0.0.100:8044..10.0.0.100:8044 | [5 2 3] {3 0 true} keep false mark false | 1 | map[] map[]",
			}},
		{"other weights", "== rr, weights 4 4 4 4\none close [1]: 4 \n",
			[]string{"3 rr | one close | tcp 10.0.0.2:20001..10.0.0.2:20001 to 10.0.0.100:1..10.0.0.100:1 | [4 4 4 4] {0 0 false} keep false mark false | 4 | map[] map[]"}},
		{"what the kernel does not have", "== twos\nnot available\n", nil},
		{"IPv6", "== IPv6: fd00:a::100, real servers fd00:b::11-13:80 of weights 1 2 3; 'many': fd00:9::1..12 port 30001 then 30002, 'close'\nmh -b mh-port [8092]: 1 1 1 1 1 1 1 1 1 1 1 1 2 \n",
			[]string{"3 mh mh-port | many, IPv6 | tcp [fd00:9::1]:30001..[fd00:9::1]:30002 to [fd00:a::100]:8092..[fd00:a::100]:8092 | [1 2 3] {0 0 false} keep false mark false | 1111111111112 | map[] map[]"}},
		{"UDP", "== UDP: 10.0.0.2 ports 20001..20060, one datagram each (bracket: service port); ops: -o\nrr -o [8099]: . 1 \n",
			[]string{"3 rr -o | one, UDP | udp 10.0.0.2:20001..10.0.0.2:20002 to 10.0.0.100:8099..10.0.0.100:8099 | [1 2 3] {0 0 false} keep false mark false | .1 | map[] map[]"}},
		{"a mark", "== fwmark service (NAT, real servers 10.1.0.11-13:0 of weight 1 2 3), 2 destinations 10.5.0.1..2:80, client 10.0.0.2 a new source port each, each closed before the next; then (new mark) all kept open\ndh close: 2 2 3 1 \ndh keep: 2 \n",
			[]string{
				"3 dh | 2 addresses | tcp 10.0.0.2:20001..10.0.0.2:20004 to 10.5.0.1:80..10.5.0.2:80 | [1 2 3] {0 0 false} keep false mark true | 2231 | map[] map[]",
				"4 dh | 2 addresses keep | tcp 10.0.0.2:20005..10.0.0.2:20005 to 10.5.0.1:80..10.5.0.1:80 | [1 2 3] {0 0 false} keep true mark true | 2 | map[] map[]",
			}},
		{"a mark, in other words", "== fwmark service, 30 destination addresses 10.5.0.1..30 port 80 (locally delivered on d), client 10.0.0.2 port 20001 then 20002, each 'close'\nsh: 1 1 \n",
			[]string{"3 sh | 30 addresses | tcp 10.0.0.2:20001..10.0.0.2:20002 to 10.5.0.1:80..10.5.0.2:80 | [1 2 3] {0 0 false} keep false mark true | 11 | map[] map[]"}},
		{"one socket", "== one-packet scheduling, UDP VIP:80.. -o, DR, weights 1 2 3: 2 datagrams of one socket address (10.0.0.2:20001), then 2 of ports 20101..20102; then the same without -o\nlc -o: 3 3 3 3 \nlc : 3 3 2 1 \n",
			[]string{
				"3 lc -o | one port, then many, UDP | udp 10.0.0.2:20001..10.0.0.2:20102 to 10.0.0.100:80..10.0.0.100:80 | [1 2 3] {0 0 false} keep false mark false | 3333 | map[] map[]",
				"4 lc | one port, then many, UDP | udp 10.0.0.2:20201..10.0.0.2:20302 to 10.0.0.100:81..10.0.0.100:81 | [1 2 3] {0 0 false} keep false mark false | 3321 | map[] map[]",
			}},
	} {
		rows, err := parity.Parse("x.txt", clientsText+row.text)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		var got []string
		for _, r := range rows {
			got = append(got, told(r))
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
	}
}

// TestWhatIsNotUnderstoodIsNotPassedOver: else it would look like what is equal.
func TestWhatIsNotUnderstoodIsNotPassedOver(t *testing.T) {
	for text, want := range map[string]string{
		"one close [1]: 1 \n":                                               `x.txt:2: not understood: "one close [1]: 1"`,
		"== rr\nsome close [1]: 1 \n":                                       `x.txt:3: traffic "some close": not known`,
		"== rr\none close: 1 \n":                                            `x.txt:3: the service's port is missing`,
		"== rr\none close [1]: x \n":                                        `x.txt:3: not understood: "one close [1]: x"`,
		"== rr\none close [1]: 1 1 1 1 \n":                                  `x.txt:3: 4 picks of 3 connections`,
		"== rr\nmany close, server 4 removed [1]: 1 \n":                     `x.txt:3: server 4 of 3`,
		"== rr\n  10.1.0.11:80 w1 active 0 inactive 1\n":                    `x.txt:3: counts of no row`,
		"== rr\none close [1]: 1 \n  10.9.0.11:80 w1 active 0 inactive 1\n": `x.txt:4: 10.9.0.11 is no server of the records`,
		"== SCTP: 10.0.0.2\n":                                               `x.txt:2: heading "SCTP: 10.0.0.2": not known`,
		"== UDP: 10.0.0.2 ports 1..9, each\nrr -p 3 [1]: 1":                 `x.txt:3: "rr -p 3": option -p is not known`,
	} {
		if rows, err := parity.Parse("x.txt", clientsText+text); err == nil || err.Error() != want {
			t.Errorf("%q: %d rows, %v; want %s", text, len(rows), err, want)
		}
	}
	if _, err := parity.Read(t.TempDir()); err == nil {
		t.Error("no record is no mistake")
	}
}

// TestEveryRowOfTheRecordsIsThere counts them by another road.
func TestEveryRowOfTheRecordsIsThere(t *testing.T) {
	rows, err := parity.Read("testdata")
	if err != nil {
		t.Fatal(err)
	}
	picks := 0
	for _, r := range rows {
		picks += len(r.Picks)
	}
	if len(rows) != 131 || picks != 131*60 { // grep -cE ': [-.1-3] [-.1-3] ' testdata/*.txt
		t.Errorf("%d rows, %d picks", len(rows), picks)
	}
}
