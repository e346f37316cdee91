// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth bounds nesting; the grammar needs five levels.
const maxDepth = 50

// tree parses YAML into nodes that know their places. It returns nil after a complaint that leaves
// nothing to look at: the YAML parser does not go on behind a mistake.
func (f *file) tree(data []byte) *yaml.Node {
	if !f.readable(data) {
		return nil
	}
	documents, err := documents(data)
	if err != nil {
		f.complainSyntax(err)
		return nil
	}
	if len(documents) == 0 || isNothing(documents[0]) {
		f.complain(place{1, 1}, mistake{"the file is empty",
			`write "services:" and the first service below it, or "services: []" for none`})
		return nil
	}
	if len(documents) > 1 {
		f.complain(at(documents[1]), mistake{"a second YAML document begins here",
			`one file is one configuration: remove "---" or "..."`})
		return nil
	}
	return documents[0].Content[0]
}

// documents returns at most two: one is wanted, and the second is a mistake.
func documents(data []byte) ([]*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(bytes.TrimPrefix(data, []byte(byteOrderMark))),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, err
	}
	var out []*yaml.Node
	for len(out) < 2 {
		node := new(yaml.Node)
		if err := loader.Load(node); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		out = append(out, node)
	}
	return out, nil
}

// isNothing is true for a document without a word in it: "---", "~", comments.
func isNothing(document *yaml.Node) bool {
	return len(document.Content) == 0 || document.Content[0].ShortTag() == "!!null"
}

func at(n *yaml.Node) place { return place{n.Line, n.Column} }

// complainSyntax says in an operator's words what the YAML parser stumbled over.
func (f *file) complainSyntax(err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		f.complain(place{1, 1}, mistake{"not YAML: " + err.Error(), ""})
		return
	}
	if f.complainBareIPv6() || f.complainTab(load.Mark.Line) {
		return
	}
	where, m := f.explain(load)
	f.complain(where, m)
}

// bareIPv6 is [2001:db8::1]:80 where a value begins. YAML takes the bracket for a list.
var bareIPv6 = regexp.MustCompile(`(?:^|[\s,{\[])(\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\](?::[0-9*-]+)?)`)

// complainBareIPv6 finds them all, because they come in flocks.
func (f *file) complainBareIPv6() bool {
	found := false
	for i, line := range f.lines {
		code, _, _ := strings.Cut(line, " #")
		for _, m := range bareIPv6.FindAllStringSubmatchIndex(code, maxComplaints) {
			column := utf8.RuneCountInString(line[:m[2]]) + 1
			f.complain(place{i + 1, column}, quoteIPv6(line[m[2]:m[3]]))
			found = true
		}
	}
	return found
}

// bareIPv6At returns what was written where YAML saw a list, when that was meant as an address.
func (f *file) bareIPv6At(n *yaml.Node) string {
	if n.Kind != yaml.SequenceNode || n.Style&yaml.FlowStyle == 0 || f.isFull() {
		return "" // nobody will read it, and looking costs a walk through the line
	}
	const longest = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
	line := f.line(n.Line)
	rest := line[offset(line, n.Column):]
	rest = rest[:min(longest, len(rest))]
	if m := bareIPv6.FindStringSubmatchIndex(rest); m != nil && m[2] == 0 {
		return rest[m[2]:m[3]]
	}
	return ""
}

func quoteIPv6(text string) mistake {
	return mistake{"YAML takes the bracket for a list", fmt.Sprintf("put quotes around it: %q", text)}
}

// complainTab finds a tab in the indentation of the line, which is all that YAML says nothing about.
func (f *file) complainTab(line int) bool {
	text := f.line(max(line, 1))
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	tab := strings.IndexByte(indent, '\t')
	if tab < 0 {
		return false
	}
	f.complain(place{line, tab + 1}, mistake{"a tab in the indentation", "YAML wants spaces"})
	return true
}

// explain translates the parser's message. What opened and was not closed is shown where it opened.
func (f *file) explain(e *yaml.LoadError) (place, mistake) {
	here, opened := place{e.Mark.Line, e.Mark.Column}, place{e.ContextMark.Line, e.ContextMark.Column}
	switch message := e.Message; {
	case strings.Contains(message, "unexpected end of stream"):
		return opened, mistake{"this quote is never closed", "write the closing quote"}
	case strings.Contains(message, "',' or ']'"):
		return opened, mistake{"this list is not closed", f.unclosed("]", here)}
	case strings.Contains(message, "',' or '}'"):
		return opened, mistake{"this map is not closed", f.unclosed("}", here)}
	case strings.Contains(message, "unknown anchor"):
		return here, mistake{"YAML takes the * for an alias", `write the address before it: "192.0.2.10:*"`}
	case strings.Contains(message, "mapping values are not allowed"):
		return here, mistake{"a colon that YAML cannot place",
			"either this line is indented wrongly, or the text needs quotes"}
	case strings.Contains(message, "cannot start any token"):
		return here, mistake{"text cannot begin with this character", "put quotes around it"}
	case strings.Contains(message, "could not find expected ':'"):
		return opened, mistake{"a key without a colon", `write "key: value", with a space behind the colon`}
	case strings.Contains(message, "exceeded max depth"):
		return here, mistake{fmt.Sprintf("nested more than %d levels deep", maxDepth), "is this the right file?"}
	case strings.Contains(message, "did not find expected key"), strings.Contains(message, "expected '-'"):
		return here, f.misplaced(here)
	default:
		return here, mistake{"not YAML: " + message, ""}
	}
}

func (f *file) unclosed(bracket string, here place) string {
	return fmt.Sprintf("expected a comma or %q before line %d, column %d", bracket, here.line, here.column)
}

// misplaced tells a line that is indented wrongly from a value that goes on behind its end.
func (f *file) misplaced(here place) mistake {
	line := f.line(max(here.line, 1))
	if strings.TrimSpace(line[:offset(line, here.column)]) == "" {
		return mistake{"this line belongs to nothing above it",
			"indent it as far as the lines that it belongs with"}
	}
	return mistake{"the value ended before this", "put quotes around the whole value, or remove the rest"}
}
