// SPDX-License-Identifier: Apache-2.0

// Package netlab is for the tests of what speaks to a neighbour on a link: two network namespaces with a wire between them,
// programs that run in them, and the real peers, of which it says whether they are installed. A lab with clients, directors
// and real servers is internal/lab's.
package netlab

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// Waits says whether ok becomes true within a limit.
func Waits(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

// Within waits until ok is true, and ends the test if that is not within a limit.
func Within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	if !Waits(limit, ok) {
		t.Fatalf("%s: not within %s", what, limit)
	}
}

// NeedRoot skips a test that only root can run, but not in CI: nothing is left out there.
func NeedRoot(t *testing.T) {
	t.Helper()
	need(t, os.Geteuid() == 0, "root")
}

// NeedKeepalived skips a test where there is no keepalived, but not in CI.
func NeedKeepalived(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("keepalived")
	need(t, err == nil, "keepalived: make test-packages installs it")
}

func need(t *testing.T, has bool, what string) {
	t.Helper()
	switch {
	case has:
	case os.Getenv("CI") == "true":
		t.Fatal("needs " + what)
	default:
		t.Skip("needs " + what)
	}
}

// Start starts a program and ends it with the test.
func Start(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
}
