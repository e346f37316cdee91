// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"fmt"
	"time"
)

// gather is connections that stay, to the TCP echo of servers, and speak now and then.
func gather(ctx context.Context, s *stage, args []string) (string, error) {
	return choose(ctx, s, args, map[string]word{"gather": openCrowd, "muster": muster})
}

// saysEvery is how often each of a crowd speaks.
const saysEvery = 200 * time.Millisecond

func openCrowd(ctx context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "NAME", "ADDRESS", "N"); err != nil {
		return "", err
	}
	to, err := target(args[1])
	if err != nil {
		return "", err
	}
	size, err := number(args[2])
	if err != nil {
		return "", err
	}
	crowd, err := s.lab.Client.Gather(ctx, to, size, saysEvery)
	if err != nil {
		return "", err
	}
	s.crowds[args[0]] = crowd
	return "", nil
}

// muster says how many were lost since the last time, and how. Others have taken their places.
func muster(ctx context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "NAME"); err != nil {
		return "", err
	}
	crowd := s.crowds[args[0]]
	if crowd == nil {
		return "", misuse(fmt.Sprintf("no crowd is called %s", args[0]))
	}
	lost, _, err := crowd.Muster(ctx)
	text := fmt.Sprintf("lost %d\n", lost)
	for _, each := range crowd.Lost() {
		text += fmt.Sprintln(each)
	}
	return text, err
}
