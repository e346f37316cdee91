// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// checked is a file whose one server is asked in this way.
func checked(check string) []byte {
	return []byte("services:\n  - address: 192.0.2.10:443\n    scheduler: rr\n    check: " + check + "\n    servers: [10.0.0.11]\n")
}

// soleAsk is what its server is asked.
func soleAsk(t *testing.T, data []byte) (model.Spec, model.Ask) {
	t.Helper()
	spec, err := config.Parse("weir.yaml", data)
	if err != nil {
		t.Fatalf("%s\n%v", data, err)
	}
	checks := spec.Services[0].Servers[0].Checks.Of
	if len(checks) != 1 {
		t.Fatalf("%d checks", len(checks))
	}
	return spec, checks[0].Ask
}

func statuses(t *testing.T, text string) model.Statuses {
	t.Helper()
	out, err := model.ParseStatuses(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pemFiles writes a certificate with its key, another key, what has no certificate, and what is no PEM.
func pemFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, kind string, data []byte) {
		if kind != "" {
			data = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := selfSigned(t)
	_, other := selfSigned(t)
	write("cert.pem", "CERTIFICATE", cert)
	write("key.pem", "PRIVATE KEY", key)
	write("other.pem", "PRIVATE KEY", other)
	write("damaged.pem", "CERTIFICATE", []byte("no certificate"))
	write("text.pem", "", []byte("no PEM\n"))
	write("large.pem", "", make([]byte, 5<<20))
	return dir
}

func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err = x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// TestQuestionsOfHTTPGoBothWays: what is written is what is meant, and what is printed means it again.
func TestQuestionsOfHTTPGoBothWays(t *testing.T) {
	dir := pemFiles(t)
	for _, tt := range []struct {
		check string
		want  model.Ask
		print string // a part of what is printed
	}{
		{"http", model.AskHTTP{}, "check: http\n"},
		{"{http: {}}", model.AskHTTP{}, "check: http\n"},
		{"{http: }", model.AskHTTP{}, "check: http\n"},
		{"{http: ~}", model.AskHTTP{}, "check: http\n"},
		{"https", model.AskHTTP{Secure: true}, "check: https\n"},
		{"tls", model.AskTLS{}, "check: tls\n"},
		{"{tls: {}}", model.AskTLS{}, "check: tls\n"},
		{"{http: /}", model.AskHTTP{}, "check: http\n"},
		{"{http: /health}", model.AskHTTP{Path: "/health"}, "http: /health\n"},
		{"{https: '/a%20b?x=1&y={z}'}", model.AskHTTP{Secure: true, Path: "/a%20b?x=1&y={z}"}, "https: /a%20b?x=1&y={z}\n"},
		{"{http: {path: //health}}", model.AskHTTP{Path: "//health"}, "http: //health\n"},
		{"{http: {method: GET, path: /, status: 200-299, headers: {}}}", model.AskHTTP{}, "check: http\n"},
		{"{http: {method: HEAD}}", model.AskHTTP{Method: "HEAD"}, "method: HEAD\n"},
		{"{http: {method: PROPFIND, path: /dav}}", model.AskHTTP{Method: "PROPFIND", Path: "/dav"}, "path: /dav\n"},
		{"{http: {host: www.example.org}}", model.AskHTTP{Host: "www.example.org"}, "host: www.example.org\n"},
		{"{http: {host: '[2001:db8::1]:8080'}}", model.AskHTTP{Host: "[2001:db8::1]:8080"}, "[2001:db8::1]:8080"},
		{"{http: {status: 204}}", model.AskHTTP{Status: statuses(t, "204")}, "status: 204\n"},
		{`{http: {status: "301, 200-250,251-299"}}`, model.AskHTTP{Status: statuses(t, "200-299,301")}, "status: 200-299,301\n"},
		{"{http: {headers: {x-b: yes, Accept: 'a: b', X-A: 1}}}",
			model.AskHTTP{Headers: "Accept: a: b\nX-A: 1\nX-B: yes\n"}, "X-A: \"1\"\n"},
		{"{http: {contains: ready}}", model.AskHTTP{Contains: "ready"}, "contains: ready\n"},
		{`{http: {contains: "a\nb\u2028\0"}}`, model.AskHTTP{Contains: "a\nb\u2028\x00"}, `contains: "a\n`},
		{"{http: {contains: 0x10}}", model.AskHTTP{Contains: "0x10"}, `contains: "0x10"`},
		{"{http: {match: '^ok$'}}", model.AskHTTP{Match: "^ok$"}, "match: ^ok$\n"},
		{"{http: {digest: D41D8CD98F00B204E9800998ECF8427E}}", model.AskHTTP{Digest: "d41d8cd98f00b204e9800998ecf8427e"}, "digest: d41d8"},
		{"{http: {digest: 00000000000000000000000000000001}}", model.AskHTTP{Digest: "00000000000000000000000000000001"}, "00000000000000000000000000000001"},
		{"{https: {name: www.example.org, ca: system, path: /x}}",
			model.AskHTTP{Secure: true, Path: "/x", TLS: model.TLS{Name: "www.example.org", CA: "system"}}, "ca: system\n"},
		{"{tls: {name: 192.0.2.1, ca: DIR/cert.pem}}", model.AskTLS{TLS: model.TLS{Name: "192.0.2.1", CA: dir + "/cert.pem"}}, "/cert.pem\n"},
		{"{tls: {cert: DIR/cert.pem, key: DIR/key.pem}}",
			model.AskTLS{TLS: model.TLS{Cert: dir + "/cert.pem", Key: dir + "/key.pem"}}, "/key.pem\n"},
	} {
		t.Run(tt.check, func(t *testing.T) {
			spec, ask := soleAsk(t, checked(strings.ReplaceAll(tt.check, "DIR", dir)))
			if ask != tt.want {
				t.Errorf("got %+v, want %+v", ask, tt.want)
			}
			printed := config.Print(spec)
			if !strings.Contains(string(printed), tt.print) {
				t.Errorf("no %q in\n%s", tt.print, printed)
			}
			if _, again := soleAsk(t, printed); again != tt.want {
				t.Errorf("printed as\n%s\nit means %+v", printed, again)
			}
		})
	}
}

// TestMistakesInQuestionsOfHTTPAreExplained: one complaint each, with the way out.
func TestMistakesInQuestionsOfHTTPAreExplained(t *testing.T) {
	dir := pemFiles(t)
	for check, wants := range map[string][2]string{
		"{http: health}":                                     {`check: http: path "health" does not begin with "/"`, `write "/health"`},
		"{http: {path: 'http://x.example/'}}":                {`path "http://x.example/" does not begin with "/"`, `the host as "host:"`},
		"{http: [/]}":                                        {"http: it must be a map, not a list", ""},
		"{http: {path: '/a b'}}":                             {`' ' in path "/a b"`, "write %20 for it"},
		"{http: {path: '/a#b'}}":                             {`'#' in path "/a#b"`, "write %23 for it"},
		"{http: {path: /é}}":                                 {`'é' in path "/é"`, "write %C3%A9 for it"},
		`{http: {path: "/\x1b[2J"}}`:                         {`'\x1b' in path "/\x1b[2J"`, "write %1B for it"},
		"{http: {path: /%zz}}":                               {`path "/%zz": invalid URL escape "%zz"`, "write %25"},
		"{http: {path: }}":                                   {"path has no value", ""},
		"{http: {method: get}}":                              {`unknown method "get"`, "capital letters"},
		"{http: {method: 'GET /'}}":                          {`unknown method "GET /"`, "capital letters"},
		"{http: {method: CONNECT}}":                          {"method CONNECT asks for a tunnel", "GET"},
		"{http: {host: 'http://x'}}":                         {`host "http://x" is no name`, "www.example.org"},
		`{http: {host: "a\r\nb"}}`:                           {`host "a\r\nb" is no name`, ""},
		"{http: {status: ok}}":                               {`status: "ok" is not a status code`, "200-299"},
		"{http: {status: 99}}":                               {"status: 99 is not from 100 to 599", ""},
		"{http: {status: 600}}":                              {"status: 600 is not from 100 to 599", ""},
		"{http: {status: 299-200}}":                          {"status: 299-200 has no codes in it", ""},
		"{http: {status: [200, 301]}}":                       {"status must be a single value, not a list", ""},
		"{http: {headers: Accept}}":                          {"headers must be a map", ""},
		"{http: {headers: {Acc ept: x}}}":                    {`"Acc ept" is no name of a header`, ""},
		`{http: {headers: {"X\nY": x}}}`:                     {`"X\nY" is no name of a header`, ""},
		`{http: {headers: {X-A: "x\r\nB: y"}}}`:              {"header X-A has a control character in its value", "one line"},
		"{http: {headers: {X-A: [x]}}}":                      {"header X-A must be a single value", ""},
		"{http: {headers: {X-A: }}}":                         {"header X-A has no value", ""},
		"{http: {headers: {x-a: 1, X-A: 1}}}":                {"header X-A stands twice", "line 4"},
		"{http: {headers: {host: x}}}":                       {"header Host is not free", `write "host:"`},
		"{http: {headers: {connection: x}}}":                 {"header Connection is not free", "leave it out"},
		"{http: {match: 'a('}}":                              {"match is no regular expression: missing closing )", ""},
		"{http: {digest: 0123}}":                             {`digest "0123" is not 32 hexadecimal digits`, "genhash"},
		"{http: {digest: x41d8cd98f00b204e9800998ecf8427e}}": {"is not 32 hexadecimal digits", ""},
		"{http: {method: HEAD, contains: x}}":                {"contains, but the answer to HEAD has no body", "GET"},
		"{http: {name: www.example.org}}":                    {`unknown key "name"`, `"host:"`},
		"{http: {ca: system}}":                               {`unknown key "ca"`, `write "https:"`},
		"{http: {sni: x}}":                                   {`unknown key "sni"`, `write "https:"`},
		"{http: {url: /}}":                                   {`unknown key "url"`, `write "path:"`},
		"{http: {status_code: 200}}":                         {`unknown key "status_code"`, `write "status:"`},
		"{http: {virtualhost: x}}":                           {`unknown key "virtualhost"`, `write "host:"`},
		"{http: {regex: x}}":                                 {`unknown key "regex"`, `write "match:"`},
		"{http: {receive: x}}":                               {`unknown key "receive"`, `write "match:"`},
		"{http: {interval: 2s}}":                             {`unknown key "interval"`, "beside the kind"},
		"{http: {headres: {}}}":                              {`unknown key "headres"`, `did you mean "headers"?`},
		"{https: {enable_sni: x}}":                           {`https: unknown key "enable_sni"`, `write "name:`},
		"{https: {verify: none}}":                            {`https: unknown key "verify"`, "ca: system"},
		"{tls: {path: /}}":                                   {`tls: unknown key "path"`, `write "https:"`},
		"{tls: www.example.org}":                             {"tls: it must be a map", ""},
		"{tls: {name: 'www.example.org:443'}}":               {`name "www.example.org:443" is not that of a host`, ""},
		"{tls: {name: '*.example.org'}}":                     {`name "*.example.org" is not that of a host`, ""},
		"{tls: {ca: ca.pem}}":                                {`ca "ca.pem" is not a whole path`, `or write "system"`},
		"{https: {ca: DIR/missing.pem}}":                     {"https: ca: no such file or directory", "PEM file"},
		"{https: {ca: DIR}}":                                 {"https: ca: this is not a file", ""},
		"{https: {ca: DIR/text.pem}}":                        {"https: ca: this is not PEM", ""},
		"{https: {ca: DIR/large.pem}}":                       {"https: ca: the file is larger than 4 MiB", ""},
		"{https: {ca: DIR/key.pem}}":                         {"https: ca: no certificate in it", ""},
		"{https: {ca: DIR/damaged.pem}}":                     {"https: ca: no certificate in it", ""},
		"{tls: {cert: DIR/cert.pem}}":                        {"cert without key", `write "key:"`},
		"{tls: {key: DIR/key.pem}}":                          {"key without cert", `write "cert:"`},
		"{tls: {cert: cert.pem, key: DIR/key.pem}}":          {`cert "cert.pem" is not a whole path`, "/etc/weir/cert.pem"},
		"{tls: {cert: DIR/cert.pem, key: DIR/other.pem}}":    {"cert and key: private key does not match public key", "belong"},
	} {
		t.Run(check, func(t *testing.T) {
			_, err := config.Parse("weir.yaml", checked(strings.ReplaceAll(check, "DIR", dir)))
			var complaints *config.Error
			if !errors.As(err, &complaints) || len(complaints.Complaints) != 1 {
				t.Fatalf("not one complaint: %v", err)
			}
			c := complaints.Complaints[0]
			if c.Line != 4 || !strings.Contains(c.Message, wants[0]) || !strings.Contains(c.Hint, wants[1]) {
				t.Errorf("line %d: %s\nhint: %s", c.Line, c.Message, c.Hint)
			}
		})
	}
}

// TestSecretsAreNotRepeated: complaints end in logs.
func TestSecretsAreNotRepeated(t *testing.T) {
	_, err := config.Parse("weir.yaml", checked(`{http: {headers: {Authorization: "s3cret\x01"}}}`))
	var complaints *config.Error
	if !errors.As(err, &complaints) {
		t.Fatalf("got %v", err)
	}
	for _, c := range complaints.Complaints {
		if strings.Contains(c.Message+c.Hint, "s3cret") {
			t.Errorf("%s: %s", c.Message, c.Hint)
		}
	}
}
