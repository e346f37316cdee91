// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/lab"
)

// footprint writes everything of a host that weir might change, sorted: two of them are compared.
func footprint(ctx context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "HOST", "FILE"); err != nil {
		return "", err
	}
	host, err := s.host(args[0])
	if err != nil {
		return "", err
	}
	lines, err := looks(ctx, host)
	if err != nil {
		return "", err
	}
	sysctls, err := sysctls(host)
	if err != nil {
		return "", err
	}
	lines = slices.Concat(lines, sysctls, files(s.lab.Dir(), host.Name))
	slices.Sort(lines)
	return "", os.WriteFile(s.path(args[1]), []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// looks is what iproute2 says of links with their programs, addresses, routes and neighbours, and nftables of its rules.
// An address that the kernel still asks around for (tentative) is there.
func looks(ctx context.Context, host *lab.Node) ([]string, error) {
	var out []string
	for _, what := range []string{"link", "address", "-4 route show table all", "-6 route show table all", "neighbour"} {
		text, err := host.Output(ctx, "ip", append([]string{"-oneline"}, strings.Fields(what)...)...)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			if what != "neighbour" || kept.MatchString(line) {
				out = append(out, what+": "+strings.TrimSpace(strings.Replace(line, " tentative", "", 1)))
			}
		}
	}
	rules, err := host.Output(ctx, "nft", "list", "ruleset")
	for line := range strings.Lines(rules) {
		out = append(out, "nft: "+strings.TrimSpace(line))
	}
	return out, err
}

// kept are neighbours that somebody asked the kernel to keep; others come and go.
var kept = regexp.MustCompile(`managed|extern|PERMANENT`)

// sysctls are all of the network that can be read. The thread is in the host's namespace, and so
// is what /proc shows to it.
func sysctls(host *lab.Node) ([]string, error) {
	var out []string
	err := host.Do(func() error {
		return filepath.WalkDir("/proc/sys/net", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if value, err := os.ReadFile(path); err == nil { // some may only be written
				out = append(out, fmt.Sprintf("%s = %s", path, strings.TrimSpace(string(value))))
			}
			return nil
		})
	})
	return out, err
}

// files are the host's own in the lab's directory, but for what the story and the lab write.
func files(dir, host string) []string {
	var out []string
	for _, root := range []string{"bpf/" + host, host + "/run", host + "/state"} {
		_ = filepath.WalkDir(filepath.Join(dir, root), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				out = append(out, path)
			}
			return nil // what is not there is no trace
		})
	}
	return out
}
