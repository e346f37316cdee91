// SPDX-License-Identifier: Apache-2.0

// Package stories tells end to end what weir does, one page a story: networks of namespaces, the
// real binary, real nginx and real clients. It proves that the parts work together; what a part
// does in every case is proved beside it. The *.txtar files are the stories: read dr.txtar first,
// then words_test.go, which lists the words that stories are told in, each with its file.
package stories_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestStories(t *testing.T) { tell(t, ".") }

// TestSlowStories are those that wait for more than ten seconds, or nearly: `make test-all` tells them, too.
func TestSlowStories(t *testing.T) {
	if os.Getenv("WEIR_ALL") == "" {
		t.Skip("told by make test-all")
	}
	tell(t, "slow")
}

// tell tells the stories of a directory.
func tell(t *testing.T, dir string) {
	t.Helper()
	requireStage(t)
	weir := weirBinary(t)
	t.Setenv("GOTMPDIR", publicDir(t)) // where testscript works, lest a story that fails leaves something
	testscript.Run(t, testscript.Params{
		Dir:                dir,
		Cmds:               commands(),
		RequireUniqueNames: true,
		Setup:              func(env *testscript.Env) error { return setTheStage(env, weir) },
	})
}

// requireStage skips stories that cannot be told here; in CI that is a failure.
func requireStage(t *testing.T) {
	t.Helper()
	missing := ""
	switch {
	case os.Geteuid() != 0:
		missing = "network namespaces need root"
	case lacks("nginx", "/usr/sbin/nginx"):
		missing = "nginx is not installed: apt-get install nginx-light"
	case lacks("curl"):
		missing = "curl is not installed: apt-get install curl"
	case lacks("ip", "/sbin/ip"):
		missing = "ip is not installed: apt-get install iproute2"
	}
	if missing != "" && os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	if missing != "" {
		t.Skip(missing)
	}
}

// lacks tells whether a program is in none of the places.
func lacks(places ...string) bool {
	for _, place := range places {
		if _, err := exec.LookPath(place); err == nil {
			return false
		}
	}
	return true
}

// weirBinary is the one that WEIR names, or one that is built for these tests.
func weirBinary(t *testing.T) string {
	t.Helper()
	if weir := os.Getenv("WEIR"); weir != "" {
		return weir
	}
	weir := filepath.Join(publicDir(t), "weir")
	if out, err := exec.Command("go", "build", "-o", weir, "../cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v\n%s", err, out)
	}
	return weir
}

// publicDir is a directory that everybody may enter: one story needs somebody who is not root.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
