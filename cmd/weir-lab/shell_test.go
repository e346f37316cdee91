// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asCommand makes this test binary weir-lab itself.
const asCommand = "WEIR_TEST_AS_WEIR_LAB"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// standIn is a weir that says what the lab wants to hear, so that these tests are about weir-lab.
const standIn = `#!/bin/sh
case "$*" in
run*) exec sleep 1000 ;;
*status*) echo '{"revision":1,"applied":1}' ;;
*servers*) echo '[{"state":"up"}]' ;;
esac
`

// weirLabCommand is weir-lab with the stand-in. It makes labs in its working directory.
func weirLabCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	// The daemon is nobody: it needs a way to its room.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	weir := filepath.Join(dir, "weir")
	if err := os.WriteFile(weir, []byte(standIn), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{args[0], "--weir", weir}, args[1:]...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+dir)
	return cmd
}

// weirLab runs weir-lab and tells what it printed and its exit code.
func weirLab(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, complaints strings.Builder
	cmd := weirLabCommand(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.Run()
	return out.String(), complaints.String(), cmd.ProcessState.ExitCode()
}

func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("network namespaces need root")
	default:
		t.Skip("network namespaces need root")
	}
}

func TestShellRunsACommandOnTheClientAndLeavesNothing(t *testing.T) {
	requireRoot(t)
	script := `echo $WEIR_LAB; curl -sf --interface 198.51.100.20 http://192.0.2.12/; weir status; real3 curl -sf http://127.0.0.1/`
	stdout, stderr, code := weirLab(t, "shell", "lan", "--", "/bin/sh", "-c", script)
	lines := strings.Split(stdout, "\n")
	want := []string{"real2 198.51.100.20 192.0.2.12", `{"revision":1,"applied":1}`, "real3 127.0.0.1 127.0.0.1", ""}
	if code != 0 || strings.Join(lines[1:], "\n") != strings.Join(want, "\n") {
		t.Errorf("exit code %d, printed\n%s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(lines[0]); !os.IsNotExist(err) {
		t.Errorf("the lab's directory %q: %v", lines[0], err)
	}
}

func TestExitCodeIsThatOfTheCommand(t *testing.T) {
	requireRoot(t)
	if _, stderr, code := weirLab(t, "shell", "two-arm", "--", "/bin/sh", "-c", "exit 7"); code != 7 || stderr != "" {
		t.Errorf("exit code %d, said %q", code, stderr)
	}
}

func TestInterruptedDemoLeavesNothing(t *testing.T) {
	requireRoot(t)
	cmd := weirLabCommand(t, "demo")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if said = append(said, lines.Text()); strings.Contains(lines.Text(), "clients over") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ended with %v", err)
	}
	if last := said[len(said)-1]; last != "weir-lab: interrupt signal received" {
		t.Errorf("it ended with the words %q", last)
	}
	if rooms, _ := filepath.Glob(filepath.Join(cmd.Dir, "weir-lab-*")); rooms != nil {
		t.Errorf("left behind: %v", rooms)
	}
}

func TestDemoWithoutWeirSaysWhereToGetIt(t *testing.T) {
	requireRoot(t)
	weir := filepath.Join(t.TempDir(), "missing")
	_, stderr, code := weirLab(t, "demo", "--weir", weir)
	if code != exitFailed || !strings.Contains(stderr, "build it with make, or name it with --weir") {
		t.Errorf("exit code %d, said %q", code, stderr)
	}
}

func TestWrongCommandLinesAreUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"shell"}, {"shell", "star"}, {"demo", "now"}, {"demo", "--jsn"}} {
		_, stderr, code := weirLab(t, args...)
		if code != exitUsage || !strings.HasPrefix(stderr, "weir-lab: ") {
			t.Errorf("%v: exit code %d, said %q", args, code, stderr)
		}
	}
}
