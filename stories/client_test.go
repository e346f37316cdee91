// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// visit is what clients do. All but the visit print a line for each answer: the server, the
// client's address as the server saw it, and the address at which it was asked.
func visit(ctx context.Context, s *stage, args []string) (string, error) {
	client := s.lab.Client
	return choose(ctx, s, args, map[string]word{
		"get": asking(client.Get),
		"ask": asked,
		"curl": asking(func(ctx context.Context, from netip.Addr, to netip.AddrPort) (lab.Answer, error) {
			return client.Curl(ctx, from, to)
		}),
		"visit": everybody,
	})
}

// asking asks from one address, or some times from one after the other.
func asking(ask func(context.Context, netip.Addr, netip.AddrPort) (lab.Answer, error)) word {
	return func(ctx context.Context, s *stage, args []string) (string, error) {
		q, err := s.question(args)
		if err != nil {
			return "", err
		}
		var text strings.Builder
		for i := range q.times {
			from := q.from[i%len(q.from)]
			answer, err := ask(ctx, from, q.to)
			if err != nil {
				return text.String(), err
			}
			text.WriteString(answer.String())
		}
		return text.String(), nil
	}
}

// asked asks a UDP echo, with as many bytes as one likes, which come back.
func asked(ctx context.Context, s *stage, args []string) (string, error) {
	args, size, err := option(args, "size", "4")
	if err != nil {
		return "", err
	}
	bytes, err := number(size)
	if err != nil {
		return "", err
	}
	args, wait, err := waiting(args)
	if err != nil {
		return "", err
	}
	return asking(func(ctx context.Context, from netip.Addr, to netip.AddrPort) (lab.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		return s.lab.Client.Question(ctx, from, to, lab.Question(bytes))
	})(ctx, s, args)
}

// waiting takes out of the arguments for how long somebody waits who may get no answer.
func waiting(args []string) ([]string, time.Duration, error) {
	args, wait, err := option(args, "wait", patience.String())
	if err != nil {
		return nil, 0, err
	}
	duration, err := time.ParseDuration(wait)
	if err != nil {
		return nil, 0, misuse(err.Error())
	}
	return args, duration, nil
}

// question is who asks whom, and how often.
type question struct {
	to    netip.AddrPort
	from  []netip.Addr
	times int
}

func (s *stage) question(args []string) (question, error) {
	args, times, err := option(args, "times", "1")
	if err != nil {
		return question{}, err
	}
	args, from, err := option(args, "from", "")
	if err != nil {
		return question{}, err
	}
	if err := exactly(args, "URL"); err != nil {
		return question{}, err
	}
	var q question
	if q.to, err = target(args[0]); err != nil {
		return q, err
	}
	if q.times, err = strconv.Atoi(times); err != nil {
		return q, misuse(err.Error())
	}
	return q, s.askFrom(&q, from)
}

func (s *stage) askFrom(q *question, from string) error {
	if from == "" {
		q.from = s.lab.Client.Addresses(family(q.to))
		return nil
	}
	client, err := netip.ParseAddr(from)
	if err != nil {
		return misuse(err.Error())
	}
	q.from = []netip.Addr{client}
	return nil
}

// target is http://ADDRESS[:PORT]/ or ADDRESS:PORT.
func target(text string) (netip.AddrPort, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(text, "http://"), "/")
	if to, err := netip.ParseAddrPort(host); err == nil {
		return to, nil
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return netip.AddrPort{}, misuse(fmt.Sprintf("%s: not an address of a service", text))
	}
	return netip.AddrPortFrom(address, lab.WebPort), nil
}

func family(a netip.AddrPort) lab.Family {
	if a.Addr().Is4() {
		return lab.IPv4
	}
	return lab.IPv6
}

// everybody lets all 120 clients ask a web server some times, and prints what came of it.
func everybody(ctx context.Context, s *stage, args []string) (string, error) {
	q, err := s.question(args)
	if err != nil {
		return "", err
	}
	t := s.lab.Client.Visit(ctx, q.to, q.times)
	text := fmt.Sprintf("requests %d\nfailed %d\nclients %d\n", t.Requests, t.Failed, t.Clients())
	for _, server := range slices.Sorted(maps.Keys(t.Servers)) {
		text += fmt.Sprintf("%s %d\n", server, t.Servers[server])
	}
	if t.Failed != 0 {
		return text, fmt.Errorf("%d of %d failed, the first: %w", t.Failed, t.Requests, t.First)
	}
	if !t.Transparent() {
		return text, errors.New("servers saw other addresses than the clients' own")
	}
	return text, nil
}
