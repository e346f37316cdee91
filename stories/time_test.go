// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// within says something again and again until it goes well. Deadlines are generous: what takes
// long on a busy machine is not wrong.
func within(ctx context.Context, s *stage, args []string) (string, error) {
	if len(args) < 2 {
		return "", misuse("within DURATION WORD... [says PATTERN]")
	}
	limit, err := time.ParseDuration(args[0])
	if err != nil {
		return "", misuse(err.Error())
	}
	line, pattern, err := wanted(args[1:])
	if err != nil {
		return "", err
	}
	return s.repeat(ctx, time.Now().Add(limit), line, pattern)
}

// wanted splits what is said from what it shall say.
func wanted(args []string) ([]string, *regexp.Regexp, error) {
	line, pattern, err := option(args, "says", "")
	if err != nil {
		return nil, nil, err
	}
	says, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return nil, nil, misuse(err.Error())
	}
	return line, says, nil
}

func (s *stage) repeat(ctx context.Context, deadline time.Time, line []string, says *regexp.Regexp) (string, error) {
	const least = 25 * time.Millisecond
	for {
		began := time.Now()
		text, err := s.say(ctx, line)
		switch {
		case errors.As(err, new(misuse)):
			return text, err
		case err == nil && says.MatchString(text):
			return text, nil
		case err == nil:
			err = fmt.Errorf("it does not say %q", says)
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return text, fmt.Errorf("at the end: %w", err)
		}
		time.Sleep(max(least, time.Since(began))) // who asks all the time makes a busy machine busier
	}
}

func pause(ctx context.Context, _ *stage, args []string) (string, error) {
	if err := exactly(args, "DURATION"); err != nil {
		return "", err
	}
	duration, err := time.ParseDuration(args[0])
	if err != nil {
		return "", misuse(err.Error())
	}
	time.Sleep(duration)
	return "", nil
}

// exits wants a command to end with one exit code. What it prints on stderr goes to stdout too,
// since both belong to the answer.
func exits(ctx context.Context, s *stage, args []string) (string, error) {
	if len(args) < 2 {
		return "", misuse("exits N WORD...")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return "", misuse(err.Error())
	}
	text, err := s.say(ctx, args[1:])
	got := 0
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		got = ended.ExitCode()
		text += err.Error() + "\n"
	case err != nil:
		return text, err
	}
	if got != want {
		return text, fmt.Errorf("exit code %d, not %d", got, want)
	}
	return text, nil
}
