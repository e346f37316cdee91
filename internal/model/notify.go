// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Notice says who is told of which events, and how.
type Notice struct {
	How      Channel
	Services []string      // their names; empty: all
	Kinds    []EventKind   // empty: all
	Least    Severity      // 0: Info, and so all
	Digest   time.Duration // events that come within this time of the first are one message; 0: each is one
	Repeat   time.Duration // so often it is said again what is still down; 0: never
}

// Equal tells whether both tell the same to the same.
func (n Notice) Equal(other Notice) bool {
	return n.How == other.How && slices.Equal(n.Services, other.Services) && slices.Equal(n.Kinds, other.Kinds) &&
		n.Least == other.Least && n.Digest == other.Digest && n.Repeat == other.Repeat
}

// DefaultDigest is that of channels that gather events.
const DefaultDigest = 10 * time.Second

// Channel is a way to tell people. All its types are comparable structs of this package.
type Channel interface {
	Kind() string   // as the config names it
	String() string // as people know it, without secrets
	Gathers() bool  // a message can tell of several events
}

// DefaultExecTimeout is how long a program may take.
const DefaultExecTimeout = 10 * time.Second

// ByExec runs a program for each event.
type ByExec struct {
	Path    string
	Args    string // before those that name the event: see JoinArguments
	User    string // who it runs as; "": as weir does
	Timeout time.Duration
}

func (ByExec) Kind() string     { return "exec" }
func (ByExec) Gathers() bool    { return false }
func (b ByExec) String() string { return "exec " + b.Path }

// Arguments are those that the config names.
func (b ByExec) Arguments() []string { return SplitArguments(b.Args) }

// SplitArguments is the inverse of JoinArguments.
func SplitArguments(args string) []string {
	if args == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(args, "\x00"), "\x00")
}

// JoinArguments ends each with a NUL, as /proc/PID/cmdline does: it is the one byte that no argument can have, and
// text can be compared.
func JoinArguments(args []string) string {
	var b strings.Builder
	for _, arg := range args {
		b.WriteString(arg + "\x00")
	}
	return b.String()
}

// ByMail sends a mail.
type ByMail struct {
	To           string // a list of addresses, as RFC 5322 section 3.4 has it
	From         string // one of them; "": weir at the name of the host
	Server       string // host and port
	TLS          MailTLS
	User         string // "": without a login
	PasswordFile string
}

func (ByMail) Kind() string     { return "mail" }
func (ByMail) Gathers() bool    { return true }
func (b ByMail) String() string { return "mail to " + b.To }

// MailTLS says how a connection to a mail server is encrypted.
type MailTLS uint8

const (
	MailTLSIfOffered MailTLS = iota // by STARTTLS where the server has it, whatever its certificate
	MailSTARTTLS                    // by STARTTLS, or not at all
	MailTLSAtOnce                   // from the first byte
	MailTLSNone
)

var mailTLS = map[MailTLS]string{MailTLSIfOffered: "opportunistic", MailSTARTTLS: "starttls", MailTLSAtOnce: "tls", MailTLSNone: "none"}

func (m MailTLS) String() string { return mailTLS[m] }

// MailTLSModes are all of them.
func MailTLSModes() []MailTLS {
	return []MailTLS{MailTLSIfOffered, MailSTARTTLS, MailTLSAtOnce, MailTLSNone}
}

// ParseMailTLS is the inverse of MailTLS.String.
func ParseMailTLS(text string) (MailTLS, bool) {
	for m, name := range mailTLS {
		if name == text {
			return m, true
		}
	}
	return 0, false
}

// ByWebhook posts JSON.
type ByWebhook struct {
	URL        string // its path may be a secret
	Template   WebhookTemplate
	SecretFile string // "": nothing is signed
}

func (ByWebhook) Kind() string  { return "webhook" }
func (ByWebhook) Gathers() bool { return true }

func (b ByWebhook) String() string {
	to, err := url.Parse(b.URL)
	if err != nil {
		return "webhook"
	}
	return "webhook to " + to.Host
}

// WebhookTemplate says what the JSON of a webhook looks like.
type WebhookTemplate uint8

const (
	TemplateJSON         WebhookTemplate = iota // weir's own
	TemplateSlack                               // a text, as Slack and its likes take it
	TemplateAlertmanager                        // alerts, as Alertmanager's API takes them
)

var webhookTemplates = map[WebhookTemplate]string{TemplateJSON: "json", TemplateSlack: "slack", TemplateAlertmanager: "alertmanager"}

func (t WebhookTemplate) String() string { return webhookTemplates[t] }

// WebhookTemplates are all of them.
func WebhookTemplates() []WebhookTemplate {
	return []WebhookTemplate{TemplateJSON, TemplateSlack, TemplateAlertmanager}
}

// ParseWebhookTemplate is the inverse of WebhookTemplate.String.
func ParseWebhookTemplate(text string) (WebhookTemplate, bool) {
	for t, name := range webhookTemplates {
		if name == text {
			return t, true
		}
	}
	return 0, false
}

// ByFIFO writes lines into a named pipe.
type ByFIFO struct{ Path string }

func (ByFIFO) Kind() string     { return "fifo" }
func (ByFIFO) Gathers() bool    { return false }
func (b ByFIFO) String() string { return "fifo " + b.Path }

// BySyslog writes lines into the host's log.
type BySyslog struct{}

func (BySyslog) Kind() string   { return "syslog" }
func (BySyslog) Gathers() bool  { return false }
func (BySyslog) String() string { return "syslog" }
