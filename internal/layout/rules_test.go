// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is a file of the tree; name is relative to the top.
type source struct {
	name string
	text string
	tree *ast.File // nil unless it is Go
}

func newSource(name, text string) (source, error) {
	s := source{name: name, text: text}
	if path.Ext(name) != ".go" {
		return s, nil
	}
	tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
	s.tree = tree
	return s, err
}

func (s source) dir() string  { return path.Dir(s.name) }
func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }
func (s source) isGo() bool   { return s.tree != nil }

// isGenerated is true for what bpf2go writes: its head is not ours.
func (s source) isGenerated() bool {
	for _, end := range []string{"_bpfel.go", "_bpfeb.go", "_bpfel_test.go"} {
		if strings.HasSuffix(s.name, end) {
			return true
		}
	}
	return false
}

func (s source) imports() []string {
	var out []string
	for _, spec := range s.tree.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, name)
		}
	}
	return out
}

// A rule returns what is wrong with a file: "" for nothing.
type rule func(source) string

var rules = map[string]rule{
	"the table names every package":       known,
	"imports follow the table":            ordered,
	"the kernel has few callers":          kernel,
	"every file names its licence":        licensed,
	"nothing happens at start (no init)":  inert,
	"the packets' path prints nothing":    silent,
	"a package's name says what it holds": named,
}

func known(s source) string {
	if _, ok := table[s.dir()]; s.isGo() && !ok {
		return fmt.Sprintf("package %s has no row in internal/layout/table_test.go", s.dir())
	}
	return ""
}

func ordered(s source) string {
	if !s.isGo() {
		return ""
	}
	for _, name := range s.imports() {
		ours, found := strings.CutPrefix(name, module)
		if found && !s.mayImport(ours) {
			return fmt.Sprintf("%s may not import %s: it may import %v", s.dir(), ours, table[s.dir()])
		}
	}
	return ""
}

func (s source) mayImport(ours string) bool {
	allowed := table[s.dir()]
	if slices.Contains(allowed, everything) || slices.Contains(allowed, ours) {
		return true
	}
	return s.isTest() && (ours == s.dir() || slices.Contains(forTests, ours))
}

func kernel(s source) string {
	if !s.isGo() {
		return ""
	}
	for _, name := range s.imports() {
		for library, dirs := range importers {
			if (name == library || strings.HasPrefix(name, library+"/")) && !slices.Contains(dirs, s.dir()) {
				return fmt.Sprintf("only %v may import %s", dirs, library)
			}
		}
	}
	return ""
}

func licensed(s source) string {
	want := licenceGo
	if s.dir() == "bpf" {
		want = licenceC
	}
	first, _, _ := strings.Cut(s.text, "\n")
	if s.isGenerated() || first == want {
		return ""
	}
	return fmt.Sprintf("the first line must be %q", want)
}

func inert(s source) string {
	if !s.isGo() {
		return ""
	}
	for _, d := range s.tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			return "init() runs behind the reader's back: make it a table, or call it"
		}
	}
	return ""
}

func silent(s source) string {
	if s.dir() == "bpf" && strings.Contains(s.text, "bpf_printk") {
		return "bpf_printk: count a verdict, or send an event"
	}
	return ""
}

func named(s source) string {
	if s.isGo() && (slices.Contains(nameless, s.tree.Name.Name) || slices.Contains(nameless, path.Base(s.dir()))) {
		return fmt.Sprintf("package %s: name it after what it holds", s.dir())
	}
	return ""
}
