// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// kindWords are the kinds of checks, as the file names them.
func kindWords() []string {
	return []string{"tcp", "http", "https", "tls", "expect", "smtp", "imap", "pop3", "ftp", "ssh", "redis", "dns", "udp",
		"ping", "grpc", "mysql", "postgresql", "ldap", "radius", "sip",
		"exec", "file", "agent"}
}

// ask reads what stands behind a kind; nil after a complaint without which there is no telling what is asked.
func (s scope) ask(kind string, n *yaml.Node) model.Ask {
	s = s.in(kind)
	switch kind {
	case "tcp":
		return s.keyless(n, model.AskTCP{})
	case "http", "https":
		return s.askHTTP(n, kind == "https")
	case "tls":
		return s.askTLS(n)
	case "expect":
		return s.askExpect(n)
	case "smtp":
		return s.askSMTP(n)
	case "imap":
		return s.keyless(n, model.AskIMAP{})
	case "pop3":
		return s.keyless(n, model.AskPOP3{})
	case "ftp":
		return s.keyless(n, model.AskFTP{})
	case "ssh":
		return s.keyless(n, model.AskSSH{})
	case "redis":
		return s.askRedis(n)
	case "dns":
		return s.askDNS(n)
	case "udp":
		return s.askUDP(n)
	case "ping":
		return s.keyless(n, model.AskPing{})
	case "grpc":
		return s.askGRPC(n)
	case "mysql":
		return s.askMySQL(n)
	case "postgresql":
		return s.askPostgreSQL(n)
	case "ldap":
		return s.askLDAP(n)
	case "radius":
		return s.askRADIUS(n)
	case "sip":
		return s.askSIP(n)
	case "exec":
		return s.askExec(n)
	case "file":
		return s.askFile(n)
	case "agent":
		return s.askAgent(n)
	}
	panic(fmt.Sprintf("kind %q has no reader", kind)) // kindWords and this function are one list
}

// askNode is what stands behind a kind.
func askNode(a model.Ask) *yaml.Node {
	switch a := a.(type) {
	case model.AskTCP:
		return mapNode()
	case model.AskHTTP:
		return httpNode(a)
	case model.AskTLS:
		return tlsNode(a)
	case model.AskExpect:
		return expectNode(a)
	case model.AskSMTP:
		return smtpNode(a)
	case model.AskIMAP, model.AskPOP3, model.AskFTP, model.AskSSH:
		return mapNode()
	case model.AskRedis:
		return redisNode(a)
	case model.AskDNS:
		return dnsNode(a)
	case model.AskUDP:
		return udpNode(a)
	case model.AskPing:
		return mapNode()
	case model.AskGRPC:
		return grpcNode(a)
	case model.AskMySQL:
		return mapNode(slices.Concat(sqlPairs(a.SQL), securePair(a.Secure, a.TLS))...)
	case model.AskPostgreSQL:
		return mapNode(slices.Concat(sqlPairs(a.SQL), securePair(a.Secure, a.TLS))...)
	case model.AskLDAP:
		return ldapNode(a)
	case model.AskRADIUS:
		return radiusNode(a)
	case model.AskSIP:
		return sipNode(a)
	case model.AskExec:
		return askExecNode(a)
	case model.AskFile:
		return lineNode(a.Path)
	case model.AskAgent:
		return agentNode(a)
	}
	panic(fmt.Sprintf("kind %q has no printer", a.Kind()))
}

// overUDP tells over which protocol a question goes; the others need TCP.
func overUDP(a model.Ask) bool {
	switch a.(type) {
	case model.AskUDP, model.AskRADIUS:
		return true
	}
	return mayUseTCP(a)
}

// mayUseTCP tells whether a question that goes over UDP could go over TCP, too.
func mayUseTCP(a model.Ask) bool {
	switch a := a.(type) {
	case model.AskDNS:
		return !a.TCP
	case model.AskSIP:
		return !a.TCP
	}
	return false
}
