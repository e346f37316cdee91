// SPDX-License-Identifier: Apache-2.0

package model

// AskExpect sends text and looks into what comes, as Piranha's nanny does.
type AskExpect struct {
	Send   string // "": the server speaks first
	Expect string // a regular expression of Go (RE2), which a good answer matches somewhere
}

func (AskExpect) Kind() string { return "expect" }

// AskSMTP wants a greeting, and an answer to EHLO.
type AskSMTP struct {
	Hello string // the name behind EHLO; "": DefaultHello
}

// DefaultHello is no full domain name. Servers that insist on one (RFC 5321 section 4.1.1.1) say so.
const DefaultHello = "weir"

func (AskSMTP) Kind() string { return "smtp" }

// AskIMAP wants a greeting.
type AskIMAP struct{}

func (AskIMAP) Kind() string { return "imap" }

// AskPOP3 wants a greeting.
type AskPOP3 struct{}

func (AskPOP3) Kind() string { return "pop3" }

// AskFTP wants a greeting.
type AskFTP struct{}

func (AskFTP) Kind() string { return "ftp" }

// AskSSH wants to hear which version of the protocol is spoken.
type AskSSH struct{}

func (AskSSH) Kind() string { return "ssh" }

// AskRedis wants PONG.
type AskRedis struct {
	Password string // "": none is sent
}

func (AskRedis) Kind() string { return "redis" }

// AskUDP sends a datagram and wants another one back.
type AskUDP struct {
	Payload string
	Reply   string // what the answer begins with; "": with anything
}

func (AskUDP) Kind() string { return "udp" }

// AskSIP sends OPTIONS.
type AskSIP struct {
	User   string   // whom it is about; "": the server itself
	Domain string   // of the server; "": its address
	Status Statuses // the answer has one of them
	TCP    bool
}

func (AskSIP) Kind() string { return "sip" }
