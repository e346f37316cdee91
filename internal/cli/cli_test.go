// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/weir-lb/weir/internal/cli"
	"github.com/weir-lb/weir/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// run is one command line and what came of it.
type run struct {
	stdout, stderr bytes.Buffer
	code           int
}

func weir(t *testing.T, env cli.Env, args ...string) *run {
	t.Helper()
	var r run
	env.Stdout, env.Stderr = &r.stdout, &r.stderr
	if env.Version == "" {
		env.Version, env.Commit = "1.2.3", "abcdef"
	}
	r.code = cli.Main(t.Context(), args, env)
	return &r
}

// TestCommandsKeepTheirForm runs the pages of testdata. A page is a command line below the name of
// the daemon that it finds, the files that it reads, and what comes of it.
func TestCommandsKeepTheirForm(t *testing.T) {
	pages, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, page := range pages {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".txtar"), func(t *testing.T) { play(t, page) })
	}
}

func play(t *testing.T, page string) {
	archive, err := txtar.ParseFile(page)
	if err != nil {
		t.Fatal(err)
	}
	name, line, _ := strings.Cut(strings.TrimSpace(string(archive.Comment)), "\n")
	dir := t.TempDir()
	if answers := daemons[strings.TrimPrefix(name, "daemon: ")]; answers != nil {
		serve(t, dir, answers)
	}
	var inputs []txtar.File
	for _, f := range archive.Files {
		if f.Name == "exit" || f.Name == "stdout" || f.Name == "stderr" {
			continue
		}
		inputs = append(inputs, f)
		if err := os.WriteFile(filepath.Join(dir, f.Name), bytes.ReplaceAll(f.Data, []byte("$DIR"), []byte(dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line = strings.ReplaceAll(strings.TrimPrefix(line, "weir"), "$DIR", dir)
	result := weir(t, acting(t), strings.Fields(line)...)
	got := &txtar.Archive{Comment: archive.Comment, Files: append(inputs,
		txtar.File{Name: "exit", Data: fmt.Appendln(nil, result.code)},
		txtar.File{Name: "stdout", Data: hide(dir, result.stdout)},
		txtar.File{Name: "stderr", Data: hide(dir, result.stderr)},
	)}
	compare(t, page, archive, got)
}

func hide(dir string, text bytes.Buffer) []byte {
	return bytes.ReplaceAll(text.Bytes(), []byte(dir), []byte("$DIR"))
}

func compare(t *testing.T, page string, want, got *txtar.Archive) {
	t.Helper()
	if diff := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(got))); diff != "" && !*update {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if *update {
		if err := os.WriteFile(page, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// acting is an Env whose actions say on stdout what they were told.
func acting(t *testing.T) cli.Env {
	return cli.Env{
		Run: func(_ context.Context, o cli.RunOptions) error {
			if _, err := config.Load(o.Config); err != nil {
				return err
			}
			o.Log = nil
			t.Logf("run %+v", o)
			return nil
		},
		RealServer: realServer(),
		Doctor:     examine,
		Cleanup: func(context.Context, cli.CleanupOptions) error {
			return fmt.Errorf("%s is locked by pid 4711, weir run -c /etc/weir/weir.yaml; stop it first", "/sys/fs/bpf/weir")
		},
	}
}

// serve listens in dir as a daemon that gives these answers.
func serve(t *testing.T, dir string, answers map[string]answer) {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(dir, "weir.sock"))
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, found := answers[r.Method+" "+r.URL.RequestURI()]
		if !found {
			t.Errorf("the daemon is asked %s %s", r.Method, r.URL.RequestURI())
			a.status = http.StatusNotFound
		}
		w.WriteHeader(a.status)
		if err := json.NewEncoder(w).Encode(a.body); err != nil {
			t.Error(err)
		}
	})
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
}

func TestRunHandsItsFlagsOn(t *testing.T) {
	var got cli.RunOptions
	env := cli.Env{Run: func(_ context.Context, o cli.RunOptions) error {
		o.Log.Debug("hello")
		got = o
		return nil
	}}
	result := weir(t, env, "run", "-c", "a.yaml", "--bpffs", "b", "--run", "r", "--state", "s", "--log", "json", "--log-level", "debug")
	got.Log = nil
	want := cli.RunOptions{Config: "a.yaml", BPFFS: "b", RunDir: "r", StateDir: "s"}
	if diff := cmp.Diff(want, got); diff != "" || result.code != 0 {
		t.Errorf("exit %d (-want +got):\n%s", result.code, diff)
	}
	if log := result.stderr.String(); !strings.HasPrefix(log, "{") || !strings.Contains(log, `"msg":"hello"`) {
		t.Errorf("log: %s", log)
	}
}

func TestRunHasDefaults(t *testing.T) {
	var got cli.RunOptions
	env := cli.Env{Run: func(_ context.Context, o cli.RunOptions) error {
		o.Log.Debug("hidden")
		o.Log.Info("shown")
		got = o
		return nil
	}}
	result := weir(t, env, "run")
	got.Log = nil
	want := cli.RunOptions{
		Config: "/etc/weir/weir.yaml", BPFFS: "/sys/fs/bpf/weir", RunDir: "/run/weir", StateDir: "/var/lib/weir",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if log := result.stderr.String(); strings.Contains(log, "hidden") || !strings.Contains(log, "level=INFO msg=shown") {
		t.Errorf("log: %s", log)
	}
}

func TestCleanupHandsItsFlagsOn(t *testing.T) {
	var got cli.CleanupOptions
	env := cli.Env{Cleanup: func(_ context.Context, o cli.CleanupOptions) error {
		got = o
		got.Log = nil
		return nil
	}}
	weir(t, env, "cleanup", "--bpffs", "b", "--run", "r", "--state", "s")
	if want := (cli.CleanupOptions{BPFFS: "b", RunDir: "r", StateDir: "s"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEveryBrokenFileIsRefused(t *testing.T) {
	files, err := filepath.Glob("../config/testdata/broken/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		result := weir(t, cli.Env{}, "check", file)
		if result.code != 2 || !strings.HasPrefix(result.stderr.String(), file+":") || result.stdout.Len() > 0 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", file, result.code, &result.stdout, &result.stderr)
		}
	}
}

func TestColourMovesNoColumn(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, daemons["degraded"])
	bare := weir(t, cli.Env{}, "servers", "--run", dir).stdout.String()
	coloured := weir(t, cli.Env{Colour: true}, "servers", "--run", dir).stdout.String()
	if strings.Contains(bare, "\x1b") || !strings.Contains(coloured, "\x1b[31munreachable\x1b[0m") {
		t.Errorf("without:\n%s\nwith:\n%q", bare, coloured)
	}
	for _, escape := range []string{"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"} {
		coloured = strings.ReplaceAll(coloured, escape, "")
	}
	if coloured != bare {
		t.Errorf("colour moves the columns:\n%s\n%s", bare, coloured)
	}
}

func TestVersionNamesGoAndKernel(t *testing.T) {
	var got map[string]string
	result := weir(t, cli.Env{}, "version", "-o", "json")
	if err := json.Unmarshal(result.stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	kernel := got["kernel"]
	want := map[string]string{"version": "1.2.3", "commit": "abcdef", "go": runtime.Version(), "kernel": kernel}
	if diff := cmp.Diff(want, got); diff != "" || kernel == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	table := weir(t, cli.Env{}, "version").stdout.String()
	if want := fmt.Sprintf("weir 1.2.3 (abcdef), %s, Linux %s\n", runtime.Version(), kernel); table != want {
		t.Errorf("got %q, want %q", table, want)
	}
}

func TestServiceIsCompletedFromTheDaemon(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, daemons["healthy"])
	got := weir(t, cli.Env{}, "__complete", "connections", "--run", dir, "--service", "").stdout.String()
	if !strings.HasPrefix(got, "web\ndns\n") {
		t.Errorf("got %q", got)
	}
}

func TestFlowIsCompletedFromTheDaemon(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, daemons["healthy"])
	for _, row := range []struct {
		given []string
		want  string
	}{
		{nil, ":"},
		{[]string{"203.0.113.7:9"}, "192.0.2.10:80\n[2001:db8::10]:\n:"},
		{[]string{"203.0.113.7:9", "192.0.2.10:80"}, "tcp\nudp\nsctp\n:"},
		{[]string{"203.0.113.7:9", "192.0.2.10:80", "udp"}, ":"},
	} {
		line := append(append([]string{"__complete", "explain", "--run", dir}, row.given...), "")
		if got := weir(t, cli.Env{}, line...).stdout.String(); !strings.HasPrefix(got, row.want) {
			t.Errorf("%q: %q", row.given, got)
		}
	}
}

func TestNoticeIsCompletedFromTheDaemon(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, daemons["healthy"])
	got := weir(t, cli.Env{}, "__complete", "notify", "test", "--run", dir, "").stdout.String()
	if !strings.HasPrefix(got, "1\tmail to ops@example.org\n2\texec /etc/weir/on-change\n:") {
		t.Errorf("got %q", got)
	}
	got = weir(t, cli.Env{}, "__complete", "notify", "test", "--run", dir, "1", "").stdout.String()
	if !strings.HasPrefix(got, ":") {
		t.Errorf("behind a number: %q", got)
	}
}

func TestRouterToLeaveIsCompletedFromTheDaemon(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, daemons["healthy"])
	for _, row := range []struct {
		given []string
		want  string
	}{
		{nil, "front\nside\n:"},
		{[]string{"front"}, "side\n:"},
		{[]string{"front", "side"}, ":"},
	} {
		line := append(append([]string{"__complete", "failover", "--run", dir}, row.given...), "")
		if got := weir(t, cli.Env{}, line...).stdout.String(); !strings.HasPrefix(got, row.want) {
			t.Errorf("%q: %q", row.given, got)
		}
	}
}

func TestStatesAreCompleted(t *testing.T) {
	got := weir(t, cli.Env{}, "__complete", "connections", "--state", "").stdout.String()
	if !strings.HasPrefix(got, "SYN_RECV\nESTABLISHED\n") {
		t.Errorf("got %q", got)
	}
}

func TestFullDiskIsAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err) // every Linux has it
	}
	t.Cleanup(func() { _ = full.Close() }) // nothing was kept
	var stderr bytes.Buffer
	code := cli.Main(t.Context(), []string{"version"}, cli.Env{Stdout: full, Stderr: &stderr})
	if code != 1 || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit %d, %s", code, &stderr)
	}
}
