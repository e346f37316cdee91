// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// reloadCommand does what SIGHUP does, and says what came of it.
func reloadCommand(env Env) *cobra.Command {
	var from daemon
	c := &cobra.Command{
		Use:   "reload",
		Short: "the daemon reads its file again, as SIGHUP does",
		Long: "The daemon reads its own file again. One with a mistake is refused with all of them, exit code 2,\n" +
			"and the daemon keeps the configuration that it has.",
		GroupID:           changes,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			reloaded, err := from.client().Reload(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Stdout, "revision %d\n", reloaded.Revision)
			return err
		},
	}
	from.flags(c)
	return c
}
