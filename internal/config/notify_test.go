// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// nameable makes a directory of files that a notice may name, or may not: on-change is a program, secret a secret.
func nameable(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, mode := range map[string]os.FileMode{"on-change": 0o755, "text": 0o644, "writable": 0o757, "secret": 0o600, "told": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// notified is a file with these notices, each indented by two.
func notified(list, dir string) string {
	const services = "services: [{name: web, address: 192.0.2.10:80}, {name: dns, address: 192.0.2.10:53, protocol: udp}]\n"
	return services + "notify:\n  " + strings.ReplaceAll(strings.ReplaceAll(list, "\n", "\n  "), "$DIR", dir) + "\n"
}

// TestNoticesMeanWhatTheySay, and are printed as they would be written.
func TestNoticesMeanWhatTheySay(t *testing.T) {
	own, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	mail := func(change func(*model.ByMail)) model.Notice {
		how := model.ByMail{To: "ops@example.org", Server: "localhost:25"}
		change(&how)
		return model.Notice{How: how, Digest: model.DefaultDigest}
	}
	hook := func(how model.ByWebhook) model.Notice { return model.Notice{How: how, Digest: model.DefaultDigest} }
	const standard = model.DefaultExecTimeout
	dir := nameable(t)
	for _, tt := range []struct {
		written, printed string // "": as written
		want             model.Notice
	}{
		{"exec: $DIR/on-change", "", model.Notice{How: model.ByExec{Path: "$DIR/on-change", Timeout: standard}}},
		{"exec: {path: $DIR/on-change, timeout: 10s}", "exec: $DIR/on-change", model.Notice{How: model.ByExec{Path: "$DIR/on-change", Timeout: standard}}},
		{"exec: {path: $DIR/on-change, args: [a b, --all], user: " + own.Username + ", timeout: 1m}", "",
			model.Notice{How: model.ByExec{Path: "$DIR/on-change", Args: "a b\x00--all\x00", User: own.Username, Timeout: time.Minute}}},
		{"mail: ops@example.org", "", mail(func(*model.ByMail) {})},
		{"mail: {to: [ops@example.org], server: localhost, tls: opportunistic}", "mail: ops@example.org", mail(func(*model.ByMail) {})},
		{`mail: {to: [ops@example.org, "\"The Boss\" <boss@example.org>"], from: weir@example.org}`, "",
			mail(func(m *model.ByMail) {
				m.To, m.From = `ops@example.org, "The Boss" <boss@example.org>`, "weir@example.org"
			})},
		{"mail: {to: ops@example.org, server: mail.example.org}", "mail: {to: ops@example.org, server: \"mail.example.org:25\"}",
			mail(func(m *model.ByMail) { m.Server = "mail.example.org:25" })},
		{`mail: {to: ops@example.org, server: "2001:db8::25"}`, `mail: {to: ops@example.org, server: "[2001:db8::25]:25"}`,
			mail(func(m *model.ByMail) { m.Server = "[2001:db8::25]:25" })},
		{"mail: {to: ops@example.org, tls: none}", "", mail(func(m *model.ByMail) { m.TLS = model.MailTLSNone })},
		{"mail: {to: ops@example.org, tls: tls}", "", mail(func(m *model.ByMail) { m.TLS, m.Server = model.MailTLSAtOnce, "localhost:465" })},
		{"mail: {to: ops@example.org, user: weir, password_file: $DIR/secret}", "",
			mail(func(m *model.ByMail) { m.User, m.PasswordFile, m.TLS = "weir", "$DIR/secret", model.MailSTARTTLS })},
		{"mail: {to: ops@example.org, server: mail.example.org:465, tls: tls, user: weir, password_file: $DIR/secret}",
			"mail: {to: ops@example.org, server: \"mail.example.org:465\", tls: tls, user: weir, password_file: $DIR/secret}",
			mail(func(m *model.ByMail) {
				m.Server, m.User, m.PasswordFile, m.TLS = "mail.example.org:465", "weir", "$DIR/secret", model.MailTLSAtOnce
			})},
		{"webhook: https://hooks.example.org/weir", "", hook(model.ByWebhook{URL: "https://hooks.example.org/weir"})},
		{"webhook: {url: https://hooks.example.org/weir, template: json}", "webhook: https://hooks.example.org/weir", hook(model.ByWebhook{URL: "https://hooks.example.org/weir"})},
		{"webhook: {url: http://192.0.2.1/a?b=c, template: alertmanager, secret_file: $DIR/secret}", "",
			hook(model.ByWebhook{URL: "http://192.0.2.1/a?b=c", Template: model.TemplateAlertmanager, SecretFile: "$DIR/secret"})},
		{"fifo: $DIR/events", "", model.Notice{How: model.ByFIFO{Path: "$DIR/events"}}},
		{"fifo: {path: $DIR/events}", "fifo: $DIR/events", model.Notice{How: model.ByFIFO{Path: "$DIR/events"}}},
		{"syslog", "", model.Notice{How: model.BySyslog{}}},
		{"syslog:", "syslog", model.Notice{How: model.BySyslog{}}},
		{"{syslog: {}, services: [dns, web], events: [service_down, server_down], severity: warning, repeat: 7d}", "",
			model.Notice{How: model.BySyslog{}, Services: []string{"dns", "web"}, Kinds: []model.EventKind{model.ServiceDown, model.ServerDown},
				Least: model.Warning, Repeat: 7 * 24 * time.Hour}},
		{"{syslog: {}, events: [server_up, server_down, service_up, service_down, panic_begin, panic_end, maintenance_begin, maintenance_end, certificate_ends, certificate_renewed, vrrp_master, vrrp_backup, vrrp_fault, vrrp_stop, vrrp_conflict_begin, vrrp_conflict_end, vrrp_held_begin, vrrp_held_end, vrrp_silent_begin, vrrp_silent_end, sync_ready, sync_lost], severity: info}", "syslog", model.Notice{How: model.BySyslog{}}},
		{"{mail: ops@example.org, digest: 0s}", "", model.Notice{How: mail(func(*model.ByMail) {}).How}},
		{"{mail: ops@example.org, digest: 60m}", "{mail: ops@example.org, digest: 1h}", model.Notice{How: mail(func(*model.ByMail) {}).How, Digest: time.Hour}},
		{"{mail: ops@example.org, digest: 10s}", "mail: ops@example.org", mail(func(*model.ByMail) {})},
	} {
		t.Run(tt.written, func(t *testing.T) {
			if tt.printed == "" {
				tt.printed = tt.written
			}
			spec := mustParse(t, notified("- "+tt.written, dir))
			if len(spec.Notify) != 1 {
				t.Fatalf("%d notices, want 1", len(spec.Notify))
			}
			if got, want := fmt.Sprintf("%#v", spec.Notify[0]), strings.ReplaceAll(fmt.Sprintf("%#v", tt.want), "$DIR", dir); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			printed := string(config.Print(spec))
			if diff := cmp.Diff(spec, mustParse(t, printed), byValue); diff != "" {
				t.Errorf("printed and parsed, it means something else (-want +got):\n%s\n%s", diff, printed)
			}
			if diff := cmp.Diff(noticesIn(t, notified("- "+tt.printed, dir)), noticesIn(t, printed)); diff != "" {
				t.Errorf("it is printed otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

// noticesIn is what stands in a file, whatever its style.
func noticesIn(t *testing.T, text string) []any {
	t.Helper()
	var file struct{ Notify []any }
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return file.Notify
}

func mustParse(t *testing.T, text string) model.Spec {
	t.Helper()
	spec, err := config.Parse("weir.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return spec
}

func TestWrongNoticesAreExplained(t *testing.T) {
	dir := nameable(t)
	for _, tt := range []struct{ list, want, hint string }{
		{"- {services: [web]}", "3:5: notice 1: no channel", `write "mail: ops@example.org", "exec:"`},
		{"- {syslog: {}, fifo: $DIR/events}", "notice 1: fifo and syslog", "write one notice for each"},
		{"- mail", `notice 1: unknown channel "mail"`, `write "mail: ops@example.org"`},
		{"- syslgo", `notice 1: unknown channel "syslgo"`, `did you mean "syslog"?`},
		{"- {mial: ops@example.org}", `notice 1: unknown key "mial"`, `did you mean "mail"?`},
		{"- {syslog: {}, kinds: [server_up]}", `notice 1: unknown key "kinds"`, `write "events:"`},
		{"- {exec: $DIR/on-change, notify_down: x}", `unknown key "notify_down"`, `write "exec:" and "events: [server_down]"`},
		{"- {syslog: {tag: x}}", "notice 1: syslog: nothing can be said about it", `write "syslog: {}"`},
		{"- syslog\n- syslog", "4:5: notice 2: the same notice stands twice", "keep one"},
		{"- {syslog: {}, services: [wbe]}", "notice 1: there is no service wbe", `did you mean "web"?`},
		{"- {syslog: {}, services: [mail]}", "notice 1: there is no service mail", `write the name of one of "services:"`},
		{"- {syslog: {}, services: [web, web]}", "notice 1: service web stands twice", "keep one"},
		{"- {syslog: {}, services: []}", "notice 1: services of nothing", "for all services leave it out"},
		{"- {syslog: {}, services: web}", "notice 1: services must be a list, not a single value", ""},
		{"- {syslog: {}, events: [server_dwon]}", `notice 1: unknown event "server_dwon"`, `did you mean "server_down"?`},
		{"- {syslog: {}, events: [down]}", `notice 1: unknown event "down"`, `write "server_down", "service_down" or both`},
		{"- {syslog: {}, events: [server_up, server_up]}", "notice 1: event server_up stands twice", "keep one"},
		{"- {syslog: {}, events: []}", "notice 1: events of nothing", "for all events leave it out"},
		{"- {syslog: {}, severity: crit}", `notice 1: unknown severity "crit"`, `write "critical"`},
		{"- {syslog: {}, severity: critical, events: [server_down]}", "notice 1: severity critical, but none of these events is so grave", "leave one of the keys out"},
		{"- {syslog: {}, digest: 10s}", "notice 1: digest, but syslog tells each event by itself", "leave it out"},
		{"- {mail: ops@example.org, digest: 2h}", "notice 1: digest 2h is out of range", "from 0s to 1h"},
		{"- {mail: ops@example.org, digest: 10}", "notice 1: digest 10 has no unit", "write 10s for seconds"},
		{"- {syslog: {}, repeat: 30s}", "notice 1: repeat 30s is out of range", "from 1m to 7d"},
		{"- {syslog: {}, repeat: 8d}", "notice 1: repeat 8d is out of range", "from 1m to 7d"},
		{"- {syslog: {}, repeat: 1h, events: [server_up]}", "notice 1: repeat, but none of these events is one of something down", "leave it out"},

		{"- exec: on-change", `notice 1: exec: "on-change" is not a whole path`, "begin at the root"},
		{"- exec: $DIR/missing", "$DIR/missing: no such file or directory", "correct the path"},
		{"- exec: $DIR/on-change --all", "$DIR/on-change --all: no such file or directory", `write "{path: /etc/weir/on-change, args: [...]}"`},
		{"- exec: $DIR/text", "$DIR/text is not executable", "chmod +x $DIR/text"},
		{"- exec: $DIR/writable", "$DIR/writable is writable by everybody", "chmod o-w $DIR/writable"},
		{"- exec: {args: [a]}", "notice 1: exec: no path", `write "path: /etc/weir/on-change"`},
		{"- exec: {path: $DIR/on-change, user: no-such-user}", "notice 1: exec: user no-such-user: there is no such user here", ""},
		{"- exec: {path: $DIR/on-change, timeout: 10m}", "notice 1: exec: timeout 10m is out of range", "from 1s to 5m"},
		{"- exec: {path: $DIR/on-change, command: x}", `notice 1: exec: unknown key "command"`, `write "path:" for the program`},
		{"- exec:", "notice 1: exec: path has no value", ""},

		{"- mail: {server: localhost}", "notice 1: mail: no to", `write "to: ops@example.org"`},
		{"- mail: {to: []}", "notice 1: mail: to nobody", `write "to: ops@example.org"`},
		{"- mail: root", `notice 1: mail: to "root" is no mail address`, `such as "root@localhost"`},
		{"- mail: ops@example.org; boss@example.org", "is no mail address", `such as "ops@example.org"`},
		{"- mail: \"ops@example.org, boss@example.org\"", "is no mail address", "write several as a list"},
		{"- mail: {to: [ops@example.org, ops@example.org]}", "notice 1: mail: to ops@example.org stands twice", "keep one"},
		{"- mail: {to: ops@example.org, from: nobody}", `notice 1: mail: from "nobody" is no mail address`, ""},
		{"- mail: {to: ops@example.org, server: mail.example.org:smtp}", `server "mail.example.org:smtp" has no port`, `such as "mail.example.org:587"`},
		{"- mail: {to: ops@example.org, server: \"mail.example.org:0\"}", `server "mail.example.org:0" has no port`, ""},
		{"- mail: {to: ops@example.org, server: smtp://mail.example.org}", `server "smtp://mail.example.org" is not a host`, ""},
		{"- mail: {to: ops@example.org, tls: yes}", `notice 1: mail: unknown tls "yes"`, `write "starttls", or "tls" for port 465`},
		{"- mail: {to: ops@example.org, tls: none, user: weir, password_file: $DIR/secret}", "tls: none, but there is a password", `write "tls: starttls"`},
		{"- mail: {to: ops@example.org, user: weir}", "notice 1: mail: user without password_file", ""},
		{"- mail: {to: ops@example.org, password_file: $DIR/secret}", "notice 1: mail: password_file without user", `write "user:", too`},
		{"- mail: {to: ops@example.org, user: weir, password_file: $DIR/told}", "$DIR/told can be read by others than its owner", "chmod 600 $DIR/told"},
		{"- mail: {to: ops@example.org, user: weir, password_file: $DIR/missing}", "$DIR/missing: no such file or directory", "correct the path"},
		{"- mail: {to: ops@example.org, password: x}", `notice 1: mail: unknown key "password"`, "write it into a file of its own"},

		{"- webhook: hooks.example.org/weir", "notice 1: webhook: the url is not one of http or https", ""},
		{"- webhook: ftp://hooks.example.org", "notice 1: webhook: the url is not one of http or https", ""},
		{"- webhook: \"https://:80/x\"", "notice 1: webhook: the url names no host", ""},
		{"- webhook: \"https://exa mple.org\"", "notice 1: webhook: the url cannot be read", ""},
		{"- webhook: \"https://example.org/#x\"", "notice 1: webhook: the url has a fragment", "leave it out"},
		{"- webhook: {template: slack}", "notice 1: webhook: no url", `write "url: https://..."`},
		{"- webhook: {url: https://example.org, template: slak}", `notice 1: webhook: unknown template "slak"`, `did you mean "slack"?`},
		{"- webhook: {url: https://example.org, secret_file: secret}", `"secret" is not a whole path`, "begin at the root"},
		{"- webhook: {url: https://example.org, secret_file: $DIR/told}", "can be read by others", "chmod 600"},

		{"- fifo: events", `notice 1: fifo: "events" is not a whole path`, `such as "/run/weir/events"`},
		{"- fifo: $DIR/secret", "is there already, and is no FIFO", "remove it, or name another path"},
		{"- fifo: {}", "notice 1: fifo: no path", ""},
	} {
		t.Run(tt.list, func(t *testing.T) {
			_, err := config.Parse("weir.yaml", []byte(notified(tt.list, dir)))
			complaints, ok := errors.AsType[*config.Error](err)
			if !ok || len(complaints.Complaints) != 1 {
				t.Fatalf("got %v, want one complaint", err)
			}
			c := complaints.Complaints[0]
			got := fmt.Sprintf("%d:%d: %s", c.Line, c.Column, c.Message)
			want, hint := strings.ReplaceAll(tt.want, "$DIR", dir), strings.ReplaceAll(tt.hint, "$DIR", dir)
			if !strings.Contains(got, want) || !strings.Contains(c.Hint, hint) {
				t.Errorf("got %s (%s), want %s (%s)", got, c.Hint, want, hint)
			}
			if c.Line < 3 {
				t.Errorf("the place is line %d", c.Line)
			}
		})
	}
}

// TestBrokenServicesDoNotMakeNoticesWrong: which services there are does not show then.
func TestBrokenServicesDoNotMakeNoticesWrong(t *testing.T) {
	_, err := config.Parse("weir.yaml", []byte("services: [{name: web}, {address: nowhere}]\nnotify: [{syslog: {}, services: [dns]}]\n"))
	if err == nil || strings.Contains(err.Error(), "notice") {
		t.Errorf("got %v", err)
	}
}

func TestNotifyMayBeEmpty(t *testing.T) {
	for _, text := range []string{"services: []\nnotify:\n", "services: []\nnotify: []\n"} {
		if spec := mustParse(t, text); len(spec.Notify) != 0 {
			t.Errorf("%q: got %v", text, spec.Notify)
		}
	}
}
