// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
)

// notifyCommand lists notices; the one below it tries them.
func notifyCommand(env Env) *cobra.Command {
	c := look{name: "notify", short: "who is told what, and whether that gets through; notify test tries it", ask: showNotices}.command(env)
	c.AddCommand(notifyTestCommand(env))
	return c
}

func showNotices(ctx context.Context, daemon *client.Client, out *output) error {
	notices, err := daemon.Notices(ctx)
	if err != nil {
		return err
	}
	const errorColumn = 9
	t := newTable(">NO", "NOTICE", "SERVICES", "EVENTS", "SEVERITY", ">SENT", ">FAILED", ">DROPPED", ">WAITING", "ERROR")
	for _, n := range notices {
		t.add(strconv.Itoa(n.Number), n.Channel, orAll(n.Services), orAll(n.Events), n.Severity,
			number(&n.Sent), number(&n.Failed), number(&n.Dropped), strconv.Itoa(n.Waiting), n.Error)
	}
	t.paint = func(column int, text string) string {
		if column == errorColumn && text != "" {
			return out.paint(red, text)
		}
		return text
	}
	return out.print(notices, t.write)
}

func orAll(names []string) string { return cmp.Or(strings.Join(names, ","), "all") }

// notifyTestCommand has the daemon send tests, since that is who sends what matters.
func notifyTestCommand(env Env) *cobra.Command {
	var from daemon
	var meant int
	out := output{env: env}
	c := &cobra.Command{
		Use:   "test [NUMBER]",
		Short: "send a test message by one notice, or by all, and say whether it got through",
		Long: "Send a test message by the notice that has this NUMBER in `weir notify`, or by all, whatever they are for, and\n" +
			"say whether it got through. It says that it is a test. The exit code is 1 if one did not get through.",
		Args: func(c *cobra.Command, args []string) (err error) {
			meant, err = noticeMeant(c, args)
			return err
		},
		ValidArgsFunction: noticeNumbers,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			return testNotices(ctx, from.client(), meant, &out)
		},
	}
	from.flags(c)
	out.flags(c)
	return c
}

// everyNotice is no number of any.
const everyNotice = 0

func noticeMeant(c *cobra.Command, args []string) (int, error) {
	if len(args) == 0 {
		return everyNotice, nil
	}
	if len(args) > 1 {
		return 0, usageError{c, fmt.Sprintf("%q is one argument too many", args[1])}
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return 0, usageError{c, fmt.Sprintf("%q is not the number of a notice: `weir notify` lists them, from 1 on", args[0])}
	}
	return n, nil
}

func testNotices(ctx context.Context, daemon *client.Client, meant int, out *output) error {
	numbers := []int{meant}
	if meant == everyNotice {
		var err error
		if numbers, err = allNotices(ctx, daemon); err != nil {
			return err
		}
	}
	tested, err := testAtOnce(ctx, daemon, numbers)
	if err != nil {
		return err
	}
	return showTested(tested, out)
}

// allNotices: who wants to know whether anybody is told must hear that nobody is.
func allNotices(ctx context.Context, daemon *client.Client) ([]int, error) {
	notices, err := daemon.Notices(ctx)
	if err != nil {
		return nil, err
	}
	if len(notices) == 0 {
		return nil, errors.New("the configuration has no notices, so nobody is told of anything: write them under `notify:`, and weir reload")
	}
	var out []int
	for _, n := range notices {
		out = append(out, n.Number)
	}
	return out, nil
}

// testAtOnce does not let one that hangs keep the others waiting.
func testAtOnce(ctx context.Context, daemon *client.Client, numbers []int) ([]api.NoticeTested, error) {
	tested := make([]api.NoticeTested, len(numbers))
	group, ctx := errgroup.WithContext(ctx)
	for i, n := range numbers {
		group.Go(func() (err error) {
			tested[i], err = daemon.TestNotice(ctx, n)
			return err
		})
	}
	return tested, group.Wait()
}

func showTested(tested []api.NoticeTested, out *output) error {
	const resultColumn = 2
	const sent = "sent"
	failed := false
	t := newTable(">NO", "NOTICE", "RESULT")
	for _, one := range tested {
		failed = failed || !one.Sent
		result := sent
		if !one.Sent {
			result = one.Error
		}
		t.add(strconv.Itoa(one.Number), one.Channel, result)
	}
	t.paint = func(column int, text string) string {
		switch {
		case column != resultColumn:
			return text
		case text == sent:
			return out.paint(green, text)
		}
		return out.paint(red, text)
	}
	err := out.print(tested, t.write)
	if err == nil && failed {
		return errFailed
	}
	return err
}

// noticeNumbers completes the number of a notice, and says what it is.
func noticeNumbers(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	notices, err := daemonOf(c).Notices(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, n := range notices {
		out = append(out, cobra.CompletionWithDesc(strconv.Itoa(n.Number), n.Channel))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
