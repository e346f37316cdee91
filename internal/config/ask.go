// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// kindWords are the kinds of checks, as the file names them.
func kindWords() []string {
	return []string{"tcp", "http", "https", "tls", "expect", "smtp", "imap", "pop3", "ftp", "ssh", "redis", "dns", "udp", "exec", "file", "agent"}
}

// ask reads what stands behind a kind; nil after a complaint without which there is no telling what is asked.
func (s scope) ask(kind string, n *yaml.Node) model.Ask {
	s = s.in(kind)
	switch kind {
	case "tcp":
		return s.askTCP(n)
	case "http", "https":
		return s.askHTTP(n, kind == "https")
	case "tls":
		return s.askTLS(n)
	case "expect":
		return s.askExpect(n)
	case "smtp":
		return s.askSMTP(n)
	case "imap":
		return s.askIMAP(n)
	case "pop3":
		return s.askPOP3(n)
	case "ftp":
		return s.askFTP(n)
	case "ssh":
		return s.askSSH(n)
	case "redis":
		return s.askRedis(n)
	case "dns":
		return s.askDNS(n)
	case "udp":
		return s.askUDP(n)
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
	if dns, ok := a.(model.AskDNS); ok {
		return !dns.TCP
	}
	_, udp := a.(model.AskUDP)
	return udp
}

// askTCP wants a connection, so there is nothing to say.
func (s scope) askTCP(n *yaml.Node) model.Ask {
	s.keyless(n)
	return model.AskTCP{}
}
