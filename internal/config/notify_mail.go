// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// The ports of mail servers that are not written.
const (
	smtpPort  = 25
	smtpsPort = 465 // RFC 8314 section 3.3
)

// byMail is an address, or a map.
func (s scope) byMail(n *yaml.Node) model.Channel {
	values := s.shortOrMap(n, "to", `write "to: ops@example.org"`, mailKeys)
	if values == nil {
		return nil
	}
	out := model.ByMail{From: s.mailFrom(values["from"]), PasswordFile: s.secretFile(values["password_file"], "password_file")}
	if n := values["user"]; n != nil {
		out.User, _ = s.text(n, "user")
	}
	s.checkPair(values, "user", "password_file", "who logs in has a name, and a password in a file of its own")
	out.TLS = s.mailTLS(values["tls"], values["user"] != nil)
	out.Server = s.mailServer(values["server"], out.TLS)
	if out.To = s.mailTo(values["to"]); out.To == "" {
		return nil
	}
	return out
}

// mailTo is one address or several, as RFC 5322 joins them; "" after a complaint.
func (s scope) mailTo(n *yaml.Node) string {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if len(items) == 0 {
		s.complain(n, mistake{"to nobody", `write "to: ops@example.org"`})
	}
	var out []string
	for _, item := range items {
		address := s.mailAddress(item, "to")
		switch {
		case address == "":
		case slices.Contains(out, address):
			s.complain(item, mistake{fmt.Sprintf("to %s stands twice", label(address)), "keep one"})
		default:
			out = append(out, address)
		}
	}
	return strings.Join(out, ", ")
}

func (s scope) mailFrom(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return s.mailAddress(n, "from")
}

// mailAddress returns an address as it is printed; "" after a complaint.
func (s scope) mailAddress(n *yaml.Node, what string) string {
	text, ok := s.text(n, what)
	if !ok {
		return ""
	}
	address, err := mail.ParseAddress(text)
	if err != nil {
		hint := `such as "ops@example.org"`
		if several, err := mail.ParseAddressList(text); err == nil && len(several) > 1 {
			hint = "write several as a list: [ops@example.org, boss@example.org]"
		} else if !strings.Contains(text, "@") {
			hint = fmt.Sprintf("write the domain, too, such as %q", abbreviate(text)+"@localhost")
		}
		s.complain(n, mistake{fmt.Sprintf("%s %s is no mail address", what, quote(text)), hint})
		return ""
	}
	return addressText(address)
}

// addressText leaves the brackets away where there is no name before them.
func addressText(a *mail.Address) string {
	text := a.String()
	if a.Name == "" {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	}
	return text
}

// mailTLS returns what is written, or else what suits. A password does not go out without TLS.
func (s scope) mailTLS(n *yaml.Node, login bool) model.MailTLS {
	if n == nil {
		return defaultMailTLS(login)
	}
	word, ok := s.word(n, "tls", mailTLSModes)
	mode, _ := model.ParseMailTLS(word)
	if ok && login && (mode == model.MailTLSIfOffered || mode == model.MailTLSNone) {
		s.complain(n, mistake{fmt.Sprintf("tls: %s, but there is a password, which others could read then", word), `write "tls: starttls" or "tls: tls"`})
	}
	return mode
}

func defaultMailTLS(login bool) model.MailTLS {
	if login {
		return model.MailSTARTTLS
	}
	return model.MailTLSIfOffered
}

// mailServer is a host, with a port or without.
func (s scope) mailServer(n *yaml.Node, mode model.MailTLS) string {
	if n == nil {
		return serverOf("localhost", mode)
	}
	text, ok := s.text(n, "server")
	if !ok {
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil { // no port, or an IPv6 address without brackets
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), strconv.Itoa(standardPort(mode))
	}
	if !isHost(host) || strings.Contains(text, "/") {
		s.complain(n, mistake{fmt.Sprintf("server %s is not a host", quote(text)), `such as "mail.example.org:587"`})
		return ""
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 || !isDecimal(port) {
		s.complain(n, mistake{fmt.Sprintf("server %s has no port from 1 to 65535", quote(text)), `such as "mail.example.org:587"`})
		return ""
	}
	return net.JoinHostPort(host, port)
}

// isHost is true for a name and for an address.
func isHost(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil || text != "" && strings.Trim(text, hostLetters) == ""
}

func standardPort(mode model.MailTLS) int {
	if mode == model.MailTLSAtOnce {
		return smtpsPort
	}
	return smtpPort
}

func serverOf(host string, mode model.MailTLS) string {
	return net.JoinHostPort(host, strconv.Itoa(standardPort(mode)))
}

func mailNode(b model.ByMail) *yaml.Node {
	pairs := append([]pair{{"to", toNode(b.To)}}, linePair("from", b.From)...)
	if b.Server != serverOf("localhost", b.TLS) {
		pairs = append(pairs, pair{"server", textNode(b.Server)})
	}
	if b.TLS != defaultMailTLS(b.User != "") {
		pairs = append(pairs, pair{"tls", textNode(b.TLS.String())})
	}
	pairs = slices.Concat(pairs, linePair("user", b.User), linePair("password_file", b.PasswordFile))
	if pairs[0].value.Kind == yaml.SequenceNode {
		return mapNode(pairs...)
	}
	return shortNode(pairs)
}

// toNode is a list where there are several.
func toNode(to string) *yaml.Node {
	addresses, err := mail.ParseAddressList(to)
	if err != nil || len(addresses) == 1 {
		return lineNode(to)
	}
	return listNode(addresses, func(a *mail.Address) *yaml.Node { return lineNode(addressText(a)) })
}
