// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

const (
	// maxAnswer is how far an answer is looked into, in bytes.
	maxAnswer = 64 << 10

	// breath is the time between two looks. An answer that comes byte by byte would be searched from its
	// beginning for each of them.
	breath = 2 * time.Millisecond
)

// probeExpect sends, and searches what comes until it matches.
func probeExpect(ask model.AskExpect) (probe, error) {
	expected, err := regexp.Compile(ask.Expect)
	if err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	return func(ctx context.Context, to netip.AddrPort) error {
		c, err := dial(ctx, to)
		if err != nil {
			return err
		}
		defer c.Close()
		defer obey(ctx, c)()
		if ask.Send != "" {
			if _, err := io.WriteString(c, ask.Send); err != nil {
				return fmt.Errorf("send: %w", plainly(err))
			}
		}
		return search(ctx, c, expected)
	}, nil
}

func search(ctx context.Context, c io.Reader, expected *regexp.Regexp) error {
	var answer []byte
	for len(answer) < maxAnswer {
		answer = slices.Grow(answer, maxLine)
		n, err := c.Read(answer[len(answer):min(cap(answer), maxAnswer)])
		answer = answer[:len(answer)+n]
		if n > 0 {
			if found, late := matches(ctx, expected, answer); found || late != nil {
				return late
			}
		}
		if err != nil {
			return unmatched(err, string(answer))
		}
		time.Sleep(breath)
	}
	return fmt.Errorf("no match in the first %d KiB", maxAnswer>>10)
}

// unmatched says how an answer ended without a match.
func unmatched(err error, answer string) error {
	err = plainly(err)
	silent, closed := errors.Is(err, errSilent), errors.Is(err, io.EOF)
	switch {
	case silent && answer != "":
		return fmt.Errorf("%w that matches, only %s", err, shown(answer))
	case closed && answer != "":
		return fmt.Errorf("no match: %s", shown(answer))
	case closed:
		return errors.New("closed without an answer")
	}
	return err
}
