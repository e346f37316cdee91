// SPDX-License-Identifier: Apache-2.0

package sched_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

// TestHashedPicksAreThoseOfIPVS compares the twins that hash addresses with runs of the real ip_vs
// (testdata/ipvs_hash.txt).
func TestHashedPicksAreThoseOfIPVS(t *testing.T) {
	for _, line := range lines(t, "testdata/ipvs_hash.txt") {
		r := hashed(t, line)
		table := sched.Make(r.scheduler, r.servers)
		twin := sched.NewTwin(r.scheduler, r.flags)
		var got []string
		for turn := range len(strings.Fields(r.picks)) {
			ask := sched.Ask{Client: r.clients(turn), Virtual: r.services(turn)}
			if slot, ok := twin.Pick(table, ask); ok {
				got = append(got, strconv.Itoa(r.names[slot.Server]))
			} else {
				got = append(got, "-")
			}
		}
		if got := strings.Join(got, " "); got != r.picks {
			t.Errorf("%s\n got %s", line, got)
		}
	}
}

// hashedRecord is a line of testdata/ipvs_hash.txt.
type hashedRecord struct {
	scheduler         model.Scheduler
	flags             model.SchedulerFlags
	servers           []model.ServerWant
	names             []int // numbers of the servers
	clients, services func(turn int) netip.AddrPort
	picks             string
}

func hashed(t *testing.T, line string) (r hashedRecord) {
	t.Helper()
	parts := strings.Split(line, " | ")
	words := strings.Fields(parts[0])
	r.scheduler, _ = model.ParseScheduler(words[0])
	r.flags.Port, r.flags.Fallback = words[1] == "sh-port", words[1] == "sh-fallback"
	for i, word := range strings.Fields(parts[1]) {
		if word != "x" {
			weight, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			r.servers, r.names = append(r.servers, servers(weight)...), append(r.names, i+1)
		}
	}
	var n, first int
	var client, service string
	if _, err := fmt.Sscanf(parts[2], "%s x%d", &client, &n); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if first = 20001; n > 1 {
		first = 30001
	}
	r.clients = func(turn int) netip.AddrPort {
		return netip.AddrPortFrom(nth(netip.MustParseAddr(client), turn%n), uint16(first+turn/n))
	}
	var m int
	if _, err := fmt.Sscanf(parts[3], "%s x%d", &service, &m); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	r.services = func(turn int) netip.AddrPort {
		at := netip.MustParseAddrPort(service)
		return netip.AddrPortFrom(nth(at.Addr(), turn%m), at.Port())
	}
	r.picks = parts[4]
	return r
}

// nth is n addresses behind a, whose last number is 1, as somebody counts who writes decimal numbers.
func nth(a netip.Addr, n int) netip.Addr {
	if n == 0 {
		return a
	}
	return netip.MustParseAddr(strings.TrimSuffix(a.String(), "1") + strconv.Itoa(1+n))
}
