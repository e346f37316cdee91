// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// Kinds that log in. A password stands in a file of its own, which nobody else can read.

func (s scope) askMySQL(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, sqlKeys)
	if tls := values["tls"]; tls != nil && values["user"] == nil {
		s.complain(tls, mistake{"tls without user", "a server greets without it: leave it out"})
	}
	out := model.AskMySQL{SQL: s.sqlOf(values)}
	out.Secure, out.TLS = s.secureOf(values["tls"])
	return out
}

func (s scope) askPostgreSQL(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, sqlKeys)
	out := model.AskPostgreSQL{SQL: s.sqlOf(values)}
	out.Secure, out.TLS = s.secureOf(values["tls"])
	return out
}

// sqlOf is what both databases are asked.
func (s scope) sqlOf(values map[string]*yaml.Node) model.SQL {
	for _, key := range []string{"password_file", "database", "query", "row"} {
		if n := values[key]; n != nil && values["user"] == nil {
			s.complain(n, mistake{key + " without user", `write "user:", too: without one only what comes before a login is asked`})
		}
	}
	if n := values["row"]; n != nil && values["query"] == nil && values["user"] != nil {
		s.complain(n, mistake{"row without query", `write "query: SELECT 1", too`})
	}
	return model.SQL{
		User:         s.line(values["user"], "user"),
		PasswordFile: s.secretFile(values["password_file"], "password_file"),
		Database:     s.line(values["database"], "database"),
		Query:        s.query(values["query"]),
		Row:          s.bytes(values["row"], "row"),
	}
}

// query may be of several lines.
func (s scope) query(n *yaml.Node) string {
	text := s.httpText(n, "query")
	switch {
	case len(text) > maxBytes:
		s.complain(n, mistake{fmt.Sprintf("query is longer than %d bytes", maxBytes), "shorten it, or make it a view"})
	case strings.Contains(text, "\x00"):
		s.complain(n, mistake{"query has a NUL in it", "leave it out"})
	}
	return text
}

// line is a text of one line; without a node it is empty.
func (s scope) line(n *yaml.Node, what string) string {
	const most = 253 // bytes; an attribute's of RADIUS (RFC 2865 section 5)
	text := s.httpText(n, what)
	switch {
	case strings.ContainsFunc(text, isControl) || !utf8.ValidString(text):
		s.complain(n, mistake{what + " has a control character in it", "write it as one line"})
	case len(text) > most:
		s.complain(n, mistake{fmt.Sprintf("%s is longer than %d bytes", what, most), "shorten it"})
	}
	return text
}

// askLDAP is a map, or nothing: an anonymous bind.
func (s scope) askLDAP(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, ldapKeys)
	out := model.AskLDAP{Bind: s.line(values["bind"], "bind"), PasswordFile: s.secretFile(values["password_file"], "password_file")}
	s.checkPair(values, "bind", "password_file", "a name without a password counts as nobody's (RFC 4513 section 5.1.2)")
	if base := values["base"]; base != nil {
		out.Base = s.line(base, "base")
		if out.Base != "" && out.Base != model.RootDSE && !strings.Contains(out.Base, "=") {
			s.complain(base, mistake{fmt.Sprintf("base %s is no name of an entry", quote(out.Base)),
				fmt.Sprintf(`such as "dc=example,dc=org"; or write %q for what a server tells of itself`, model.RootDSE)})
		}
	}
	out.Secure, out.TLS = s.secureOf(values["tls"])
	return out
}

// checkPair wants both of two keys, or none.
func (s scope) checkPair(values map[string]*yaml.Node, a, b, why string) {
	for _, keys := range [][2]string{{a, b}, {b, a}} {
		if n := values[keys[0]]; n != nil && values[keys[1]] == nil {
			s.complain(n, mistake{fmt.Sprintf("%s without %s", keys[0], keys[1]), fmt.Sprintf("write %q, too: %s", keys[1]+":", why)})
		}
	}
}

// askRADIUS needs a secret: without one no server answers.
func (s scope) askRADIUS(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, radiusKeys)
	if values == nil {
		return nil
	}
	if values["secret_file"] == nil {
		s.complain(n, mistake{"no secret_file", `write "secret_file: /etc/weir/radius.secret": the secret that the server has for this client`})
		return nil
	}
	s.checkPair(values, "user", "password_file", "a user is asked about with a password")
	out := model.AskRADIUS{
		SecretFile:   s.secretFile(values["secret_file"], "secret_file"),
		User:         s.line(values["user"], "user"),
		PasswordFile: s.secretFile(values["password_file"], "password_file"),
		NAS:          s.line(values["nas"], "nas"),
	}
	if out.NAS == model.DefaultNAS {
		out.NAS = ""
	}
	if reject := values["reject"]; reject != nil {
		out.Reject = s.truth(reject, "reject")
		if values["user"] == nil {
			s.complain(reject, mistake{"reject without user", "nobody is rejected who is not asked about: leave it out"})
		}
	}
	return out
}

// askSIP is a map, or nothing.
func (s scope) askSIP(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, sipKeys)
	out := model.AskSIP{
		User:   s.sipPart(values["user"], "user", sipUserLetters),
		Domain: s.sipPart(values["domain"], "domain", hostLetters+":[]"),
		Status: s.httpStatus(values["status"]),
	}
	if tcp := values["tcp"]; tcp != nil {
		out.TCP = s.truth(tcp, "tcp")
	}
	return out
}

// sipUserLetters may stand before the @ of a URI as they are (RFC 3261 section 25.1).
const sipUserLetters = hostLetters + "!~*'()&=+$,;?/%"

// sipPart is a part of a URI.
func (s scope) sipPart(n *yaml.Node, what, letters string) string {
	text := s.unbroken(n, what)
	if strings.Trim(text, letters) != "" && !strings.ContainsFunc(text, breaks) {
		s.complain(n, mistake{fmt.Sprintf("%s %s is not as in a SIP URI", what, quote(text)), `in "sip:USER@DOMAIN" user and domain are what stands there, without "sip:" and "@"`})
		return ""
	}
	return text
}

// askGRPC is a map, or nothing: the server as a whole is asked about.
func (s scope) askGRPC(n *yaml.Node) model.Ask {
	values := s.mayBeNothing(n, grpcKeys)
	out := model.AskGRPC{Service: s.unbroken(values["service"], "service"), Host: s.httpHost(values["host"])}
	out.Secure, out.TLS = s.secureOf(values["tls"])
	return out
}

// secureOf is what the kind tls takes, where a kind is over TLS only if somebody says so. Nothing behind the key
// stands for TLS with any certificate.
func (s scope) secureOf(n *yaml.Node) (bool, model.TLS) {
	if n == nil {
		return false, model.TLS{}
	}
	s = s.in("tls")
	return true, s.tlsOf(s.mayBeNothing(n, withinTLS))
}

// securePair is empty where it is not secure.
func securePair(secure bool, t model.TLS) []pair {
	if !secure {
		return nil
	}
	return []pair{{"tls", mapNode(tlsPairs(t)...)}}
}

func sqlPairs(a model.SQL) []pair {
	return slices.Concat(linePair("user", a.User), linePair("password_file", a.PasswordFile), linePair("database", a.Database),
		linePair("query", a.Query), linePair("row", escaped(a.Row)))
}

func ldapNode(a model.AskLDAP) *yaml.Node {
	return mapNode(slices.Concat(linePair("bind", a.Bind), linePair("password_file", a.PasswordFile),
		linePair("base", a.Base), securePair(a.Secure, a.TLS))...)
}

func radiusNode(a model.AskRADIUS) *yaml.Node {
	pairs := slices.Concat(linePair("secret_file", a.SecretFile), linePair("user", a.User),
		linePair("password_file", a.PasswordFile), linePair("nas", a.NAS))
	if a.Reject {
		pairs = append(pairs, pair{"reject", trueNode()})
	}
	return mapNode(pairs...)
}

func sipNode(a model.AskSIP) *yaml.Node {
	pairs := slices.Concat(linePair("user", a.User), linePair("domain", a.Domain))
	if a.Status != (model.Statuses{}) {
		pairs = append(pairs, pair{"status", statusNode(a.Status)})
	}
	if a.TCP {
		pairs = append(pairs, pair{"tcp", trueNode()})
	}
	return mapNode(pairs...)
}

func grpcNode(a model.AskGRPC) *yaml.Node {
	return mapNode(slices.Concat(linePair("service", a.Service), linePair("host", a.Host), securePair(a.Secure, a.TLS))...)
}
