// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// asLab makes this test binary a program that builds a lab, prints its directory and waits to be
// killed.
const asLab = "WEIR_TEST_AS_LAB"

func TestMain(m *testing.M) {
	lab.TakePart()
	if os.Getenv(asLab) == "" {
		os.Exit(m.Run())
	}
	if err := beLab(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func beLab(ctx context.Context) error {
	l, err := lab.New(ctx, lab.Config{Shape: lab.LAN})
	if err != nil {
		return err
	}
	if err := l.Serve(ctx); err != nil {
		return errors.Join(err, l.Close())
	}
	fmt.Println(l.Dir())
	time.Sleep(time.Minute)
	return l.Close()
}

func TestCloseLeavesNothing(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.TwoArm, Directors: 2})
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	// What a person started in the background of a shell goes too.
	if err := l.Client.Start(exec.Command("/bin/sh", "-c", "sleep 1000 "+l.Dir()+" & exit")); err != nil {
		t.Fatal(err)
	}
	if traces(t, l.Dir()) == nil {
		t.Fatal("the test sees no traces of a running lab")
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	waitForNoTrace(t, l.Dir())
}

func TestKilledLabLeavesNothing(t *testing.T) {
	victim, dir := startVictim(t)
	if traces(t, dir) == nil {
		t.Fatal("the test sees no traces of a running lab")
	}
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	waitForNoTrace(t, dir)
}

func TestNextLabSweepsWhatAKilledJanitorLeft(t *testing.T) {
	victim, dir := startVictim(t)
	if err := syscall.Kill(janitorOf(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := victim.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("it is gone without a janitor: %v", err)
	}
	start(t, lab.Config{Shape: lab.LAN})
	waitForNoTrace(t, dir)
}

func TestLabOfSomebodyElseIsNotSwept(t *testing.T) {
	first := start(t, lab.Config{Shape: lab.LAN})
	start(t, lab.Config{Shape: lab.LAN})
	if _, err := os.Stat(first.Directors[0].BPFFS); err != nil {
		t.Error(err)
	}
}

// startVictim runs a lab in a process of its own.
func startVictim(t *testing.T) (*os.Process, string) {
	t.Helper()
	requireRoot(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asLab+"=1")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	dir, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the lab has not said where it is: %v", err)
	}
	return cmd.Process, strings.TrimSpace(dir)
}

// traces lists what there is of a lab: its directory, mounts below it, processes that name it.
func traces(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	if _, err := os.Stat(dir); err == nil {
		found = append(found, dir)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			found = append(found, line)
		}
	}
	for pid, command := range commands(t) {
		if strings.Contains(command, dir) {
			found = append(found, fmt.Sprintf("process %d: %s", pid, command))
		}
	}
	return found
}

func waitForNoTrace(t *testing.T, dir string) {
	t.Helper()
	var found []string
	for range 200 {
		if found = traces(t, dir); found == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("left behind:\n%s", strings.Join(found, "\n"))
}

func janitorOf(t *testing.T, dir string) int {
	t.Helper()
	for pid, command := range commands(t) {
		if strings.Contains(command, "weir-lab-janitor "+dir) {
			return pid
		}
	}
	t.Fatalf("no janitor of %s", dir)
	return 0
}

// commands lists the command line of every process.
func commands(t *testing.T) map[int]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]string{}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		var pid int
		fmt.Sscanf(file, "/proc/%d/", &pid)
		all[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
	}
	return all
}
