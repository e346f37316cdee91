// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// askDNS is a name, or a map.
func (s scope) askDNS(n *yaml.Node) model.Ask {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		return model.AskDNS{Name: s.domain(n, "name")}
	}
	values := s.mayBeNothing(n, dnsKeys)
	kind, kindOK := s.dnsWord(values["type"], "type", dnsTypes, model.DefaultDNSType)
	rcode, rcodeOK := s.dnsWord(values["rcode"], "rcode", dnsRcodes, model.DefaultDNSRcode)
	out := model.AskDNS{Name: s.domain(values["name"], "name"), Type: kind, Rcode: rcode}
	if answer := values["answer"]; answer != nil {
		var ok bool
		if out.Answer, ok = s.text(answer, "answer"); ok && kindOK && rcodeOK {
			s.complainIf(answer, wrongAnswer(out))
		}
	}
	if tcp := values["tcp"]; tcp != nil {
		out.TCP = s.truth(tcp, "tcp")
	}
	return out
}

// dnsWord returns "" for the default, written or not, and after a complaint.
func (s scope) dnsWord(n *yaml.Node, what string, words vocabulary, standard string) (string, bool) {
	if n == nil {
		return "", true
	}
	word, ok := s.word(n, what, words)
	if !ok || word == standard {
		return "", ok
	}
	return word, true
}

// domain returns a name without the dot at its end, and "" for the root, which is the default.
func (s scope) domain(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	text, ok := s.text(n, what)
	name := strings.TrimSuffix(text, ".")
	if ok && name != "" {
		s.complainIf(n, wrongDomain(what, name))
	}
	return name
}

// wrongDomain knows the limits of RFC 1035 section 2.3.4. What has other signs in it was hardly meant as a name.
func wrongDomain(what, name string) *mistake {
	const most, mostOfLabel = 253, 63
	if len(name) > most {
		return &mistake{fmt.Sprintf("%s is longer than %d characters", what, most), "is this a name?"}
	}
	no := fmt.Sprintf("%s %s is no domain name", what, quote(name))
	for part := range strings.SplitSeq(name, ".") {
		switch {
		case part == "":
			return &mistake{no, "there is nothing between two dots, or before the first"}
		case len(part) > mostOfLabel:
			return &mistake{no, fmt.Sprintf("between two dots are at most %d characters", mostOfLabel)}
		case strings.ContainsFunc(part, notInDomain):
			return &mistake{no, "letters, digits, hyphens and underscores; other letters are written in ASCII, as xn--..."}
		}
	}
	return nil
}

// notInDomain lets through a slash, which zones of small networks have in their names (RFC 2317).
func notInDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_/", r)
}

// wrongAnswer refuses what could never be among the answers.
func wrongAnswer(a model.AskDNS) *mistake {
	address, err := netip.ParseAddr(a.Answer)
	switch {
	case a.Rcode != "":
		return &mistake{fmt.Sprintf("answer, but with rcode %s there is none", a.Rcode), "leave one of them out"}
	case a.Type == "" && (err != nil || !address.Is4()):
		return &mistake{fmt.Sprintf("answer %s is no IPv4 address, as type A has", quote(a.Answer)), `write one, or the "type:"`}
	case a.Type == "AAAA" && (err != nil || !address.Is6() || address.Zone() != ""):
		return &mistake{fmt.Sprintf("answer %s is no IPv6 address, as type AAAA has", quote(a.Answer)), `write one, or another "type:"`}
	case slices.Contains([]string{"NS", "CNAME", "PTR"}, a.Type):
		return wrongDomain("answer", strings.TrimSuffix(a.Answer, "."))
	}
	return nil
}

// dnsNode is the name where that says it all.
func dnsNode(a model.AskDNS) *yaml.Node {
	if a.Name != "" && a == (model.AskDNS{Name: a.Name}) {
		return textNode(a.Name)
	}
	pairs := slices.Concat(linePair("name", a.Name), linePair("type", a.Type), linePair("rcode", a.Rcode), linePair("answer", a.Answer))
	if a.TCP {
		pairs = append(pairs, pair{"tcp", trueNode()})
	}
	return mapNode(pairs...)
}
