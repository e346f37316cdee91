// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/suggest"
)

// scope is a part of the file with the name that complaints about it begin with, such as
// "service web: server 10.0.0.11: ".
type scope struct {
	*file
	prefix string
}

func (s scope) in(label string) scope { return scope{s.file, s.prefix + label + ": "} }

func (s scope) complain(n *yaml.Node, m mistake) {
	m.what = s.prefix + m.what
	s.file.complain(at(n), m)
}

func (s scope) complainIf(n *yaml.Node, m *mistake) {
	if m != nil {
		s.complain(n, *m)
	}
}

// vocabulary is what may be written at a place, and what is known about other words.
type vocabulary struct {
	known   []string
	later   map[string]string // words of later versions, and what to do without them
	foreign map[string]string // other programs' words, and what to write here
}

// mapping returns the values of a map by key, and complains about every key that does not belong.
// A mistyped key counts as what was meant: its value is looked at, and nobody misses it.
func (s scope) mapping(n *yaml.Node, what string, keys vocabulary) map[string]*yaml.Node {
	if !s.is(n, yaml.MappingNode, what) || !s.hasPlainKeys(n) {
		return nil
	}
	values, first := map[string]*yaml.Node{}, map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		meant, ok := s.key(key, keys)
		if !ok {
			continue
		}
		if before := first[meant]; before != nil {
			s.complain(key, mistake{fmt.Sprintf("key %q stands twice", meant),
				fmt.Sprintf("the first is in line %d: keep one", before.Line)})
			continue
		}
		values[meant], first[meant] = value, key
	}
	return values
}

// hasPlainKeys is false for what YAML makes of [2001:db8::1]:80 in a list: a map with a list as key.
func (s scope) hasPlainKeys(n *yaml.Node) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if !s.is(n.Content[i], yaml.ScalarNode, "a key") {
			return false
		}
	}
	return true
}

// key returns the key that is written, or else the one that was meant.
func (s scope) key(n *yaml.Node, keys vocabulary) (string, bool) {
	if s.knows(n, "key", keys) {
		return n.Value, true
	}
	meant := suggest.Closest(n.Value, keys.words())
	return meant, slices.Contains(keys.known, meant)
}

// word returns a scalar that is one of the known words.
func (s scope) word(n *yaml.Node, what string, words vocabulary) (string, bool) {
	text, ok := s.text(n, what)
	return text, ok && s.knows(n, what, words)
}

// knows complains about a word that may not stand here.
func (s scope) knows(n *yaml.Node, what string, words vocabulary) bool {
	if slices.Contains(words.known, n.Value) {
		return true
	}
	if hint, ok := words.later[n.Value]; ok {
		s.complain(n, mistake{fmt.Sprintf("not in this version yet: %s %q", what, n.Value), hint})
		return false
	}
	s.complain(n, mistake{fmt.Sprintf("unknown %s %s", what, quote(n.Value)), words.hint(n.Value)})
	return false
}

// words lists what is known and what will be, without the words of others.
func (v vocabulary) words() []string {
	return append(slices.Sorted(maps.Keys(v.later)), v.known...)
}

func (v vocabulary) hint(word string) string {
	if hint, ok := v.foreign[strings.ToLower(word)]; ok {
		return hint
	}
	meant := suggest.Closest(word, v.words())
	if hint, ok := v.later[meant]; ok {
		return fmt.Sprintf("if this is %q, it is not in this version yet: %s", meant, hint)
	}
	if meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	return "known here: " + strings.Join(v.known, ", ")
}

// list returns the items of a list. A key with nothing behind it is an empty list.
func (s scope) list(n *yaml.Node, what string) []*yaml.Node {
	if n == nil || isNull(n) || !s.is(n, yaml.SequenceNode, what) {
		return nil
	}
	return n.Content
}

// text returns a scalar as it is written, so that addresses, numbers and names need no quotes.
func (s scope) text(n *yaml.Node, what string) (string, bool) {
	if !s.is(n, yaml.ScalarNode, what) {
		return "", false
	}
	if isNull(n) || n.Value == "" {
		s.complain(n, mistake{what + " has no value", "write it behind the colon, or remove the key"})
		return "", false
	}
	return n.Value, true
}

// number returns a whole number in the way in which people write it: no 0x10, no 1_000, no 1e3.
func (s scope) number(n *yaml.Node, what string, low, high int) (int, bool) {
	text, ok := s.text(n, what)
	if !ok {
		return 0, false
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		s.complain(n, mistake{what + " must be a number, not text", "leave the quotes away"})
		return 0, false
	}
	value, err := strconv.Atoi(text)
	switch {
	case isDecimal(text) && (err != nil || value < low || value > high):
		s.complain(n, mistake{fmt.Sprintf("%s %s is out of range", what, abbreviate(text)),
			fmt.Sprintf("from %d to %d", low, high)})
	case !isDecimal(text):
		s.complain(n, mistake{fmt.Sprintf("%s must be a whole number, not %s", what, quote(text)),
			fmt.Sprintf("from %d to %d", low, high)})
	default:
		return value, true
	}
	return 0, false
}

// truth returns true or false. YAML's older words for them mean nothing here.
func (s scope) truth(n *yaml.Node, what string) bool {
	text, ok := s.text(n, what)
	switch {
	case !ok:
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		s.complain(n, mistake{what + " must be true or false, not text", "leave the quotes away"})
	case text != "true" && text != "false":
		s.complain(n, mistake{fmt.Sprintf("%s must be true or false, not %s", what, quote(text)), ""})
	}
	return text == "true"
}

// isDecimal is stricter than strconv: 010 means eight to some, so it means nothing here.
func isDecimal(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// is complains unless the node has the kind that is wanted. Aliases were complained about already.
func (s scope) is(n *yaml.Node, kind yaml.Kind, what string) bool {
	if n.Kind == kind || n.Kind == yaml.AliasNode {
		return n.Kind == kind
	}
	if bare := s.bareIPv6At(n); bare != "" {
		s.complain(n, quoteIPv6(bare))
	} else {
		s.complain(n, mistake{fmt.Sprintf("%s must be %s, not %s", what, kindName(kind), nodeName(n)), kindHint(kind)})
	}
	return false
}

func kindHint(want yaml.Kind) string {
	return map[yaml.Kind]string{
		yaml.MappingNode:  `write "key: value" lines`,
		yaml.SequenceNode: `begin each item with "- "`,
		yaml.ScalarNode:   "write one value",
	}[want]
}

func kindName(k yaml.Kind) string {
	return map[yaml.Kind]string{
		yaml.MappingNode: "a map", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value",
	}[k]
}

func nodeName(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && isNull(n) {
		return "nothing"
	}
	return kindName(n.Kind)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// refuseMagic complains about what YAML can do and a configuration must not need: what is written
// at one place shall not change what is meant at another.
func (f *file) refuseMagic(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		f.complain(at(n), mistake{"aliases (*) are not supported", "write the value out"})
	case n.Anchor != "":
		f.complain(at(n), mistake{"anchors (&) are not supported", fmt.Sprintf("remove %q", "&"+n.Anchor)})
	case n.Style&yaml.TaggedStyle != 0:
		f.complain(at(n), mistake{"tags (!) are not supported", fmt.Sprintf("remove %q", n.Tag)})
	}
	for _, child := range n.Content {
		f.refuseMagic(child)
	}
}

// label is text that may stand in a message as it is; anything strange gets quotes and escapes.
func label(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || r == ' ' }) {
		return quote(text)
	}
	return abbreviate(text)
}

func quote(text string) string { return strconv.Quote(abbreviate(text)) }

func abbreviate(text string) string {
	const most = 64
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
