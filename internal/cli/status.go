// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/model"
)

// statusCommand shows the director on one screen; with problems its exit code is 3.
func statusCommand(env Env) *cobra.Command {
	c := look{name: "status", short: "the whole director on one screen, and what is wrong", ask: showStatus}.command(env)
	c.Long = "The whole director on one screen. The exit code is 3 if it has problems, 4 if no daemon listens."
	return c
}

func showStatus(ctx context.Context, daemon *client.Client, out *output) error {
	status, err := daemon.Status(ctx)
	if err != nil {
		return err
	}
	err = out.print(status, func(w io.Writer) error { return writeStatus(w, status, out.paint) })
	if err == nil && len(status.Problems) > 0 {
		return errDegraded
	}
	return err
}

func writeStatus(w io.Writer, s api.Status, paint func(colour, string) string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "weir %s, %s, revision %d", s.Version, s.Role, s.Revision)
	if s.Applied != s.Revision {
		fmt.Fprintf(&text, " (packets follow %d)", s.Applied)
	}
	text.WriteString("\n\n")
	if err := interfaceTable(s.Interfaces, paint).write(&text); err != nil {
		return err
	}
	fmt.Fprintf(&text, "\nconnections: %s\n", usage(s.Connections))
	writeProblems(&text, s.Problems, paint)
	_, err := io.WriteString(w, text.String())
	return err
}

func interfaceTable(interfaces []api.Interface, paint func(colour, string) string) *table {
	t := newTable("INTERFACE", "XDP", "REASON")
	for _, i := range interfaces {
		t.add(i.Name, i.XDP, i.Reason)
	}
	t.paint = func(column int, text string) string {
		if column == 1 {
			return paint(modes[text], text)
		}
		return text
	}
	return t
}

// modes are the colours of XDP's modes.
var modes = map[string]colour{"native": green, "generic": yellow, "none": red}

// usage leaves out what a daemon does not tell.
func usage(u api.Usage) string {
	text := model.Grouped(u.Used) + " of " + model.Grouped(u.Size)
	if u.Size > 0 {
		text += fmt.Sprintf(" (%d %%)", u.Used*100/u.Size)
	}
	if u.MemoryBytes > 0 {
		text += fmt.Sprintf(", %s of kernel memory", memory(u.MemoryBytes))
	}
	return text
}

func writeProblems(w io.Writer, problems []api.Problem, paint func(colour, string) string) {
	if len(problems) == 0 {
		fmt.Fprintf(w, "problems: %s\n", paint(green, "none"))
		return
	}
	fmt.Fprintf(w, "problems: %d\n", len(problems))
	for _, p := range problems {
		fmt.Fprintf(w, "\n  %s\n    why: %s\n    fix: %s\n", paint(red, p.What), p.Why, p.Fix)
	}
}
