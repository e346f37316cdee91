// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// DoctorOptions are what the doctor is told; the rest it finds on the host.
type DoctorOptions struct {
	Spec    *model.Spec // nil: there is no configuration
	BPFFS   string      // directory
	Status  *api.Status // nil: no daemon answers
	Silent  string      // why a daemon that is there cannot be asked; "" where none is
	Clients []api.Connection
}

// doctorCommand looks at the host, with or without a daemon.
func doctorCommand(env Env) *cobra.Command {
	var from daemon
	var file, bpffs string
	out := output{env: env}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "what is wrong with this host, and the fix",
		Long: "What is wrong with this host as a director, and the fix. Nothing is changed. A daemon that runs is asked;\n" +
			"without one the host and the configuration are looked at. The exit code is 3 if there is a warning or an error.",
		GroupID:           looks,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			spec, err := doctorSpec(file, c.Flags().Changed("config"))
			if err != nil {
				return err
			}
			o := DoctorOptions{Spec: spec, BPFFS: bpffs}
			if spec != nil && from.socket == "" {
				from.socket = spec.API.Unix
			}
			o.ask(c.Context(), from.client())
			findings, err := env.Doctor(c.Context(), o)
			if err != nil {
				return err
			}
			return showDoctor(findings, &out)
		},
	}
	c.Flags().StringVarP(&file, "config", "c", defaultConfig, "judge the host for this `FILE`, if there is one")
	c.Flags().StringVar(&bpffs, "bpffs", defaultBPFFS, "maps and programs are pinned in `DIR`")
	from.flags(c)
	out.flags(c)
	return c
}

// doctorSpec reads the configuration; the default one need not be there.
func doctorSpec(file string, named bool) (*model.Spec, error) {
	spec, err := config.Load(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &spec, nil
}

const (
	doctorPatience = 10 * time.Second // one who is ill may not answer
	doctorClients  = 4096             // connections that are looked at
)

// ask hears the daemon, if there is one.
func (o *DoctorOptions) ask(ctx context.Context, daemon *client.Client) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	status, err := daemon.Status(ctx)
	if err == nil {
		o.Status = &status
		o.Clients, err = daemon.Connections(ctx, client.ConnectionsQuery{Limit: doctorClients})
	}
	if err != nil && !errors.Is(err, client.ErrNoDaemon) {
		o.Silent = err.Error()
	}
}

func showDoctor(d api.Doctor, out *output) error {
	err := out.print(d, func(w io.Writer) error { return writeDoctor(w, d, out.paint) })
	if err == nil && d.Degraded {
		return errDegraded
	}
	return err
}

// levels are the colours of findings.
var levels = map[api.Level]colour{api.LevelOK: green, api.LevelWarning: yellow, api.LevelError: red}

// writeDoctor prints one line a finding, and below them what is to be said of those that are not ok.
func writeDoctor(w io.Writer, d api.Doctor, paint func(colour, string) string) error {
	t := newTable("LEVEL", "CHECK", "WHAT")
	for _, f := range d.Findings {
		t.add(string(f.Level), f.Check, f.What)
	}
	t.paint = func(column int, text string) string {
		if column == 0 {
			return paint(levels[api.Level(text)], text)
		}
		return text
	}
	var text strings.Builder
	if err := t.write(&text); err != nil {
		return err
	}
	for _, f := range d.Findings {
		if f.Level != api.LevelOK {
			fmt.Fprintf(&text, "\n%s: %s: %s\n  why: %s\n  fix: %s\n", paint(levels[f.Level], string(f.Level)), f.Check, f.What, f.Why, f.Fix)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
