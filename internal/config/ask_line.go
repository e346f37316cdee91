// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// maxBytes bounds what is sent and what a reply begins with. The path to a server takes less at once.
const maxBytes = 4096

// mayBeNothing returns the values of a map by key; nothing stands for the map without keys. It returns nil
// after a complaint.
func (s scope) mayBeNothing(n *yaml.Node, keys vocabulary) map[string]*yaml.Node {
	if isNull(n) {
		return map[string]*yaml.Node{}
	}
	return s.mapping(n, "it", keys)
}

// keyless is a question of which nothing can be said. It complains about whatever is.
func (s scope) keyless(n *yaml.Node, a model.Ask) model.Ask {
	if isNull(n) || !s.is(n, yaml.MappingNode, "it") || !s.hasPlainKeys(n) {
		return a
	}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		s.complain(key, mistake{"unknown key " + quote(key.Value),
			cmp.Or(keylessForeign[strings.ToLower(key.Value)], "leave it out: nothing can be said about this check")})
	}
	return a
}

// askExpect is what is sent, and what is looked for in the answer. Without the latter nothing is asked.
func (s scope) askExpect(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, expectKeys)
	if values == nil {
		return nil
	}
	if values["expect"] == nil {
		s.complain(n, mistake{"no expect", `write "expect: ^220", a regular expression that good answers match`})
		return nil
	}
	return model.AskExpect{Send: s.bytes(values["send"], "send"), Expect: s.pattern(values["expect"], "expect")}
}

func (s scope) askSMTP(n *yaml.Node) model.Ask {
	hello := s.unbroken(s.mayBeNothing(n, smtpKeys)["hello"], "hello")
	if hello == model.DefaultHello {
		hello = ""
	}
	return model.AskSMTP{Hello: hello}
}

func (s scope) askRedis(n *yaml.Node) model.Ask {
	return model.AskRedis{Password: s.unbroken(s.mayBeNothing(n, redisKeys)["password"], "password")}
}

// askUDP is what is sent, and what the answer begins with. To a datagram without content few servers answer.
func (s scope) askUDP(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, udpKeys)
	if values == nil {
		return nil
	}
	if values["payload"] == nil {
		s.complain(n, mistake{"no payload", `write "payload: ...": what is sent; \x00 is a byte by its two hexadecimal digits`})
		return nil
	}
	return model.AskUDP{Payload: s.bytes(values["payload"], "payload"), Reply: s.bytes(values["reply"], "reply")}
}

// pattern is a regular expression as Go has them.
func (s scope) pattern(n *yaml.Node, what string) string {
	text, ok := s.text(n, what)
	if !ok {
		return ""
	}
	_, err := regexp.Compile(text)
	if wrong, ok := errors.AsType[*syntax.Error](err); ok {
		s.complain(n, mistake{fmt.Sprintf("%s is no regular expression: %s: %s", what, wrong.Code, quote(wrong.Expr)), patternHint(text)})
	}
	return text
}

// patternHint knows nanny's word for any answer, and what comes from programs with Perl's expressions.
func patternHint(text string) string {
	if text == "*" {
		return `write "." if any answer is good`
	}
	return `as in Go and RE2: \( is a bracket that stands for itself, and nothing looks ahead or back`
}

// unbroken is text that cannot end a line or a word of a protocol; without a node it is empty. It is not
// repeated in complaints: it may be secret.
func (s scope) unbroken(n *yaml.Node, what string) string {
	const most = 255 // bytes; of a domain, RFC 5321 section 4.5.3.1.2
	if n == nil {
		return ""
	}
	text, ok := s.text(n, what)
	switch {
	case !ok:
	case strings.ContainsFunc(text, breaks):
		s.complain(n, mistake{what + " has spaces or control characters", "leave them out"})
	case len(text) > most:
		s.complain(n, mistake{fmt.Sprintf("%s is longer than %d bytes", what, most), "shorten it"})
	}
	return text
}

func breaks(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// bytes is text with escapes, since in YAML text without quotes has none; without a node it is empty.
func (s scope) bytes(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	text, ok := s.text(n, what)
	if !ok {
		return ""
	}
	out, unknown := unescaped(text)
	switch {
	case unknown != "":
		s.complain(n, mistake{fmt.Sprintf("%s has an unknown escape, %s", what, label(unknown)),
			`known are \r, \n, \t, \\, and \xHH: a byte by two hexadecimal digits`})
	case len(out) > maxBytes:
		s.complain(n, mistake{fmt.Sprintf("%s is longer than %d bytes", what, maxBytes), "shorten it"})
	}
	return out
}

// unescaped puts bytes where escapes stand, or returns the first escape that it does not know.
func unescaped(text string) (out, unknown string) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), ""
		}
		value, length := unescape(after)
		if length == 0 {
			_, size := utf8.DecodeRuneInString(after)
			return "", `\` + after[:size]
		}
		b.WriteByte(value)
		text = after[length:]
	}
}

// unescape reads what stands behind a backslash; its length is 0 if that means nothing.
func unescape(after string) (value byte, length int) {
	if hex, ok := strings.CutPrefix(after, "x"); ok && len(hex) >= 2 {
		if value, err := strconv.ParseUint(hex[:2], 16, 8); err == nil {
			return byte(value), 3
		}
	}
	for value, escape := range escapes {
		if strings.HasPrefix(after, escape) {
			return value, len(escape)
		}
	}
	return 0, 0
}

// escapes are the bytes with an escape of their own, without its backslash.
var escapes = map[byte]string{'\r': "r", '\n': "n", '\t': "t", '\\': `\`}

// escaped is the inverse of unescaped, in ASCII that can be seen.
func escaped(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		escape, known := escapes[c]
		switch {
		case known:
			b.WriteString(`\` + escape)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func expectNode(a model.AskExpect) *yaml.Node {
	return mapNode(append(linePair("send", escaped(a.Send)), pair{"expect", lineNode(a.Expect)})...)
}

func smtpNode(a model.AskSMTP) *yaml.Node { return mapNode(linePair("hello", a.Hello)...) }

func redisNode(a model.AskRedis) *yaml.Node { return mapNode(linePair("password", a.Password)...) }

func udpNode(a model.AskUDP) *yaml.Node {
	return mapNode(append(linePair("payload", escaped(a.Payload)), linePair("reply", escaped(a.Reply))...)...)
}
