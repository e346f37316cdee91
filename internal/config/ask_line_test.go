// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// readLineAsk reads a file of one line, which is a kind with what stands behind it.
func readLineAsk(t *testing.T, text string) (model.Ask, error) {
	t.Helper()
	f := newFile("weir.yaml", []byte(text))
	root := f.tree([]byte(text))
	if root == nil || len(root.Content) != 2 {
		t.Fatalf("%s is no map of one kind: %v", text, f.verdict())
	}
	ask := scope{file: f}.ask(root.Content[0].Value, root.Content[1])
	return ask, f.verdict()
}

// printLineAsk is its inverse.
func printLineAsk(t *testing.T, ask model.Ask) string {
	t.Helper()
	var b bytes.Buffer
	dumper, err := yaml.NewDumper(&b, yaml.WithLineWidth(-1), yaml.WithQuotePreference(yaml.QuoteDouble))
	if err != nil {
		t.Fatal(err)
	}
	if err := dumper.Dump(mapNode(pair{ask.Kind(), askNode(ask)})); err != nil {
		t.Fatal(err)
	}
	if err := dumper.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAsksInLinesGoBothWays(t *testing.T) {
	for text, want := range map[string]model.Ask{
		`expect: {expect: ^220}`:                           model.AskExpect{Expect: "^220"},
		`expect: {expect: "^220 "}`:                        model.AskExpect{Expect: "^220 "},
		`expect: {expect: "\\+PONG\\r\\n"}`:                model.AskExpect{Expect: `\+PONG\r\n`},
		`expect: {expect: \+PONG\r\n}`:                     model.AskExpect{Expect: `\+PONG\r\n`},
		`expect: {send: PING\r\n, expect: \+PONG}`:         model.AskExpect{Send: "PING\r\n", Expect: `\+PONG`},
		`expect: {send: "PING\r\n", expect: PONG}`:         model.AskExpect{Send: "PING\r\n", Expect: "PONG"},
		`expect: {send: "PING\\r\\n", expect: PONG}`:       model.AskExpect{Send: "PING\r\n", Expect: "PONG"},
		`expect: {send: "GET / HTTP/1.0\r\n", expect: OK}`: model.AskExpect{Send: "GET / HTTP/1.0\r\n", Expect: "OK"},
		`expect: {send: " # \t: ", expect: ": #"}`:         model.AskExpect{Send: " # \t: ", Expect: ": #"},
		`expect: {expect: "a\r\nb\tc"}`:                    model.AskExpect{Expect: "a\r\nb\tc"},
		`expect: {send: 123, expect: true}`:                model.AskExpect{Send: "123", Expect: "true"},
		`smtp:`:                                            model.AskSMTP{},
		`smtp: {}`:                                         model.AskSMTP{},
		`smtp: {hello: weir}`:                              model.AskSMTP{},
		`smtp: {hello: lb.example.org}`:                    model.AskSMTP{Hello: "lb.example.org"},
		`smtp: {hello: "[192.0.2.1]"}`:                     model.AskSMTP{Hello: "[192.0.2.1]"},
		`imap:`:                                            model.AskIMAP{},
		`imap: {}`:                                         model.AskIMAP{},
		`pop3: ~`:                                          model.AskPOP3{},
		`ftp: null`:                                        model.AskFTP{},
		`ssh: {}`:                                          model.AskSSH{},
		`redis:`:                                           model.AskRedis{},
		`redis: {password: s3cret}`:                        model.AskRedis{Password: "s3cret"},
		`redis: {password: 0123}`:                          model.AskRedis{Password: "0123"},
		`redis: {password: "a\"#:{\\r"}`:                   model.AskRedis{Password: `a"#:{\r`},
		`udp: {payload: ping}`:                             model.AskUDP{Payload: "ping"},
		`udp: {payload: \x00\xfF\\, reply: \x01\t}`:        model.AskUDP{Payload: "\x00\xff\\", Reply: "\x01\t"},
		`udp: {payload: "grüße", reply: "ü\x01"}`:          model.AskUDP{Payload: "grüße", Reply: "ü\x01"},
		`dns:`:                     model.AskDNS{},
		`dns: {}`:                  model.AskDNS{},
		`dns: .`:                   model.AskDNS{},
		`dns: example.org`:         model.AskDNS{Name: "example.org"},
		`dns: example.org.`:        model.AskDNS{Name: "example.org"},
		`dns: {name: example.org}`: model.AskDNS{Name: "example.org"},
		`dns: {name: example.org, type: A, rcode: NOERROR, tcp: false}`:             model.AskDNS{Name: "example.org"},
		`dns: {name: example.org, answer: 192.0.2.1}`:                               model.AskDNS{Name: "example.org", Answer: "192.0.2.1"},
		`dns: {name: example.org, type: AAAA, answer: "2001:db8::1"}`:               model.AskDNS{Name: "example.org", Type: "AAAA", Answer: "2001:db8::1"},
		`dns: {name: example.org, type: MX, answer: 10 mx.example.org, tcp: true}`:  model.AskDNS{Name: "example.org", Type: "MX", Answer: "10 mx.example.org", TCP: true},
		`dns: {name: 1.2.0.192.in-addr.arpa, type: PTR, answer: host.example.org.}`: model.AskDNS{Name: "1.2.0.192.in-addr.arpa", Type: "PTR", Answer: "host.example.org."},
		`dns: {name: nx.example.org, rcode: NXDOMAIN}`:                              model.AskDNS{Name: "nx.example.org", Rcode: "NXDOMAIN"},
		`dns: _sip._tcp.example.org`:                                                model.AskDNS{Name: "_sip._tcp.example.org"},
		`dns: {type: SOA}`:                                                          model.AskDNS{Type: "SOA"},
		`dns: {tcp: true}`:                                                          model.AskDNS{TCP: true},
		`dns: 1.5`:                                                                  model.AskDNS{Name: "1.5"},
	} {
		got, err := readLineAsk(t, text)
		if err != nil || got != want {
			t.Errorf("%s:\ngot %#v, want %#v, error %v", text, got, want, err)
			continue
		}
		printed := printLineAsk(t, got)
		if again, err := readLineAsk(t, printed); err != nil || again != want {
			t.Errorf("%s is printed as %s, which is %#v, error %v", text, printed, again, err)
		}
	}
}

// TestDefaultsAreNotPrinted: what stands in a printed file was meant.
func TestDefaultsAreNotPrinted(t *testing.T) {
	for text, want := range map[string]string{
		`smtp: {hello: weir}`:              "smtp: {}\n",
		`dns: {name: example.org}`:         "dns: example.org\n",
		`dns: {type: A, rcode: NOERROR}`:   "dns: {}\n",
		`redis:`:                           "redis: {}\n",
		`udp: {payload: "\x01", reply: ü}`: "udp:\n  payload: \\x01\n  reply: \\xc3\\xbc\n",
	} {
		ask, err := readLineAsk(t, text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := printLineAsk(t, ask); strings.ReplaceAll(got, "    ", "  ") != want {
			t.Errorf("%s is printed as %q, want %q", text, got, want)
		}
	}
}

func TestBrokenAsksInLinesAreExplained(t *testing.T) {
	long := strings.Repeat("a", 64)
	for text, want := range map[string]string{
		`expect:`:                                          `expect: no expect`,
		`expect: {send: x}`:                                `write "expect: ^220"`,
		`expect: ^220`:                                     `expect: it must be a map, not a single value`,
		`expect: {expect: "a(b"}`:                          `weir.yaml:1:18: expect: expect is no regular expression: missing closing ): "a(b"`,
		`expect: {expect: "(?=a)"}`:                        `invalid or unsupported Perl syntax`,
		`expect: {expect: "*"}`:                            `write "." if any answer is good`,
		`expect: {expect: ""}`:                             `expect: expect has no value`,
		`expect: {expect: [a]}`:                            `expect: expect must be a single value, not a list`,
		`expect: {send: \q, expect: a}`:                    `expect: send has an unknown escape, \q`,
		`expect: {send: a\, expect: a}`:                    `expect: send has an unknown escape, \`,
		`expect: {send: \x4, expect: a}`:                   `expect: send has an unknown escape, \x`,
		`expect: {send: "\\é", expect: a}`:                 `expect: send has an unknown escape, \é`,
		`expect: {send: ~, expect: a}`:                     `expect: send has no value`,
		`expect: {receive: a, expect: b}`:                  `write "expect:"`,
		`expect: {send_program: a, expect: b}`:             `write the kind "exec" instead`,
		`smtp: {hello: a b}`:                               `weir.yaml:1:15: smtp: hello has spaces or control characters`,
		`smtp: {hello: "a\r\nDATA"}`:                       `smtp: hello has spaces or control characters`,
		`smtp: {hello: ` + strings.Repeat(long, 4) + `}`:   `smtp: hello is longer than 255 bytes`,
		`smtp: {helo_name: a}`:                             `write "hello:"`,
		`smtp: {port: 25}`:                                 `smtp: unknown key "port"`,
		`smtp: {connect_timeout: 5}`:                       `write "timeout:" beside the kind`,
		`imap: {login: a}`:                                 `imap: unknown key "login"`,
		`imap: {what: a}`:                                  `leave it out: nothing can be said about this check`,
		`pop3: a`:                                          `pop3: it must be a map, not a single value`,
		`ftp: [a]`:                                         `ftp: it must be a map, not a list`,
		`ssh: {timeout: 1s}`:                               `write it beside the kind, not behind it`,
		`redis: {password: a b}`:                           `redis: password has spaces or control characters`,
		`redis: {auth: a}`:                                 `write "password:"`,
		`udp:`:                                             `udp: no payload`,
		`udp: {reply: a}`:                                  `udp: no payload`,
		`udp: {payload: ""}`:                               `udp: payload has no value`,
		`udp: {payload: a, reply: ""}`:                     `udp: reply has no value`,
		`udp: {payload: ` + strings.Repeat(long, 65) + `}`: `udp: payload is longer than 4096 bytes`,
		`udp: {payload: a, require_reply: b}`:              `write "reply:"`,
		`dns: a..b`:                                        `dns: name "a..b" is no domain name`,
		`dns: .example.org`:                                `there is nothing between two dots, or before the first`,
		`dns: ` + long + `.example.org`:                    `at most 63 characters`,
		`dns: {name: ` + strings.Repeat("a.", 127) + `a}`:  `dns: name is longer than 253 characters`,
		`dns: bücher.example`:                              `other letters are written in ASCII`,
		`dns: two words`:                                   `dns: name "two words" is no domain name`,
		`dns: ""`:                                          `dns: name has no value`,
		`dns: {type: a}`:                                   `did you mean "A"?`,
		`dns: {type: ANY}`:                                 `many servers refuse it (RFC 8482)`,
		`dns: {rcode: NXDOMAN}`:                            `did you mean "NXDOMAIN"?`,
		`dns: {rcode: 3}`:                                  `write "NXDOMAIN"`,
		`dns: {answer: "2001:db8::1"}`:                     `dns: answer "2001:db8::1" is no IPv4 address, as type A has`,
		`dns: {type: AAAA, answer: 192.0.2.1}`:             `dns: answer "192.0.2.1" is no IPv6 address, as type AAAA has`,
		`dns: {type: NS, answer: a..b}`:                    `dns: answer "a..b" is no domain name`,
		`dns: {rcode: NXDOMAIN, answer: 192.0.2.1}`:        `dns: answer, but with rcode NXDOMAIN there is none`,
		`dns: {type: AAAAA, answer: "2001:db8::1"}`:        `did you mean "AAAA"?`,
		`dns: {tcp: yes}`:                                  `dns: tcp must be true or false, not "yes"`,
		`dns: {request: a}`:                                `write "name:"`,
		`dns: [a]`:                                         `dns: it must be a map, not a list`,
	} {
		_, err := readLineAsk(t, text)
		complaints, ok := err.(*Error)
		if !ok {
			t.Errorf("%s: got %v, want %s", text, err, want)
			continue
		}
		if n := len(complaints.Complaints); n != 1 {
			t.Errorf("%s: %d complaints:\n%v", text, n, err)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got\n%v\nwant %s", text, err, want)
		}
	}
}

// TestEveryByteIsEscapedAndBack: what is sent may be binary.
func TestEveryByteIsEscapedAndBack(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	text := escaped(string(all))
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%q is not ASCII that can be seen", text)
	}
	if back, unknown := unescaped(text); back != string(all) || unknown != "" {
		t.Errorf("%q comes back as %q, unknown %q", text, back, unknown)
	}
}

func FuzzUnescaped(f *testing.F) {
	f.Add(`PING\r\n`)
	f.Add(`\x00\xfg\`)
	f.Fuzz(func(t *testing.T, text string) {
		if out, unknown := unescaped(text); unknown == "" {
			if back, _ := unescaped(escaped(out)); back != out {
				t.Errorf("%q comes back as %q", out, back)
			}
		}
	})
}
