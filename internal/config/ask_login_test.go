// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// secrets makes a directory of files with passwords: one is safe, the others are not.
func secrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"safe": 0o600, "told": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("s3cret\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAsksThatLogInGoBothWays(t *testing.T) {
	dir := secrets(t)
	safe := filepath.Join(dir, "safe")
	statuses, err := model.ParseStatuses("200,404")
	if err != nil {
		t.Fatal(err)
	}
	name := model.TLS{Name: "db.example.org", CA: model.SystemCA}
	for text, want := range map[string]model.Ask{
		`ping:`:               model.AskPing{},
		`ping: {}`:            model.AskPing{},
		`mysql:`:              model.AskMySQL{},
		`mysql: {}`:           model.AskMySQL{},
		`ldap:`:               model.AskLDAP{},
		`sip: {}`:             model.AskSIP{},
		`grpc:`:               model.AskGRPC{},
		`grpc: null`:          model.AskGRPC{},
		`mysql: {user: weir}`: model.AskMySQL{SQL: model.SQL{User: "weir"}},
		`mysql: {user: weir, password_file: $DIR/safe, database: shop, query: "SELECT 1,\n2", row: '1\t2', tls: {name: db.example.org, ca: system}}`: model.AskMySQL{
			SQL: model.SQL{User: "weir", PasswordFile: safe, Database: "shop", Query: "SELECT 1,\n2", Row: "1\t2"}, Secure: true, TLS: name},
		`postgresql:`:           model.AskPostgreSQL{},
		`postgresql: {tls: }`:   model.AskPostgreSQL{Secure: true},
		`postgresql: {tls: {}}`: model.AskPostgreSQL{Secure: true},
		`postgresql: {user: "a b", query: SELECT pg_is_in_recovery(), row: f}`: model.AskPostgreSQL{
			SQL: model.SQL{User: "a b", Query: "SELECT pg_is_in_recovery()", Row: "f"}},
		`ldap: {base: root}`: model.AskLDAP{Base: model.RootDSE},
		`ldap: {bind: "cn=weir,dc=example,dc=org", password_file: $DIR/safe, base: "dc=example,dc=org", tls: {}}`: model.AskLDAP{
			Bind: "cn=weir,dc=example,dc=org", PasswordFile: safe, Base: "dc=example,dc=org", Secure: true},
		`radius: {secret_file: $DIR/safe}`:            model.AskRADIUS{SecretFile: safe},
		`radius: {secret_file: $DIR/safe, nas: weir}`: model.AskRADIUS{SecretFile: safe},
		`radius: {secret_file: $DIR/safe, user: weir@example.org, password_file: $DIR/safe, nas: lb1, reject: true}`: model.AskRADIUS{
			SecretFile: safe, User: "weir@example.org", PasswordFile: safe, NAS: "lb1", Reject: true},
		`sip: {user: ping, domain: "example.org:5070", status: "200,404", tcp: true}`: model.AskSIP{
			User: "ping", Domain: "example.org:5070", Status: statuses, TCP: true},
		`sip: {status: 200-299, tcp: false}`: model.AskSIP{},
		`grpc: {service: shop.Cart, host: "shop.example.org:443", tls: {name: db.example.org, ca: system}}`: model.AskGRPC{
			Service: "shop.Cart", Host: "shop.example.org:443", Secure: true, TLS: name},
	} {
		text = strings.ReplaceAll(text, "$DIR", dir)
		got, err := readLineAsk(t, text)
		if err != nil || got != want {
			t.Errorf("%s:\ngot %#v, want %#v, error %v", text, got, want, err)
			continue
		}
		printed := printLineAsk(t, got)
		if again, err := readLineAsk(t, printed); err != nil || again != want || strings.Contains(printed, "s3cret") {
			t.Errorf("%s is printed as %s, which is %#v, error %v", text, printed, again, err)
		}
	}
}

func TestBrokenAsksThatLogInAreExplained(t *testing.T) {
	dir := secrets(t)
	for text, want := range map[string]string{
		`ping: {size: 64}`:                                                        `leave it out: nothing can be said about this check`,
		`mysql: weir`:                                                             `mysql: it must be a map, not a single value`,
		`mysql: {query: SELECT 1}`:                                                `mysql: query without user`,
		`mysql: {tls: {}}`:                                                        `mysql: tls without user`,
		`mysql: {user: weir, row: a}`:                                             `mysql: row without query`,
		`mysql: {user: weir, password: s3cret}`:                                   `"password_file:" with its path`,
		`mysql: {user: weir, passwd: s3cret}`:                                     `"password_file:" with its path`,
		`mysql: {user: weir, password_file: safe}`:                                `"safe" is not a whole path`,
		`mysql: {user: weir, password_file: $DIR/told}`:                           `can be read by others than its owner`,
		`mysql: {user: weir, password_file: $DIR/none}`:                           `no such file or directory`,
		`mysql: {user: "a\nb"}`:                                                   `mysql: user has a control character in it`,
		`mysql: {user: weir, query: "a\0b"}`:                                      `mysql: query has a NUL in it`,
		`mysql: {user: weir, query: ` + strings.Repeat("x", 5000) + `}`:           `mysql: query is longer than 4096 bytes`,
		`mysql: {user: weir, query: a, row: '\q'}`:                                `mysql: row has an unknown escape, \q`,
		`mysql: {user: weir, ca: system}`:                                         `write it into "tls: {...}"`,
		`mysql: {login: weir}`:                                                    `write "user:"`,
		`postgresql: {sslmode: require}`:                                          `write "tls: {}"`,
		`postgresql: {user: weir, tls: true}`:                                     `postgresql: tls: it must be a map, not a single value`,
		`postgresql: {user: weir, tls: {sni: a}}`:                                 `postgresql: tls: unknown key "sni"`,
		`postgresql: {user: weir, dbname: a}`:                                     `write "database:"`,
		`ldap: {bind: "cn=weir"}`:                                                 `ldap: bind without password_file`,
		`ldap: {password_file: $DIR/safe}`:                                        `ldap: password_file without bind`,
		`ldap: {base: example}`:                                                   `ldap: base "example" is no name of an entry`,
		`ldap: {user: weir}`:                                                      `write "bind:"`,
		`ldap: {filter: "(uid=a)"}`:                                               `leave it out: the entry at "base:" is looked for`,
		`radius:`:                                                                 `radius: no secret_file`,
		`radius: {secret: s3cret, secret_file: $DIR/safe}`:                        `"secret_file:" with its path`,
		`radius: {secret_file: $DIR/told}`:                                        `can be read by others than its owner`,
		`radius: {secret_file: $DIR/safe, user: weir}`:                            `radius: user without password_file`,
		`radius: {secret_file: $DIR/safe, password_file: $DIR/safe}`:              `radius: password_file without user`,
		`radius: {secret_file: $DIR/safe, reject: true}`:                          `radius: reject without user`,
		`radius: {secret_file: $DIR/safe, nas: ` + strings.Repeat("x", 254) + `}`: `radius: nas is longer than 253 bytes`,
		`sip: {user: "a@b"}`:                                                      `sip: user "a@b" is not as in a SIP URI`,
		`sip: {user: "a\r\nb"}`:                                                   `sip: user has spaces or control characters`,
		`sip: {domain: "sip:x/"}`:                                                 `sip: domain "sip:x/" is not as in a SIP URI`,
		`sip: {status: 700}`:                                                      `sip: status: 700 is not from 100 to 599`,
		`sip: {tcp: yes}`:                                                         `sip: tcp must be true or false`,
		`sip: {uri: a}`:                                                           `write "user:" and "domain:"`,
		`grpc: {service: "a b"}`:                                                  `grpc: service has spaces or control characters`,
		`grpc: {service_name: a}`:                                                 `write "service:"`,
		`grpc: {name: a}`:                                                         `write it into "tls: {...}"`,
		`grpc: {tls: {cert: /x}}`:                                                 `grpc: tls: cert without key`,
	} {
		_, err := readLineAsk(t, strings.ReplaceAll(text, "$DIR", dir))
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
