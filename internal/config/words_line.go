// SPDX-License-Identifier: Apache-2.0

package config

import (
	"maps"

	"github.com/weir-lb/weir/internal/model"
)

// The words behind kinds of checks. keepalived's are those of SMTP_CHECK, DNS_CHECK and UDP_CHECK, ldirectord's
// those of a virtual service, Piranha's those of lvs.cf; HAProxy's belong to tcp-check and to servers.

const (
	besideKind = "write it beside the kind, not behind it"
	onlyExec   = `leave it out: only the kind "exec" has it`
	noLogin    = "leave it out: servers are not logged in to"
	noEndpoint = `leave it out: the server's own address is asked; "port:" beside the kind names another port`
)

// besideForeign are words that belong to every kind, and so behind none.
func besideForeign() map[string]string {
	return map[string]string{
		"<<": "merge keys are not supported: write the keys out",

		"port": besideKind, "interval": besideKind, "fast": besideKind, "timeout": besideKind, "rise": besideKind,
		"fall": besideKind, "start": besideKind, "all": besideKind, "any": besideKind,

		"connect_port":       `write "port:" beside the kind`,
		"checkport":          `write "port:" beside the kind`,
		"connect_timeout":    `write "timeout:" beside the kind`,
		"connecttimeout":     `write "timeout:" beside the kind`,
		"checktimeout":       `write "timeout:" beside the kind`,
		"negotiatetimeout":   `write "timeout:" beside the kind`,
		"delay_loop":         `write "interval:" beside the kind`,
		"checkinterval":      `write "interval:" beside the kind`,
		"inter":              `write "interval:" beside the kind`,
		"delay_before_retry": `write "fast:" beside the kind`,
		"fastinter":          `write "fast:" beside the kind`,
		"retry":              `write "fall:" beside the kind: so many bad answers in a row`,
		"checkcount":         `write "fall:" beside the kind: so many bad answers in a row`,
		"failurecount":       `write "fall:" beside the kind: so many bad answers in a row`,
		"reentry":            `write "rise:" beside the kind: so many good answers in a row`,
		"warmup":             "leave it out: checks begin a little apart by themselves",
		"host":               noEndpoint, "connect_ip": noEndpoint, "bindto": noEndpoint, "bind_port": noEndpoint,
		"bind_if": noEndpoint, "addr": noEndpoint,
		"login": noLogin, "user": noLogin, "username": noLogin, "passwd": noLogin, "password": noLogin,
		"secret": noLogin,

		"dynamic": onlyExec, "misc_dynamic": onlyExec,
	}
}

// behindKind adds the words of one kind.
func behindKind(own map[string]string) map[string]string {
	out := besideForeign()
	maps.Copy(out, own)
	return out
}

// keylessForeign are the words of IMAP, POP3, FTP and SSH, which are only greeted.
var keylessForeign = behindKind(map[string]string{
	"request": "leave it out: the greeting is all that is asked for",
	"receive": "leave it out: the greeting is judged by its protocol",
	"send":    `leave it out, or use the kind "expect"`,
	"expect":  `leave it out, or use the kind "expect"`,
})

var expectKeys = vocabulary{
	known: []string{"send", "expect"},
	foreign: behindKind(map[string]string{
		"request":      `write "send:"`,
		"payload":      `write "send:"`,
		"send-binary":  `write "send: \x00\x01": bytes by two hexadecimal digits`,
		"receive":      `write "expect:"`,
		"reply":        `write "expect:", a regular expression`,
		"regex":        `write "expect:"`,
		"rstring":      `write "expect:"`,
		"string":       `write "expect:", a regular expression`,
		"binary":       `write "expect: \x00\x01", a regular expression`,
		"use_regex":    "leave it out: what is expected is a regular expression",
		"send_program": `write the kind "exec" instead`,
	}),
}

var smtpKeys = vocabulary{
	known: []string{"hello"},
	foreign: behindKind(map[string]string{
		"helo_name":      `write "hello:"`,
		"helo":           `write "hello:"`,
		"ehlo":           `write "hello:"`,
		"smtp_helo_name": `write "hello:"`,
		"domain":         `write "hello:"`,
		"name":           `write "hello:"`,
	}),
}

var redisKeys = vocabulary{
	known: []string{"password"},
	foreign: behindKind(map[string]string{
		"auth":        `write "password:"`,
		"requirepass": `write "password:"`,
		"passwd":      `write "password:"`,
		"secret":      `write "password:"`,
	}),
}

var udpKeys = vocabulary{
	known: []string{"payload", "reply"},
	foreign: behindKind(map[string]string{
		"send":             `write "payload:"`,
		"request":          `write "payload:"`,
		"expect":           `write "reply:": what the answer begins with`,
		"receive":          `write "reply:": what the answer begins with`,
		"require_reply":    `write "reply:": what the answer begins with, bytes as \x00; without it any answer is good`,
		"min_reply_length": `leave it out, or write "reply:": what the answer begins with`,
		"max_reply_length": `leave it out, or write "reply:": what the answer begins with`,
	}),
}

var dnsKeys = vocabulary{
	known: []string{"name", "type", "rcode", "answer", "tcp"},
	foreign: behindKind(map[string]string{
		"request":  `write "name:"`,
		"query":    `write "name:"`,
		"domain":   `write "name:"`,
		"receive":  `write "answer:"`,
		"expect":   `write "answer:", or "rcode:"`,
		"reply":    `write "answer:", or "rcode:"`,
		"status":   `write "rcode:"`,
		"record":   `write "type:"`,
		"protocol": `write "tcp: true", or leave it out for UDP`,
		"udp":      "leave it out: it is the default",
	}),
}

var dnsTypes = vocabulary{
	known: model.DNSTypes(),
	foreign: map[string]string{
		"any":  "many servers refuse it (RFC 8482): write one type",
		"axfr": "a whole zone is no check: write one type, such as SOA",
		"spf":  `write "TXT"`,
	},
}

var dnsRcodes = vocabulary{
	known: model.DNSRcodes(),
	foreign: map[string]string{
		"0": `write "NOERROR"`, "1": `write "FORMERR"`, "2": `write "SERVFAIL"`, "3": `write "NXDOMAIN"`,
		"4": `write "NOTIMP"`, "5": `write "REFUSED"`, "ok": `write "NOERROR"`, "success": `write "NOERROR"`,
		"nameerror": `write "NXDOMAIN"`, "notfound": `write "NXDOMAIN"`,
	},
}
