// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/cli"
)

const top = "../../"

// pages are what people read, from the top of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/why/*.md"} {
		found, err := filepath.Glob(top + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no pages, %v", pattern, err)
		}
		out = append(out, found...)
	}
	return out
}

func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	shellBlock  = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	shellWeir   = regexp.MustCompile(`^(?:\S+/)?weir (.*)$`)
	inlineWeir  = regexp.MustCompile("`weir ([^`…]*)")
	flagName    = regexp.MustCompile(`--[a-z-]+`)
	endsCommand = regexp.MustCompile(`\s(?:#|\||>|;|&&).*$`)
)

// TestDocumentedCommandsExist takes every command line of the documentation apart as weir would;
// none is run.
func TestDocumentedCommandsExist(t *testing.T) {
	seen := 0
	for _, path := range pages(t) {
		text := page(t, path)
		for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
			for line := range strings.Lines(block[1]) {
				line = endsCommand.ReplaceAllString(strings.TrimSpace(line), "")
				if m := shellWeir.FindStringSubmatch(line); m != nil {
					seen++
					complain(t, path, m[1], true)
				}
			}
		}
		for _, m := range inlineWeir.FindAllStringSubmatch(text, -1) {
			complain(t, path, m[1], false)
		}
	}
	if seen < 15 {
		t.Errorf("only %d command lines were found", seen)
	}
}

// complain says what weir would not understand of a command line; whole ones must have all their arguments.
func complain(t *testing.T, path, line string, whole bool) {
	t.Helper()
	root := cli.New(cli.Env{})
	root.InitDefaultCompletionCmd()
	command, rest, err := root.Find(strings.Fields(line))
	if err == nil {
		command.InitDefaultHelpFlag()
		err = command.ParseFlags(rest)
	}
	if err == nil && whole {
		err = command.ValidateArgs(command.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: weir %s: %v", path, line, err)
	}
}

// TestReferenceNamesEveryCommandAndFlag holds docs/commands.md against the command line.
func TestReferenceNamesEveryCommandAndFlag(t *testing.T) {
	text := page(t, top+"docs/commands.md")
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.HasParent() && !c.HasSubCommands() && !strings.Contains(text, "\n## "+c.CommandPath()+"\n") {
			t.Errorf("no heading for %s", c.CommandPath())
		}
		for _, flag := range flagName.FindAllString(c.Flags().FlagUsages(), -1) {
			if !strings.Contains(text, "`"+flag) {
				t.Errorf("%s: flag %s is not named", c.CommandPath(), flag)
			}
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit(cli.New(cli.Env{}))
}

// TestReferenceNamesEveryField holds docs/commands.md against the API's types.
func TestReferenceNamesEveryField(t *testing.T) {
	text := page(t, top+"docs/commands.md")
	for _, v := range []any{
		api.Status{}, api.Interface{}, api.Usage{}, api.Problem{}, api.Service{}, api.Traffic{}, api.Server{}, api.Tunnel{},
		api.Connection{}, api.ConnectionTotals{}, api.ConnectionGroup{}, api.Killed{},
		api.Explanation{}, api.ExplainedService{}, api.ExplainedTemplate{}, api.ExplainedConnection{}, api.Way{}, api.NextHop{}, api.Candidate{},
		api.RealServer{}, api.VIP{}, api.Setting{}, api.Decapsulation{}, api.Reloaded{},
		api.Notice{}, api.NoticeTested{}, api.Event{}, api.VirtualRouter{}, api.SteppedDown{}, api.Peer{},
	} {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("%T: field %s is not named", v, name)
			}
		}
	}
}

var tableSize = regexp.MustCompile(`(?m)^\| (\d+) \| ([\d,]+ [KM]iB) \|$`)

// TestDocumentedMemoryIsWhatCheckSays holds the table in docs/config.md, and the page of the command
// itself, against `weir check`.
func TestDocumentedMemoryIsWhatCheckSays(t *testing.T) {
	rows := tableSize.FindAllStringSubmatch(page(t, top+"docs/config.md"), -1)
	if len(rows) < 3 {
		t.Fatalf("only %d sizes in the table", len(rows))
	}
	for _, row := range rows {
		if said := checked(t, "services: []\nconnections: {size: "+row[1]+"}\n"); !strings.Contains(said, ", "+row[2]+" of") {
			t.Errorf("%s of memory for %s, but: %s", row[2], row[1], said)
		}
	}
	_, standard, _ := strings.Cut(checked(t, "services: []\n"), "\n")
	if !strings.Contains(page(t, top+"docs/commands.md"), standard) {
		t.Errorf("docs/commands.md does not say: %s", standard)
	}
}

// checked is what `weir check` says of a file.
func checked(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "weir.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said := weir(t, cli.Env{}, "check", filepath.Join(dir, "weir.yaml")).stdout.String()
	return strings.ReplaceAll(said, dir+"/", "")
}

var (
	verdictLine  = regexp.MustCompile(`^\tVERDICT_([A-Z0-9_]+),\s*/\* (.*) \*/$`)
	verdictGroup = regexp.MustCompile(`^\t/\* (.*)\. \*/$`)
)

// TestVerdictsPageIsGenerated: the page lists what bpf/types.h has. -update rewrites it; what it
// says besides stands above the first heading of a group.
func TestVerdictsPageIsGenerated(t *testing.T) {
	const path = top + "docs/verdicts.md"
	have := page(t, path)
	head, _, _ := strings.Cut(have, "\n## ")
	want := head + verdictTables(page(t, top+"bpf/types.h"))
	if diff := cmp.Diff(want, have); diff != "" && !*update {
		t.Errorf("%s (-want +have); go test ./internal/cli -update:\n%s", path, diff)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func verdictTables(header string) string {
	_, body, _ := strings.Cut(header, "enum verdict {\n")
	body, _, _ = strings.Cut(body, "\n};")
	var out strings.Builder
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if m := verdictGroup.FindStringSubmatch(line); m != nil {
			fmt.Fprintf(&out, "\n## %s\n\n| verdict | meaning |\n|---|---|\n", m[1])
		}
		if m := verdictLine.FindStringSubmatch(line); m != nil && m[1] != "CONTINUE" {
			fmt.Fprintf(&out, "| `%s` | %s |\n", strings.ToLower(m[1]), m[2])
		}
	}
	return out.String()
}
