// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key := newKey(t)
	return authority{signed(t, template, template, key, key), key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t *testing.T, template, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// valid is a certificate for hosts, from now on.
func (a authority) valid(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	return a.certify(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), names...)
}

func (a authority) certify(t *testing.T, from, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a host"}, NotBefore: from, NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, name)
	}
	key := newKey(t)
	cert := signed(t, template, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// written puts a file into a directory of its own.
func written(t *testing.T, name string, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// asFiles is a certificate with its key as a check wants them.
func asFiles(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})),
		written(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// secureServer answers every request well.
func secureServer(t *testing.T, config *tls.Config) netip.AddrPort {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// bothOf are a check by handshake alone, and one with a request behind it.
func bothOf(with model.TLS) map[string]probe {
	return map[string]probe{
		"tls":   probeMade(probeTLS(model.AskTLS{TLS: with})),
		"https": probeMade(probeHTTP(model.AskHTTP{Secure: true, TLS: with})),
	}
}

func TestCertificatesAreJudgedIfThereIsAnAuthority(t *testing.T) {
	const host = "www.example.org"
	ours, stranger := newAuthority(t, "ours"), newAuthority(t, "a stranger")
	day := func(year int) time.Time { return time.Date(year, 1, 2, 12, 0, 0, 0, time.UTC) }
	long := strings.Repeat("a", 60) + ".example.org"
	good := ours.valid(t, "example.org", host, "127.0.0.1")
	ca := written(t, "ca.pem", ours.pem())
	for _, tt := range []struct {
		name string
		cert tls.Certificate
		ask  model.TLS
		want string
	}{
		{"no authority, any certificate", stranger.certify(t, day(2020), day(2021), "other.example"), model.TLS{Name: host}, ""},
		{"its name", good, model.TLS{CA: ca, Name: host}, ""},
		{"its address", good, model.TLS{CA: ca}, ""},
		{"a wildcard", ours.valid(t, "*.example.org"), model.TLS{CA: ca, Name: host}, ""},
		{"another name", ours.valid(t, "other.example"), model.TLS{CA: ca, Name: host}, "tls: certificate is for other.example, not for www.example.org"},
		{"other names", ours.valid(t, "a.example", "b.example", "192.0.2.1"), model.TLS{CA: ca, Name: host}, "tls: certificate is for a.example and 2 more, not for www.example.org"},
		{"no name", ours.valid(t), model.TLS{CA: ca, Name: host}, "tls: certificate is for no name, not for www.example.org"},
		{"a long name", ours.valid(t, long), model.TLS{CA: ca, Name: host}, "tls: certificate is for " + strings.Repeat("a", 39) + "…, not for www.example.org"},
		{"expired", ours.certify(t, day(2020), day(2021), host), model.TLS{CA: ca, Name: host}, "tls: certificate expired 2021-01-02"},
		{"too new", ours.certify(t, day(2090), day(2091), host), model.TLS{CA: ca, Name: host}, "tls: certificate is valid from 2090-01-02"},
		{"of a stranger", stranger.valid(t, host), model.TLS{CA: ca, Name: host}, `tls: certificate is signed by an unknown authority, "CN=a stranger"`},
		{"the host's authorities", good, model.TLS{CA: model.SystemCA, Name: host}, `tls: certificate is signed by an unknown authority, "CN=ours"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := secureServer(t, &tls.Config{Certificates: []tls.Certificate{tt.cert}})
			for kind, p := range bothOf(tt.ask) {
				t.Run(kind, func(t *testing.T) { wantReason(t, answered(t, p, to, forever), tt.want) })
			}
		})
	}
}

// TestCertificatesThatEndSoonAreWarnedOf, by whoever signed them, and the check is good all the same.
func TestCertificatesThatEndSoonAreWarnedOf(t *testing.T) {
	ours := newAuthority(t, "ours")
	in := func(d time.Duration) time.Time { return time.Now().Add(d).UTC().Truncate(time.Second) }
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name   string
		until  time.Time
		expiry time.Duration
		warned bool
	}{
		{"nobody looks", in(day), 0, false}, {"soon", in(9 * day), 14 * day, true}, {"later", in(15 * day), 14 * day, false}, {"it is over", in(-day), day, true},
	} {
		to := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ours.certify(t, in(-30*day), tt.until, "www.example.org")}})
		https, err := adviseHTTP(model.AskHTTP{Secure: true, TLS: model.TLS{Expiry: tt.expiry}})
		if err != nil {
			t.Fatal(err)
		}
		for kind, ask := range map[string]adviser{"https": https, "tls": adviseTLS(model.AskTLS{TLS: model.TLS{Expiry: tt.expiry}})} {
			var want model.Advice
			if tt.warned {
				want.Ends = tt.until
			}
			ctx, cancel := context.WithTimeout(t.Context(), forever)
			if got, err := ask(ctx, to); err != nil || got != want {
				t.Errorf("%s, %s: %+v, %v, want %+v", tt.name, kind, got, err, want)
			}
			cancel()
		}
	}
}

// TestAddressMustBeInTheCertificate where no name is wanted.
func TestAddressMustBeInTheCertificate(t *testing.T) {
	ours := newAuthority(t, "ours")
	to := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ours.valid(t, "www.example.org")}})
	p := probeMade(probeTLS(model.AskTLS{TLS: model.TLS{CA: written(t, "ca.pem", ours.pem())}}))
	wantReason(t, p(t.Context(), to), "tls: certificate is for www.example.org, not for 127.0.0.1")
}

// TestFilesOfCertificatesAreNotWaitedFor: a FIFO that was put in the place of one must not hang the check.
func TestFilesOfCertificatesAreNotWaitedFor(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, _ := asFiles(t, newAuthority(t, "ours").valid(t, "client"))
	for want, ask := range map[string]model.TLS{
		"ca " + fifo + ": not a file":   {CA: fifo},
		"cert " + fifo + ": not a file": {Cert: fifo, Key: fifo},
		"key " + fifo + ": not a file":  {Cert: cert, Key: fifo},
	} {
		if _, err := readTLS(ask); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestNameIsSent: servers choose their certificate by it. An address is no name there.
func TestNameIsSent(t *testing.T) {
	for name, want := range map[string]string{"www.example.org": "www.example.org", "": "", "192.0.2.1": ""} {
		names := make(chan string, 1)
		to := secureServer(t, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			names <- hello.ServerName
			return nil, nil
		}})
		wantReason(t, answered(t, probeMade(probeTLS(model.AskTLS{TLS: model.TLS{Name: name}})), to, forever), "")
		if got := hears(t, names); got != want {
			t.Errorf("for %q, %q is sent", name, got)
		}
	}
}

// TestServersMayWantToKnowWhoAsks: a refusal comes behind the handshake (TLS 1.3) or within it (TLS 1.2).
func TestServersMayWantToKnowWhoAsks(t *testing.T) {
	ours := newAuthority(t, "ours")
	cert, key := asFiles(t, ours.valid(t, "check.example.org"))
	known := model.TLS{Cert: cert, Key: key}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			to := secureServer(t, &tls.Config{
				MaxVersion: version, Certificates: []tls.Certificate{ours.valid(t, "www.example.org")},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool(),
			})
			for _, p := range bothOf(known) {
				wantReason(t, answered(t, p, to, forever), "")
			}
			err := answered(t, bothOf(model.TLS{})["https"], to, forever)
			if err == nil || !strings.HasPrefix(err.Error(), "tls: server refuses: ") {
				t.Errorf("without a certificate: %v", err)
			}
		})
	}
}

// TestRenewedFilesAreReadAgain, and what cannot be read does not bring down servers.
func TestRenewedFilesAreReadAgain(t *testing.T) {
	const host, unknown = "www.example.org", `tls: certificate is signed by an unknown authority, "CN=ours"`
	ours := newAuthority(t, "ours")
	to := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ours.valid(t, host)}})
	path := filepath.Join(t.TempDir(), "ca.pem")
	p := probeMade(probeTLS(model.AskTLS{TLS: model.TLS{CA: path, Name: host}}))
	err := p(t.Context(), to)
	if err == nil || !strings.HasPrefix(err.Error(), "ca "+path[:20]) {
		t.Errorf("the file is missing: %v", err)
	}
	for i, step := range []struct {
		name string
		data []byte
		want string
	}{
		{"a stranger's", newAuthority(t, "a stranger").pem(), unknown},
		{"ours", ours.pem(), ""},
		{"half of it", ours.pem()[:100], ""},
		{"nothing", nil, ""},
		{"a stranger's again", newAuthority(t, "a stranger").pem(), unknown},
	} {
		replace(t, path, step.data, i)
		t.Run(step.name, func(t *testing.T) {
			wantReason(t, answered(t, p, to, forever), step.want)
			wantReason(t, answered(t, p, to, forever), step.want)
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantReason(t, answered(t, p, to, forever), unknown)
}

// replace gives each version of a file a time of its own, as renewals have.
func replace(t *testing.T, path string, data []byte, version int) {
	t.Helper()
	at := time.Date(2026, 1, 1, version, 0, 0, 0, time.UTC)
	if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chtimes(path, at, at)); err != nil {
		t.Fatal(err)
	}
}

// TestCAsAreReadToTheirEnd, up to what a config accepts: the authority behind the cut would be missing.
func TestCAsAreReadToTheirEnd(t *testing.T) {
	last := newAuthority(t, "last").pem()
	text := append(bytes.Repeat([]byte("#\n"), (model.MaxPEM-len(last))/2), last...)
	whole := written(t, "ca.pem", text)
	if config, err := readTLS(model.TLS{CA: whole}); err != nil || config.RootCAs == nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	more := written(t, "ca.pem", append([]byte("##\n"), text...))
	want := "ca " + more + ": more than 4 MiB"
	if _, err := readTLS(model.TLS{CA: more}); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestHandshakeIsEnough: what the server does then is not asked.
func TestHandshakeIsEnough(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{newAuthority(t, "ours").valid(t, "www.example.org")}}
	to := lineServer(t, func(c net.Conn) { _ = tls.Server(c, config).Handshake() })
	wantReason(t, answered(t, probeMade(probeTLS(model.AskTLS{})), to, forever), "")
}

// TestLiarsOfTLS: whatever a server does, both probes end with a reason.
func TestLiarsOfTLS(t *testing.T) {
	const gone = "^tls: (the server hangs up|connection reset by peer|broken pipe)$"
	slow := func(c net.Conn) {
		_, err := io.WriteString(c, "\x16\x03\x03\x40\x00")
		for err == nil {
			time.Sleep(20 * time.Millisecond)
			_, err = io.WriteString(c, "\x02")
		}
	}
	for _, tt := range []struct {
		name   string
		server func(net.Conn)
		want   string // an expression
	}{
		{"garbage", says("\x00\xff\x1b[31m\x07 garbage\r\n"), "^tls: first record does not look like a TLS handshake$"},
		{"a line", says("220 mail.example.org\r\n"), "^tls: first record does not look like a TLS handshake$"},
		{"plain HTTP", says("HTTP/1.1 400 Bad Request\r\n\r\n"), "^tls: the server answers in plain HTTP$"},
		{"a bad hello", says("\x16\x03\x03\x00\x04\x02\x00\x00\x00"), "^tls: "},
		{"an alert", says("\x15\x03\x03\x00\x02\x02\x28"), "^tls: server refuses: handshake failure$"},
		{"an alert of nobody", says("\x15\x03\x03\x00\x02\x02\xfe"), `^tls: server refuses: alert\(254\)$`},
		{"it closes at once", func(net.Conn) {}, gone},
		{"it closes in a record", saysAndCloses("\x16\x03\x03\x40\x00\x02"), gone},
		{"it accepts, no more", says(""), "^tls: no answer$"},
		{"half a record", says("\x16\x03\x03\x40\x00\x02"), "^tls: no answer$"},
		{"a record byte by byte", slow, "^tls: no answer$"},
		{"a hello without end", says("\x16\x03\x03\x40\x00\x02\x00\xff\xff" + strings.Repeat("\x00", 0x4000-4) + strings.Repeat("\x16\x03\x03\x40\x00"+strings.Repeat("\x00", 0x4000), 4)), "^tls: more than 64 KiB$"},
	} {
		for kind, p := range bothOf(model.TLS{}) {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				within := forever
				if strings.Contains(tt.want, "no answer") {
					within = later
				}
				err := answered(t, p, lineServer(t, tt.server), within)
				if err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
			})
		}
	}
}

// TestLiarsBehindTheHandshake: within TLS, silence and hanging up are the same as without.
func TestLiarsBehindTheHandshake(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{newAuthority(t, "ours").valid(t, "www.example.org")}}
	within := func(serve func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			secure := tls.Server(c, config)
			defer secure.Close()
			if secure.Handshake() == nil {
				serve(secure)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		server func(net.Conn)
		within time.Duration
		want   string
	}{
		{"garbage", replies("\x00\xff garbage\n"), forever, `http: malformed HTTP status code "garbage"`},
		{"half a body", replies("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), forever, "body: the server hangs up"},
		{"half a body without end", func(c net.Conn) {
			readHead(c)
			says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")(c)
		}, later, "body: no answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := probeMade(probeHTTP(model.AskHTTP{Secure: true, Contains: "needle"}))
			wantReason(t, answered(t, p, lineServer(t, within(tt.server)), tt.within), tt.want)
		})
	}
}
