// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// settings are the lines of a section of the daemon's unit that set a key, without comments.
func settings(t *testing.T, key string) (values []string) {
	t.Helper()
	text, err := os.ReadFile("weir.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		values = append(values, line[1])
	}
	return values
}

// TestCrashedDaemonStartsAgain: the unit does not start again what ended with status 2, as a config with a mistake does.
// A panic ends as an abort does, and neither must look like it.
func TestCrashedDaemonStartsAgain(t *testing.T) {
	weir := filepath.Join(tree(t), "usr/local/sbin/weir")
	prevented := settings(t, "RestartPreventExitStatus")
	if usage := exec.Command(weir, "run", "--nonsense"); usage.Run() == nil || !slices.Equal(prevented, []string{"2"}) || usage.ProcessState.ExitCode() != 2 {
		t.Errorf("a mistake in the command line ends as %s, and %q is not started again", usage.ProcessState, prevented)
	}
	if limit := settings(t, "LimitCORE"); !slices.Equal(limit, []string{"0"}) {
		t.Errorf("a crash leaves a core with all secrets of the config: LimitCORE %q", limit)
	}
	if ended := aborted(t, weir, "GOTRACEBACK=single"); ended.ExitStatus() != 2 {
		t.Errorf("left to itself, Go ends as %v: the unit needs to say nothing", ended)
	}
	if ended := aborted(t, weir, settings(t, "Environment")...); !ended.Signaled() || ended.Signal() != syscall.SIGABRT {
		t.Errorf("with what the unit sets it ends with status %d, as if that were a mistake in the command line", ended.ExitStatus())
	}
}

// aborted is how a weir ends that the watchdog of systemd aborts. It waits for its file meanwhile.
func aborted(t *testing.T, weir string, environment ...string) syscall.WaitStatus {
	t.Helper()
	file := filepath.Join(t.TempDir(), "weir.yaml")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	command := exec.Command("prlimit", append([]string{"--core=0", weir}, "check", file)...)
	command.Env, command.Stderr = append(os.Environ(), environment...), &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	end, err := os.OpenFile(file, os.O_WRONLY, 0) // returns when weir has opened it
	if err == nil {
		err = command.Process.Signal(syscall.SIGABRT)
	}
	if err != nil {
		command.Process.Kill()
		t.Fatal(err)
	}
	command.Wait()
	end.Close()
	if !strings.Contains(said.String(), "SIGABRT") {
		t.Errorf("it says nothing about why: %q", said.String())
	}
	return command.ProcessState.Sys().(syscall.WaitStatus)
}
