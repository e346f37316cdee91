// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// version says what runs, and on what.
type version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"` // absent if the build does not know it
	Go      string `json:"go"`
	Kernel  string `json:"kernel"`
}

// versionCommand says which weir this is; it needs no daemon.
func versionCommand(env Env) *cobra.Command {
	out := output{env: env}
	c := &cobra.Command{
		Use:               "version",
		Short:             "version of weir, Go and the kernel",
		GroupID:           looks,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return showVersion(env, &out) },
	}
	out.flags(c)
	return c
}

func showVersion(env Env, out *output) error {
	kernel, err := kernelRelease()
	if err != nil {
		return err
	}
	v := version{Version: env.Version, Commit: env.Commit, Go: runtime.Version(), Kernel: kernel}
	return out.print(v, func(w io.Writer) error {
		commit := ""
		if v.Commit != "" {
			commit = " (" + v.Commit + ")"
		}
		_, err := fmt.Fprintf(w, "weir %s%s, %s, Linux %s\n", v.Version, commit, v.Go, v.Kernel)
		return err
	})
}

func kernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("release of the kernel: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}
