// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// How long before its end a certificate may be warned of.
const (
	minExpiry = time.Hour
	maxExpiry = 366 * 24 * time.Hour
)

// askTLS is a map, or nothing: a handshake with whatever certificate.
func (s scope) askTLS(n *yaml.Node) model.Ask {
	return model.AskTLS{TLS: s.tlsOf(s.mayBeNothing(n, tlsKeys))}
}

func (s scope) tlsOf(values map[string]*yaml.Node) (out model.TLS) {
	out.Name = s.tlsName(values["name"])
	out.CA = s.tlsCA(values["ca"])
	out.Cert, out.Key = s.tlsCert(values["cert"], values["key"])
	if n := values["expiry"]; n != nil {
		out.Expiry = s.duration(n, "expiry", minExpiry, maxExpiry)
	}
	return out
}

// tlsName is a host's, or an address. A port is no part of it (RFC 6066 section 3).
func (s scope) tlsName(n *yaml.Node) string {
	text := s.httpText(n, "name")
	if _, err := netip.ParseAddr(text); err != nil && strings.Trim(text, hostLetters) != "" {
		s.complain(n, mistake{fmt.Sprintf("name %s is not that of a host", quote(text)),
			`such as "www.example.org", which is sent as SNI and must be in the certificate`})
		return ""
	}
	return text
}

// tlsCA is a word for the host's authorities, or a file with them.
func (s scope) tlsCA(n *yaml.Node) string {
	text := s.httpText(n, "ca")
	if text == "" || text == model.SystemCA {
		return text
	}
	if data := s.pem(n, "ca", text); data != nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
		s.complain(n, mistake{"ca: no certificate in it", "it must have the certificates of authorities"})
	}
	return text
}

// tlsCert is what a server gets to see that wants to know who asks.
func (s scope) tlsCert(cert, key *yaml.Node) (string, string) {
	switch {
	case cert == nil && key == nil:
		return "", ""
	case key == nil:
		s.complain(cert, mistake{"cert without key", `write "key:" too: the path of its private key`})
		return "", ""
	case cert == nil:
		s.complain(key, mistake{"key without cert", `write "cert:" too: the path of its certificate`})
		return "", ""
	}
	certPath, keyPath := s.httpText(cert, "cert"), s.httpText(key, "key")
	certData, keyData := s.pem(cert, "cert", certPath), s.pem(key, "key", keyPath)
	if certData != nil && keyData != nil {
		if _, err := tls.X509KeyPair(certData, keyData); err != nil {
			s.complain(key, mistake{"cert and key: " + strings.TrimPrefix(err.Error(), "tls: "), "they must belong to each other"})
		}
	}
	return certPath, keyPath
}

// pem is what is in a file that a check will need; nil after a complaint, and without a path. It is looked at now:
// otherwise it would seem to be the server's fault that it is missing.
func (s scope) pem(n *yaml.Node, what, path string) []byte {
	if path == "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		s.complain(n, mistake{fmt.Sprintf("%s %s is not a whole path", what, quote(path)), pathHint(what)})
		return nil
	}
	data, err := readPEM(path)
	if err != nil {
		s.complain(n, mistake{fmt.Sprintf("%s: %v", what, err), "name a PEM file that weir can read"})
		return nil
	}
	return data
}

func pathHint(what string) string {
	hint := fmt.Sprintf(`begin at the root, such as "/etc/weir/%s.pem"`, what)
	if what == "ca" {
		hint += fmt.Sprintf(`; or write %q for what this host trusts`, model.SystemCA)
	}
	return hint
}

// readPEM is where a config looks at other files than its own.
func readPEM(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("this is not a file") // and may be one that never ends
	case info.Size() > model.MaxPEM:
		return nil, fmt.Errorf("the file is larger than %d MiB", model.MaxPEM>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if block, _ := pem.Decode(data); block == nil {
		return nil, errors.New("this is not PEM")
	}
	return data, nil
}

// withoutPath is what the system said: complaints name the path themselves.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// tlsPairs are empty where any certificate will do.
func tlsPairs(t model.TLS) []pair {
	pairs := slices.Concat(linePair("name", t.Name), linePair("ca", t.CA), linePair("cert", t.Cert), linePair("key", t.Key))
	if t.Expiry != 0 {
		pairs = append(pairs, pair{"expiry", textNode(printDuration(t.Expiry))})
	}
	return pairs
}

func tlsNode(a model.AskTLS) *yaml.Node { return mapNode(tlsPairs(a.TLS)...) }
