// SPDX-License-Identifier: Apache-2.0

// Package packaging_test installs weir into an empty directory and looks at what is there.
package packaging_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree is where `make install` has put weir, for all tests.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	makes(t, dir, "install")
	return dir
}

func makes(t *testing.T, dir, target string) string {
	t.Helper()
	return output(t, "make", "-s", "-C", "..", target, "DESTDIR="+dir)
}

// output is what a program prints that ends well.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return string(text)
}

// need skips a test whose tool is not installed; in CI that is a failure.
func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", tool)
	}
	t.Skipf("%s is not installed", tool)
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// listed are the files that docs/production.md names, one a line of the block behind `make install`.
func listed(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)## What is installed\n.*?```\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/production.md does not say what is installed")
	}
	return strings.Fields(string(block[1]))
}

// TestInstallPutsWhatIsDocumented, the same the second time, keeps the config, and goes again.
func TestInstallPutsWhatIsDocumented(t *testing.T) {
	dir := tree(t)
	config := filepath.Join(dir, "etc/weir/weir.yaml")
	if err := os.WriteFile(config, []byte("services: []\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if out := makes(t, dir, "install"); !strings.Contains(out, "kept: "+config) {
		t.Errorf("the second install says %q", out)
	}
	var got []string
	for _, file := range files(t, dir) {
		got = append(got, regexp.MustCompile(`man1/weir-.*\.1`).ReplaceAllString(file, "man1/weir-COMMAND.1"))
	}
	slices.Sort(got)
	want := listed(t)
	slices.Sort(want)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("installed:\n%s\ndocumented:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text, err := os.ReadFile(config); string(text) != "services: []\n" {
		t.Errorf("the config is now %q, %v", text, err)
	}
	out := makes(t, dir, "uninstall")
	if left := files(t, dir); len(left) != 1 || left[0] != "/etc/weir/weir.yaml" || !strings.Contains(out, "kept: "+dir+"/etc/weir") {
		t.Errorf("left %v, and said %q", left, out)
	}
}

func TestExampleIsAConfig(t *testing.T) {
	weir := filepath.Join(tree(t), "usr/local/sbin/weir")
	output(t, weir, "check", "weir.yaml")
	text, err := os.ReadFile("weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "#\n")
	file := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(file, []byte(regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(example, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := output(t, weir, "check", file); !strings.Contains(out, "1 service, 2 servers") {
		t.Errorf("the example in comments: %s", out)
	}
}

// exposure is the most that systemd may find fault with, in tenths.
const exposure = "25"

func TestUnitsAreSoundAndTight(t *testing.T) {
	need(t, "systemd-analyze")
	dir := tree(t)
	units := filepath.Join(dir, "usr/local/lib/systemd/system")
	for _, unit := range []string{"weir.service", "weir-realserver@.service"} {
		file := filepath.Join(units, unit)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// systemd looks for the program, and for manual pages, where they are not installed here.
		here := strings.ReplaceAll(string(text), "/usr/local/sbin/weir", dir+"/usr/local/sbin/weir")
		here = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAllString(here, "")
		if err := os.WriteFile(file, []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
		if out := output(t, "systemd-analyze", "verify", strings.Replace(file, "@", "@192.0.2.10", 1)); out != "" {
			t.Errorf("%s: %s", unit, out)
		}
		out := output(t, "systemd-analyze", "security", "--offline=true", "--threshold="+exposure, file)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		t.Log(lines[len(lines)-1])
	}
	for _, unit := range []string{"sys-fs-bpf-weir.mount", "weir-bpffs.service"} {
		if out := output(t, "systemd-analyze", "verify", filepath.Join(units, unit)); out != "" {
			t.Errorf("%s: %s", unit, out)
		}
	}
}

// TestDropInAddsOneCapability and takes none away: systemd adds up what such lines say.
func TestDropInAddsOneCapability(t *testing.T) {
	text, err := os.ReadFile("perfmon.conf")
	if err != nil {
		t.Fatal(err)
	}
	settings := regexp.MustCompile(`(?m)^\w+=.*$`).FindAllString(string(text), -1)
	if want := []string{"CapabilityBoundingSet=CAP_PERFMON", "AmbientCapabilities=CAP_PERFMON"}; !slices.Equal(settings, want) {
		t.Errorf("%q", settings)
	}
}

func TestOldKernelsWantPerfmon(t *testing.T) {
	for release, want := range map[string]bool{
		"5.15.0-91-generic": true, "6.1.0-13-amd64": true, "6.11.11": true, "6.12.4": true, "6.12.0+deb13-amd64": true,
		"6.12.5": false, "6.12.48+deb13-amd64": false, "6.12-amd64": false, "6.13.0-rc1": false, "6.18.1": false, "7.0": false,
	} {
		err := exec.Command("sh", "-c", ". ./files; wants_perfmon "+release).Run()
		if (err == nil) != want {
			t.Errorf("%s: %v, want %t", release, err, want)
		}
	}
}

func TestManualAndCompletionsAreSound(t *testing.T) {
	need(t, "mandoc")
	share := filepath.Join(tree(t), "usr/local/share")
	pages, err := filepath.Glob(filepath.Join(share, "man/man?/*"))
	if err != nil || len(pages) < 15 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		// The level above warnings: cobra indents with tabs, and writes dates as man(7) had them.
		output(t, "mandoc", "-T", "lint", "-W", "error", page)
		if text := output(t, "mandoc", "-T", "ascii", page); !strings.Contains(text, "D\bDE\bES\bS") {
			t.Errorf("%s: no description in\n%s", page, text)
		}
	}
	output(t, "bash", "-n", filepath.Join(share, "bash-completion/completions/weir"))
	for name, head := range map[string]string{"zsh/site-functions/_weir": "#compdef weir", "fish/vendor_completions.d/weir.fish": "# fish completion for weir"} {
		if text, err := os.ReadFile(filepath.Join(share, name)); err != nil || !strings.HasPrefix(string(text), head) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
