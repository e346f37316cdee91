// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-lb/weir/internal/trust"
)

func own() uint32 { return uint32(os.Geteuid()) }

// write makes a file with exactly this mode.
func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
}

func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// tree has programs that are safe, and some that are not.
func tree(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	at := func(path string) string { return filepath.Join(top, path) }
	mkdir(t, at("safe"), 0o755)
	mkdir(t, at("safe/deep"), 0o755)
	write(t, at("safe/program"), "", 0o755)
	write(t, at("safe/deep/program"), "", 0o700)
	write(t, at("safe/text"), "", 0o644)
	write(t, at("safe/writable"), "", 0o757)
	mkdir(t, at("open"), 0o757)
	write(t, at("open/program"), "", 0o755)
	mkdir(t, at("sticky"), 0o777|os.ModeSticky)
	write(t, at("sticky/program"), "", 0o755)
	link(t, at("safe/program"), at("whole-link"))
	link(t, "safe/deep", at("directory-link"))
	link(t, "../safe/deep/../program", at("safe/odd-link"))
	link(t, at("open/program"), at("link-into-open"))
	link(t, at("safe/program"), at("open/link-out-of-open"))
	link(t, at("open/link-out-of-open"), at("link-through-open"))
	link(t, at("loop-b"), at("loop-a"))
	link(t, at("loop-a"), at("loop-b"))
	link(t, at("nowhere"), at("dangling"))
	return top
}

func TestOnlySafeProgramsAreRun(t *testing.T) {
	top := tree(t)
	for path, want := range map[string]string{
		"safe/program":                "",
		"safe/deep/program":           "",
		"safe/deep/../program":        "",
		"sticky/program":              "",
		"whole-link":                  "",
		"directory-link/program":      "",
		"safe/odd-link":               "",
		"safe/text":                   "/safe/text is not executable: chmod +x ",
		"safe/writable":               "/safe/writable is writable by everybody: chmod o-w ",
		"open/program":                "/open is writable by everybody: chmod o-w ",
		"link-into-open":              "/open is writable by everybody",
		"link-through-open":           "/open is writable by everybody",
		"loop-a":                      "more than 40 links on the way",
		"dangling":                    "/nowhere: no such file or directory: correct the path",
		"safe":                        "/safe is not a file",
		"safe/program/more":           "/safe/program is not a directory",
		"open/no-such":                "/open is writable by everybody",
		"directory-link/missing":      "/safe/deep/missing: no such file or directory",
		"directory-link/../../nobody": "/nobody: no such file or directory",
	} {
		err := trust.Executable(top+"/"+path, own())
		fault, ok := errors.AsType[*trust.Fault](err)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: got %v", path, err)
		case want != "" && (!ok || !strings.Contains(fault.Error(), want)):
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if err := trust.Executable("safe/program", own()); err == nil || !strings.Contains(err.Error(), "not a whole path") {
		t.Errorf("got %v", err)
	}
}

// TestProgramsOfOthersAreNotRun: who owns it may change it, whatever its mode.
func TestProgramsOfOthersAreNotRun(t *testing.T) {
	const other, group = 65534, 65534
	switch {
	case own() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("needs root: only root gives files away")
	default:
		t.Skip("needs root: only root gives files away")
	}
	path := filepath.Join(tree(t), "safe/program")
	if err := os.Chown(path, other, 0); err != nil {
		t.Fatal(err)
	}
	if err := trust.Executable(path, 0); err == nil || !strings.Contains(err.Error(), "belongs to user 65534: chown root ") {
		t.Errorf("for root: got %v", err)
	}
	if err := trust.Executable(path, other); err != nil {
		t.Errorf("for its owner: got %v", err)
	}
	if err := os.Chown(path, 0, group); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, 0o775)
	if err := trust.Executable(path, 0); err == nil || !strings.Contains(err.Error(), "writable by group 65534: chmod g-w ") {
		t.Errorf("with a group: got %v", err)
	}
	if err := os.Chown(path, 0, 0); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, 0o775)
	if err := trust.Executable(path, 0); err != nil {
		t.Errorf("with root's group: got %v", err)
	}
}

func TestSecretsAreSecret(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("good"), "s3cret\r\n", 0o600)
	write(t, at("read-only"), " two words\nand a line", 0o400)
	write(t, at("group"), "s3cret", 0o640)
	write(t, at("others"), "s3cret", 0o604)
	write(t, at("empty"), "", 0o600)
	write(t, at("large"), strings.Repeat("x", 5000), 0o600)
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"good": "", "read-only": "",
		"group":   "can be read by others than its owner: chmod 600 ",
		"others":  "can be read by others than its owner: chmod 600 ",
		"empty":   "is empty: write the secret into it",
		"large":   "is larger than 4096 bytes",
		"missing": "no such file or directory: correct the path",
		".":       "is not a file",
		"fifo":    "is not a file", // and nobody waits for its writer
	} {
		_, err := trust.Secret(at(name))
		for _, err := range []error{err, trust.SecretFile(at(name))} {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
		}
	}
	for name, want := range map[string]string{"good": "s3cret", "read-only": " two words\nand a line"} {
		if got, err := trust.Secret(at(name)); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if err := trust.SecretFile("good"); err == nil || !strings.Contains(err.Error(), "not a whole path") {
		t.Errorf("got %v", err)
	}
}
