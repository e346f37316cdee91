// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestTreeKeepsTheRules runs every rule over every source file.
func TestTreeKeepsTheRules(t *testing.T) {
	files := tree(t)
	for name, broken := range rules {
		t.Run(name, func(t *testing.T) {
			for _, s := range files {
				if why := broken(s); why != "" {
					t.Errorf("%s: %s", s.name, why)
				}
			}
		})
	}
}

// TestEveryPackageIntroducesItself: one file of it has the package comment.
func TestEveryPackageIntroducesItself(t *testing.T) {
	introduced := map[string]bool{}
	for _, s := range tree(t) {
		if s.isGo() && !s.isTest() {
			introduced[s.dir()] = introduced[s.dir()] || s.tree.Doc != nil
		}
	}
	for dir, ok := range introduced {
		if !ok {
			t.Errorf("%s: no file has a package comment (what it is for, what not, which file to read first)", dir)
		}
	}
}

// TestTableNamesPackagesOfItsOwn: what a row allows is a row itself, and no package can reach itself.
func TestTableNamesPackagesOfItsOwn(t *testing.T) {
	for dir := range table {
		for _, allowed := range table[dir] {
			if _, ok := table[allowed]; !ok && allowed != everything {
				t.Errorf("%s may import %s, which has no row", dir, allowed)
			}
		}
		if reaches(dir, dir, map[string]bool{}) {
			t.Errorf("%s may import itself in a circle", dir)
		}
	}
}

func reaches(from, to string, seen map[string]bool) bool {
	for _, next := range table[from] {
		if next == to {
			return true
		}
		if !seen[next] {
			seen[next] = true
			if reaches(next, to, seen) {
				return true
			}
		}
	}
	return false
}

// TestRulesBite gives each rule a file that breaks it, and one that does not.
func TestRulesBite(t *testing.T) {
	const head = licenceGo + "\n\n"
	for _, tt := range []struct{ rule, name, good, bad string }{
		{"the table names every package", "internal/plan/make.go", head + "package plan", ""},
		{"the table names every package", "internal/stray/stray.go", "", head + "package stray"},
		{"imports follow the table", "internal/plan/make.go",
			head + "package plan\nimport \"" + module + "internal/model\"",
			head + "package plan\nimport \"" + module + "internal/config\""},
		{"imports follow the table", "internal/plan/make_test.go",
			head + "package plan_test\nimport \"" + module + "internal/lab\"",
			head + "package plan_test\nimport \"" + module + "internal/config\""},
		{"the kernel has few callers", "internal/plan/make.go",
			head + "package plan\nimport \"github.com/cilium/other\"",
			head + "package plan\nimport \"github.com/cilium/ebpf/link\""},
		{"the kernel has few callers", "internal/daemon/daemon_test.go", "",
			head + "package daemon_test\nimport \"github.com/vishvananda/netlink\""},
		{"every file names its licence", "internal/plan/make.go", head + "package plan", "package plan"},
		{"every file names its licence", "bpf/conn.h", licenceC + "\n", licenceGo + "\n"},
		{"nothing happens at start (no init)", "internal/plan/make.go",
			head + "package plan\ntype t int\nfunc (t) init() {}", head + "package plan\nfunc init() {}"},
		{"the packets' path prints nothing", "bpf/conn.h", licenceC + "\n", licenceC + "\nbpf_printk(\"x\");"},
		{"a package's name says what it holds", "internal/model/x.go", head + "package model", head + "package util"},
	} {
		if tt.good != "" && rules[tt.rule](mustSource(t, tt.name, tt.good)) != "" {
			t.Errorf("%s: refuses %s as it should be", tt.rule, tt.name)
		}
		if tt.bad != "" && rules[tt.rule](mustSource(t, tt.name, tt.bad)) == "" {
			t.Errorf("%s: does not see what is wrong with %s", tt.rule, tt.name)
		}
	}
}

// tree reads every Go file of ours, and the C files of the path.
func tree(t *testing.T) []source {
	t.Helper()
	top := os.DirFS("../..")
	var out []source
	err := fs.WalkDir(top, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != "." && (base == "testdata" || base == "bin" || strings.HasPrefix(base, ".")) {
			return filepath.SkipDir
		}
		if !isSource(name) || d.IsDir() {
			return nil
		}
		text, err := fs.ReadFile(top, name)
		if err != nil {
			return err
		}
		out = append(out, mustSource(t, name, string(text)))
		return nil
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%d files read: %v", len(out), err)
	}
	return out
}

func isSource(name string) bool {
	return path.Ext(name) == ".go" || path.Dir(name) == "bpf" && (path.Ext(name) == ".c" || path.Ext(name) == ".h")
}

func mustSource(t *testing.T, name, text string) source {
	t.Helper()
	s, err := newSource(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
