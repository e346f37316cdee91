// SPDX-License-Identifier: Apache-2.0

package config

import "github.com/weir-lb/weir/internal/model"

// The words behind notify. keepalived's are those of its global_defs, real servers and quorums, ldirectord's its
// emailalert and its likes.

// channelWords are the ways to tell people, as the file names them.
func channelWords() []string { return []string{"exec", "mail", "webhook", "fifo", "syslog"} }

var noticeKeys = vocabulary{
	known: append(channelWords(), "services", "events", "severity", "digest", "repeat"),
	foreign: map[string]string{
		"<<":                 "merge keys are not supported: write the keys out",
		"email":              `write "mail:"`,
		"smtp":               `write "mail:"`,
		"emailalert":         `write "mail: ops@example.org"`,
		"notification_email": `write "mail: ops@example.org"`,
		"smtp_server":        `write "mail: {to: ops@example.org, server: localhost:25}"`,
		"to":                 `write "mail: {to: ops@example.org}"`,
		"notify":             `write "exec: /etc/weir/on-change"`,
		"script":             `write "exec: /etc/weir/on-change"`,
		"command":            `write "exec: /etc/weir/on-change"`,
		"path":               `write "exec: /etc/weir/on-change"`,
		"notify_up":          `write "exec:" and "events: [server_up]"`,
		"notify_down":        `write "exec:" and "events: [server_down]"`,
		"quorum_up":          `write "exec:" and "events: [service_up]"`,
		"quorum_down":        `write "exec:" and "events: [service_down]"`,
		"fallbackcommand":    `write "exec:" and "events: [service_down, service_up]"`,
		"url":                `write "webhook: https://..."`,
		"http":               `write "webhook: https://..."`,
		"https":              `write "webhook: https://..."`,
		"slack":              `write "webhook: {url: https://..., template: slack}"`,
		"alertmanager":       `write "webhook: {url: https://..., template: alertmanager}"`,
		"pipe":               `write "fifo:"`,
		"notify_fifo":        `write "fifo:"`,
		"lvs_notify_fifo":    `write "fifo:"`,
		"log":                `write "syslog: {}"`,
		"journal":            `write "syslog: {}"`,
		"service":            `write "services: [web]"`,
		"event":              `write "events: [server_down]"`,
		"kind":               `write "events: [server_down]"`,
		"kinds":              `write "events:"`,
		"emailalertstatus":   `write "events:"`,
		"level":              `write "severity:"`,
		"emailalertfreq":     `write "repeat: 1h"`,
		"interval":           `write "repeat: 1h"`,
		"batch":              `write "digest: 10s"`,
		"delay":              `write "digest: 10s"`,
	},
}

// loneChannels may stand there alone, since nothing more need be said.
var loneChannels = vocabulary{
	known: []string{"syslog"},
	foreign: map[string]string{
		"exec":    `write "exec: /etc/weir/on-change"`,
		"mail":    `write "mail: ops@example.org"`,
		"email":   `write "mail: ops@example.org"`,
		"webhook": `write "webhook: https://..."`,
		"fifo":    `write "fifo: /run/weir/events"`,
		"log":     `write "syslog"`,
		"journal": `write "syslog"`,
	},
}

var execKeys = vocabulary{
	known: []string{"path", "args", "user", "timeout"},
	foreign: map[string]string{
		"<<":          "merge keys are not supported: write the keys out",
		"script":      `write "path:"`,
		"command":     `write "path:" for the program and "args:" for the rest`,
		"arguments":   `write "args:"`,
		"script_user": `write "user:"`,
	},
}

var mailKeys = vocabulary{
	known: []string{"to", "from", "server", "tls", "user", "password_file"},
	foreign: map[string]string{
		"<<":                      "merge keys are not supported: write the keys out",
		"email":                   `write "to:"`,
		"recipient":               `write "to:"`,
		"recipients":              `write "to:"`,
		"emailalert":              `write "to:"`,
		"notification_email":      `write "to:"`,
		"sender":                  `write "from:"`,
		"emailalertfrom":          `write "from:"`,
		"notification_email_from": `write "from:"`,
		"smtp":                    `write "server:"`,
		"host":                    `write "server:"`,
		"smtp_server":             `write "server:"`,
		"port":                    `write the port behind the server: "server: mail.example.org:587"`,
		"starttls":                `write "tls: starttls"`,
		"ssl":                     `write "tls: tls"`,
		"login":                   `write "user:"`,
		"username":                `write "user:"`,
		"password":                `write it into a file of its own, and "password_file:" with its path`,
		"passwd":                  `write it into a file of its own, and "password_file:" with its path`,
		"subject":                 "leave it out: it says what happened",
		"smtp_connect_timeout":    "leave it out: a server that hangs keeps nobody waiting",
		"smtp_helo_name":          "leave it out: it is the host's name",
	},
}

var webhookKeys = vocabulary{
	known: []string{"url", "template", "secret_file"},
	foreign: map[string]string{
		"<<":      "merge keys are not supported: write the keys out",
		"uri":     `write "url:"`,
		"format":  `write "template:"`,
		"type":    `write "template:"`,
		"secret":  `write it into a file of its own, and "secret_file:" with its path`,
		"hmac":    `write "secret_file:"`,
		"token":   `write it into the "url:"; what is in "secret_file:" signs the body`,
		"method":  "leave it out: it is POST",
		"headers": "leave it out: not in this version yet",
		"timeout": "leave it out: it is 10s",
	},
}

var fifoKeys = vocabulary{known: []string{"path"}, foreign: map[string]string{"<<": "merge keys are not supported: write the keys out"}}

var eventKinds = vocabulary{
	known: kindsOf(model.EventKinds()),
	foreign: map[string]string{
		"all":         "leave the key out",
		"down":        `write "server_down", "service_down" or both`,
		"up":          `write "server_up", "service_up" or both`,
		"notify_down": `write "server_down"`,
		"notify_up":   `write "server_up"`,
		"quorum_down": `write "service_down"`,
		"quorum_up":   `write "service_up"`,

		"master":        `write "vrrp_master"`,
		"backup":        `write "vrrp_backup"`,
		"fault":         `write "vrrp_fault"`,
		"notify_master": `write "vrrp_master"`,
		"notify_backup": `write "vrrp_backup"`,
		"notify_fault":  `write "vrrp_fault"`,
		"stop":          `write "vrrp_stop"`,
		"notify_stop":   `write "vrrp_stop"`,
		"running":       `write "server_up"`,
		"sync_begin":    `write "sync_ready"`,
		"sync_end":      `write "sync_lost"`,
	},
}

func kindsOf(kinds []model.EventKind) []string {
	out := make([]string, 0, len(kinds))
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return out
}

var severities = vocabulary{
	known: names(model.Info, model.Warning, model.Critical),
	foreign: map[string]string{
		"all": `write "info", or leave it out: it is the default`, "notice": `write "info"`, "warn": `write "warning"`,
		"error": `write "critical"`, "err": `write "critical"`, "crit": `write "critical"`, "alert": `write "critical"`,
	},
}

var mailTLSModes = vocabulary{
	known: names(model.MailTLSModes()...),
	foreign: map[string]string{
		"true": `write "starttls", or "tls" for port 465`, "yes": `write "starttls", or "tls" for port 465`,
		"on": `write "starttls", or "tls" for port 465`, "mandatory": `write "starttls"`, "required": `write "starttls"`,
		"ssl": `write "tls"`, "smtps": `write "tls"`, "implicit": `write "tls"`,
		"false": `write "none"`, "no": `write "none"`, "off": `write "none"`,
	},
}

var webhookTemplates = vocabulary{
	known: names(model.WebhookTemplates()...),
	foreign: map[string]string{
		"weir": `write "json", or leave it out: it is the default`, "mattermost": `write "slack"`, "rocketchat": `write "slack"`,
		"prometheus": `write "alertmanager"`,
	},
}
