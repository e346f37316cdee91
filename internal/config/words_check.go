// SPDX-License-Identifier: Apache-2.0

package config

import "github.com/weir-lb/weir/internal/model"

// checkKeys are the kinds of questions, and how often they are asked.
var checkKeys = vocabulary{
	known: append(kindWords(), "all", "any", "start", "port", "via", "interval", "fast", "timeout", "rise", "fall"),
	foreign: map[string]string{
		"<<":                 "merge keys are not supported: write the keys out",
		"type":               `write the kind as a key: "check: {http: /health}"`,
		"kind":               `write the kind as a key: "check: {http: /health}"`,
		"path":               `write "http: {path: /health}"`,
		"url":                `write "http: {path: /health}"`,
		"status":             `write "http: {status: 200-299}"`,
		"http_get":           `write "http: {path: /}"`,
		"ssl_get":            `write "https: {path: /}"`,
		"tcp_check":          `write "tcp: {}"`,
		"smtp_check":         `write "smtp: {}"`,
		"dns_check":          `write "dns: {name: example.org}"`,
		"udp_check":          `write "udp: {payload: ..., reply: ...}"`,
		"misc_check":         `write "exec: /etc/weir/check-app"`,
		"misc_dynamic":       `write "exec: {path: ..., dynamic: true}"`,
		"dynamic":            `write it behind exec: "exec: {path: ..., dynamic: true}"`,
		"external":           `write "exec: /etc/weir/check-app"`,
		"external-check":     `write "exec: /etc/weir/check-app"`,
		"checkcommand":       `write "exec: /etc/weir/check-app"`,
		"file_check":         `write "file: /run/weir/weights/"`,
		"track_file":         `write "file: /run/weir/weights/"`,
		"agent-check":        `write "agent: {}", and "port:" beside it`,
		"agent-port":         `write "agent: {}", and "port:" beside it`,
		"ping_check":         `write "ping: {}"`,
		"pgsql":              `write "postgresql: {user: weir, password_file: ...}"`,
		"mysql-check":        `write "mysql: {user: weir, password_file: ...}"`,
		"pgsql-check":        `write "postgresql: {user: weir, password_file: ...}"`,
		"ldap-check":         `write "ldap: {}"`,
		"ldaps":              `write "ldap: {tls: {}}"`,
		"connect_port":       `write "port:"`,
		"checkport":          `write "port:"`,
		"connect_timeout":    `write "timeout:"`,
		"checktimeout":       `write "timeout:"`,
		"negotiatetimeout":   `write "timeout:"`,
		"delay_loop":         `write "interval:"`,
		"checkinterval":      `write "interval:"`,
		"inter":              `write "interval:"`,
		"fastinter":          `write "fast:"`,
		"delay_before_retry": `write "fast:"`,
		"retry":              `write "fall: 3": so many bad answers in a row`,
		"nb_get_retry":       `write "fall: 3": so many bad answers in a row`,
		"checkcount":         `write "fall: 3": so many bad answers in a row`,
		"failurecount":       `write "fall: 3": so many bad answers in a row`,
		"warmup":             `leave it out: checks begin a little apart by themselves`,
		"alpha":              `leave it out: a new server waits for its first good answer; "start: up" if it shall not`,
	},
}

// checkWords are what may stand there alone.
var checkWords = vocabulary{
	known: append([]string{"off"}, kindWords()...),
	foreign: map[string]string{
		"none":      `write "off"`,
		"no":        `write "off"`,
		"false":     `write "off"`,
		"on":        `write "tcp"`,
		"yes":       `write "tcp"`,
		"true":      `write "tcp"`,
		"connect":   `write "tcp"`,
		"negotiate": `write the kind: "http", "smtp", "dns" ...`,
		"external":  `write "exec: /etc/weir/check-app"`,
	},
}

var vias = vocabulary{
	known: names(model.ViaVIP, model.ViaServer),
	foreign: map[string]string{
		"virtual": `write "vip"`,
		"service": `write "vip"`,
		"real":    `write "server"`,
		"direct":  `write "server"`,
	},
}

var starts = vocabulary{
	known:   []string{"up", "down"},
	foreign: map[string]string{"in": `write "up"`, "out": `write "down", or leave it out: it is the default`},
}
