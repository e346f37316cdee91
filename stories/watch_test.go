// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"syscall"
	"time"
)

// watch has `weir trace` look at packets while something happens.
func watch(ctx context.Context, s *stage, args []string) (string, error) {
	return choose(ctx, s, args, map[string]word{"start": startWatch, "sees": watchSees, "stop": stopWatch})
}

// startWatch waits until it looks.
func startWatch(ctx context.Context, s *stage, args []string) (string, error) {
	if s.watch != nil {
		return "", misuse("there is a watch already")
	}
	command := append([]string{s.weir}, directorArgs(s.director(), append([]string{"trace"}, args...))...)
	p, err := s.run(&s.director().Node, command)
	if err != nil {
		return "", err
	}
	s.watch = p
	return watchSees(ctx, s, []string{"packets are traced"})
}

// watchSees waits until it has said something: packets take their time from the path to there.
func watchSees(ctx context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "PATTERN"); err != nil {
		return "", err
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	if err != nil {
		return "", misuse(err.Error())
	}
	for p, ended := s.watch, false; ; {
		if pattern.MatchString(p.said()) {
			return "", nil
		}
		if ended { // it may have said the last of it between the look before and its end
			return "", fmt.Errorf("it ended: %v%s", p.cmd.ProcessState, p.said())
		}
		select {
		case <-p.done:
			ended = true
		case <-ctx.Done():
			return "", fmt.Errorf("it does not say %s: %w%s", pattern, context.Cause(ctx), p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stopWatch ends it as Ctrl-C does, unless it has had enough by itself, and prints what it said.
func stopWatch(ctx context.Context, s *stage, _ []string) (string, error) {
	p := s.watch
	if p == nil {
		return "", misuse("there is no watch")
	}
	s.watch = nil
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return "", fmt.Errorf("it does not end: %w%s", context.Cause(ctx), p.said())
	}
	text, err := os.ReadFile(p.log)
	if !p.cmd.ProcessState.Success() {
		err = errors.Join(err, fmt.Errorf("it ended: %v", p.cmd.ProcessState))
	}
	return string(text), err
}
