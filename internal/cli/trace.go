// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/model"
)

// tracing is what `weir trace` was asked.
type tracing struct {
	query  client.TraceQuery
	count  uint64
	pcap   string
	format choice
}

// traceCommand shows packets as they come. The flow is read here, too, so that a mistake is one of the command
// line, with or without a daemon.
func traceCommand(env Env) *cobra.Command {
	var t tracing
	var from daemon
	c := &cobra.Command{
		Use:   "trace [CLIENT[:PORT] [VIP[:PORT] [tcp|udp|sctp]]]",
		Short: "what becomes of packets as they come, stage by stage",
		Long: "Print each packet of a client to a virtual address, and each one for it, as it comes: what was asked on its way,\n" +
			"how it ended, and how it was sent on. \"any\" is every client; without arguments it is all packets for services.\n" +
			"Ctrl-C ends it. It changes nothing that becomes of packets, but each one that may be meant takes longer.",
		GroupID: looks,
		Args: func(c *cobra.Command, args []string) error {
			if err := t.parse(args); err != nil {
				return usageError{c, err.Error()}
			}
			if t.pcap == "-" && c.Flags().Changed("output") {
				return usageError{c, "--pcap - has stdout for the capture, so there is no other output: leave --output out, or name a file"}
			}
			return nil
		},
		ValidArgsFunction: completeFlow,
		RunE:              func(c *cobra.Command, _ []string) error { return t.run(c, from.client(), env) },
	}
	from.flags(c)
	c.Flags().Uint64VarP(&t.count, "count", "c", 0, "end after `N` packets; 0 is never")
	c.Flags().StringVarP(&t.pcap, "pcap", "w", "", "write them to `FILE`, as they came and as they were sent on, for tcpdump and wireshark; - is stdout")
	t.format.add(c, "output", "o", "text for people; json, one packet a line, for programs", "text", "json")
	return c
}

func (t *tracing) parse(args []string) error {
	if len(args) > 3 {
		return fmt.Errorf("%s where a client, a virtual address and a protocol are meant", count(len(args), "argument"))
	}
	for i, part := range []*string{&t.query.Client, &t.query.Virtual, &t.query.Protocol} {
		if i < len(args) {
			*part = args[i]
		}
	}
	_, err := model.ParseTraceFilter(t.query.Client, t.query.Virtual, t.query.Protocol)
	return err
}

// errEnough ends a trace that has seen what was asked for.
var errEnough = errors.New("enough")

func (t *tracing) run(c *cobra.Command, daemon *client.Client, env Env) error {
	show := t.printer(env)
	end := func() error { return nil }
	begun := func() (err error) {
		if t.pcap != "" {
			show, end, err = t.capturer(env, show)
		}
		if err == nil {
			_, _ = fmt.Fprintln(env.Stderr, "weir: packets are traced; Ctrl-C ends it")
		}
		return err
	}
	t.query.Frames = t.pcap != ""
	seen := uint64(0)
	err := daemon.Trace(c.Context(), t.query, begun, func(p api.Trace) error {
		if p.Missed > 0 {
			_, _ = fmt.Fprintf(env.Stderr, "weir: %s came too fast to be told\n", count(int(p.Missed), "packet"))
		}
		if err := show(p); err != nil {
			return err
		}
		if seen++; seen == t.count {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, end())
}

// printer prints a packet.
func (t *tracing) printer(env Env) func(api.Trace) error {
	if t.format.value != "json" {
		return func(p api.Trace) error { return printTrace(env.Stdout, p) }
	}
	lines := json.NewEncoder(env.Stdout)
	lines.SetEscapeHTML(false)
	return func(p api.Trace) error {
		p.FrameIn, p.FrameSent = nil, nil // they are in the capture
		return lines.Encode(p)
	}
}

// capturer writes packets to the capture, and prints them: not on stdout beside a capture. It is made when the
// trace has begun, so that an earlier capture is not lost for nothing.
func (t *tracing) capturer(env Env, print func(api.Trace) error) (show func(api.Trace) error, end func() error, err error) {
	end = func() error { return nil }
	if t.pcap == "-" {
		capture, err := newCapture(env.Stdout)
		return capture.packet, end, err
	}
	file, err := os.Create(t.pcap)
	if err != nil {
		return print, end, err
	}
	capture, err := newCapture(file)
	return func(p api.Trace) error { return errors.Join(capture.packet(p), print(p)) }, file.Close, err
}

// printTrace writes a packet's headers, and below them a line for each stage, the verdict last.
func printTrace(w io.Writer, t api.Trace) error {
	const column = 14
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s  %s\n", t.Time.Local().Format("15:04:05.000000"), t.Interface, t.Packet)
	line := func(name, result string) { fmt.Fprintf(&text, "    %-*s%s\n", column, name, result) }
	for _, stage := range t.Stages {
		line(stage.Name, stage.Result)
	}
	line("verdict", fmt.Sprintf("%s: %s", t.Verdict, t.Means))
	if t.Sent != "" {
		line("sent", t.Sent)
	}
	_, err := io.WriteString(w, text.String())
	return err
}
