// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// What names are made of.
const (
	capitals    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hostLetters = capitals + "abcdefghijklmnopqrstuvwxyz0123456789.-_"
	tokens      = hostLetters + "!#$%&'*+^`|~" // RFC 9110 section 5.6.2
)

// askHTTP is a path, or a map. Defaults are the same, written or not.
func (s scope) askHTTP(n *yaml.Node, secure bool) model.Ask {
	out := model.AskHTTP{Secure: secure}
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		out.Path = s.httpPath(n)
		return out
	}
	keys := httpKeys
	if secure {
		keys = httpsKeys
	}
	values := s.mayBeNothing(n, keys)
	out.TLS = s.tlsOf(values)
	out.Method = s.httpMethod(values["method"])
	out.Path = s.httpPath(values["path"])
	out.Host = s.httpHost(values["host"])
	out.Headers = s.httpHeaders(values["headers"])
	out.Status = s.httpStatus(values["status"])
	out.Contains = s.httpText(values["contains"], "contains")
	if match := values["match"]; match != nil {
		out.Match = s.pattern(match, "match")
	}
	out.Digest = s.httpDigest(values["digest"])
	s.checkHasBody(values, out.Method)
	return out
}

// httpText is a scalar; "" where it is left out, and after a complaint.
func (s scope) httpText(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	text, _ := s.text(n, what)
	return text
}

// httpMethod returns "" for the default, and after a complaint. The methods' names are their own letters, GET is
// not get (RFC 9110 section 9.1).
func (s scope) httpMethod(n *yaml.Node) string {
	text := s.httpText(n, "method")
	switch {
	case text == model.DefaultMethod:
		return ""
	case strings.Trim(text, capitals) != "":
		s.complain(n, mistake{"unknown method " + quote(text), "methods are capital letters, such as GET or HEAD"})
		return ""
	case text == "CONNECT":
		s.complain(n, mistake{"method CONNECT asks for a tunnel, not for an answer", `write "method: GET", or leave it out`})
		return ""
	}
	return text
}

// httpPath returns "" for the default, and after a complaint.
func (s scope) httpPath(n *yaml.Node) string {
	text := s.httpText(n, "path")
	if text == "" || text == model.DefaultPath {
		return ""
	}
	if m := unfitPath(text); m != nil {
		s.complain(n, *m)
		return ""
	}
	return text
}

// unfitPath wants a path as it is sent (RFC 9112 section 3.2.1).
func unfitPath(text string) *mistake {
	if !strings.HasPrefix(text, "/") {
		hint := "write " + quote("/"+text)
		if strings.Contains(text, "://") {
			hint = `write what stands behind the host, and the host as "host:"`
		}
		return &mistake{fmt.Sprintf(`path %s does not begin with "/"`, quote(text)), hint}
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == '#' || r > '~' }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		return &mistake{fmt.Sprintf("%q in path %s", r, quote(text)), fmt.Sprintf("write %s for it", url.PathEscape(string(r)))}
	}
	if _, err := url.ParseRequestURI(text); err != nil {
		return &mistake{fmt.Sprintf("path %s: %v", quote(text), errors.Unwrap(err)), "write %25 for a percent sign"}
	}
	return nil
}

func (s scope) httpHost(n *yaml.Node) string {
	text := s.httpText(n, "host")
	if strings.Trim(text, hostLetters+":[]") != "" {
		s.complain(n, mistake{fmt.Sprintf("host %s is no name", quote(text)), `such as "www.example.org", which is sent as the Host header`})
		return ""
	}
	return text
}

// httpHeaders is a map of any names. Their values are not repeated in complaints: they may be secret.
func (s scope) httpHeaders(n *yaml.Node) string {
	if n == nil || isNull(n) || !s.is(n, yaml.MappingNode, "headers") || !s.hasPlainKeys(n) {
		return ""
	}
	headers, first := map[string]string{}, map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name, m := headerName(key, first)
		if m != nil {
			s.complain(key, *m)
			continue
		}
		first[name], headers[name] = key, s.headerValue(value, name)
	}
	return model.JoinHeaders(headers)
}

// headerName is a name as it is usually written: they are the same in whatever case (RFC 9110 section 5.1).
func headerName(n *yaml.Node, first map[string]*yaml.Node) (string, *mistake) {
	if n.Value == "" || strings.Trim(n.Value, tokens) != "" {
		return "", &mistake{fmt.Sprintf("%s is no name of a header", quote(n.Value)), `such as "Accept"`}
	}
	name := textproto.CanonicalMIMEHeaderKey(n.Value)
	if hint, own := ownHeaders[name]; own {
		return "", &mistake{fmt.Sprintf("header %s is not free", name), hint}
	}
	if before := first[name]; before != nil {
		return "", &mistake{fmt.Sprintf("header %s stands twice", label(name)), fmt.Sprintf("the first is in line %d: keep one", before.Line)}
	}
	return name, nil
}

func (s scope) headerValue(n *yaml.Node, name string) string {
	what := "header " + label(name)
	text := s.httpText(n, what)
	if strings.ContainsFunc(text, isControl) {
		s.complain(n, mistake{what + " has a control character in its value", "write it as one line"})
		return ""
	}
	return text
}

func (s scope) httpStatus(n *yaml.Node) model.Statuses {
	text := s.httpText(n, "status")
	if text == "" {
		return model.Statuses{}
	}
	out, err := model.ParseStatuses(text)
	if err != nil {
		s.complain(n, mistake{"status: " + err.Error(), `such as 200, 200-299, or "200-299,301"`})
	}
	return out
}

func (s scope) httpDigest(n *yaml.Node) string {
	const digits = 32 // of an MD5
	text := s.httpText(n, "digest")
	if text == "" {
		return ""
	}
	if _, err := hex.DecodeString(text); err != nil || len(text) != digits {
		s.complain(n, mistake{fmt.Sprintf("digest %s is not %d hexadecimal digits", quote(text), digits),
			"it is the MD5 of the body, as genhash or md5sum print it"})
		return ""
	}
	return strings.ToLower(text)
}

// checkHasBody: the answer to HEAD is a head alone (RFC 9110 section 9.3.2).
func (s scope) checkHasBody(values map[string]*yaml.Node, method string) {
	for _, key := range []string{"contains", "match", "digest"} {
		if n := values[key]; n != nil && method == "HEAD" {
			s.complain(n, mistake{key + ", but the answer to HEAD has no body", `write "method: GET", or leave it out`})
		}
	}
}

// httpNode is the path where that says it all.
func httpNode(a model.AskHTTP) *yaml.Node {
	pairs := slices.Concat(linePair("method", a.Method), linePair("path", a.Path), linePair("host", a.Host))
	if a.Headers != "" {
		pairs = append(pairs, pair{"headers", headersNode(a)})
	}
	if a.Status != (model.Statuses{}) {
		pairs = append(pairs, pair{"status", statusNode(a.Status)})
	}
	pairs = slices.Concat(pairs, linePair("contains", a.Contains), linePair("match", a.Match),
		linePair("digest", a.Digest), tlsPairs(a.TLS))
	if len(pairs) == 1 && pairs[0].key == "path" {
		return pairs[0].value
	}
	return mapNode(pairs...)
}

func headersNode(a model.AskHTTP) *yaml.Node {
	headers := maps.Collect(a.EachHeader())
	var pairs []pair
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		pairs = append(pairs, pair{name, lineNode(headers[name])})
	}
	return mapNode(pairs...)
}

func statusNode(s model.Statuses) *yaml.Node {
	if code, err := strconv.Atoi(s.String()); err == nil {
		return numberNode(code)
	}
	return textNode(s.String())
}

// linePair is empty where the text is.
func linePair(key, text string) []pair {
	if text == "" {
		return nil
	}
	return []pair{{key, lineNode(text)}}
}

// lineNode is a textNode with escapes for what must not stand in a file as it is, and for line ends.
func lineNode(text string) *yaml.Node {
	n := textNode(text)
	if strings.ContainsFunc(text, isControl) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
