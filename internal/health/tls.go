// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// adviseTLS wants a handshake. With TLS 1.3 it is over for the client before the server has judged the client's
// certificate (RFC 8446 section 2): that it refuses it shows in an https check, not here.
func adviseTLS(ask model.AskTLS) adviser {
	h := &handshakes{ask: ask.TLS}
	return func(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
		c, err := h.dial(ctx, to)
		if err != nil {
			return model.Advice{}, tame(err)
		}
		_ = c.Close() // it says goodbye, which may come too late for a server that has hung up: that is no fault of it
		return h.warn(c, time.Now()), nil
	}
}

// verdict is what a conversation came to, and what is to be said of the certificate behind it.
func (h *handshakes) verdict(c net.Conn, err error) (model.Advice, error) {
	if err != nil {
		return model.Advice{}, tame(err)
	}
	return h.warn(c, time.Now()), nil
}

// warn says when the first certificate ends that the server has shown, if that is soon. It may have ended: who does
// not verify them takes it all the same.
func (h *handshakes) warn(c net.Conn, now time.Time) (out model.Advice) {
	secure, ok := c.(*tls.Conn)
	if !ok || h.ask.Expiry == 0 {
		return out
	}
	for _, cert := range secure.ConnectionState().PeerCertificates {
		if soon := cert.NotAfter.Before(now.Add(h.ask.Expiry)); soon && (out.Ends.IsZero() || cert.NotAfter.Before(out.Ends)) {
			out.Ends = cert.NotAfter.UTC()
		}
	}
	return out
}

// handshakes are those of one check. Certificates are renewed while we run, so the files are looked at before each
// handshake, and read when they are others than the last time.
type handshakes struct {
	ask       model.TLS
	protocols []string // what is spoken behind the handshake (RFC 7301); nil: nothing is said of it

	mu     sync.Mutex // guards what follows
	files  [3]stamp   // CA, Cert and Key, of which config was made
	config *tls.Config
}

// stamp tells whether a file is still the one that was read.
type stamp struct{ size, changed int64 }

// handshakesOf is nil where nothing is to be secure.
func handshakesOf(secure bool, ask model.TLS, protocols ...string) *handshakes {
	if !secure {
		return nil
	}
	return &handshakes{ask: ask, protocols: protocols}
}

// dial connects, and shakes hands unless there is nothing to be secure.
func (h *handshakes) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return h.dialAfter(ctx, to, func(raw net.Conn) (net.Conn, error) { return raw, nil })
}

// dialAfter has a connection prepared before hands are shaken.
func (h *handshakes) dialAfter(ctx context.Context, to netip.AddrPort, prepare func(net.Conn) (net.Conn, error)) (net.Conn, error) {
	if h == nil {
		return dial(ctx, to)
	}
	config, err := h.configFor(to)
	if err != nil {
		return nil, err
	}
	raw, err := dial(ctx, to)
	if err != nil {
		return nil, err
	}
	prepared, err := prepare(raw)
	if err == nil {
		var c net.Conn
		if c, err = shake(ctx, prepared, config); err == nil {
			return c, nil
		}
	}
	_ = raw.Close() // it may be closed already
	return nil, err
}

// shake makes a connection secure (RFC 8446 section 4). Of what a server says until then, certificates are most.
func shake(ctx context.Context, raw net.Conn, config *tls.Config) (*tls.Conn, error) {
	heard := newLimited(raw, maxTold)
	c := tls.Client(heard, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, tlsReason(err)
	}
	heard.left = math.MaxInt
	return c, nil
}

// configFor names the server: by its address where there is no name, which is not sent then (RFC 6066 section 3)
// but must be in the certificate.
func (h *handshakes) configFor(to netip.AddrPort) (*tls.Config, error) {
	current, err := h.current()
	if err != nil {
		return nil, err
	}
	config := current.Clone()
	config.ServerName = cmp.Or(h.ask.Name, to.Addr().Unmap().WithZone("").String())
	config.NextProtos = h.protocols
	return config, nil
}

// current is made of the files as they are. If they cannot be read any more, what was read before is still good:
// servers do not fall because a file is being replaced here.
func (h *handshakes) current() (*tls.Config, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.look()
	if h.config != nil && now == h.files {
		return h.config, nil
	}
	config, err := readTLS(h.ask)
	switch {
	case err == nil:
		h.files, h.config = now, config
	case h.config == nil:
		return nil, ownFault{err}
	}
	return h.config, nil
}

// look is called before the files are read: one that changes meanwhile is read again the next time.
func (h *handshakes) look() (out [3]stamp) {
	for i, path := range []string{h.ask.CA, h.ask.Cert, h.ask.Key} {
		if info, err := os.Stat(path); err == nil {
			out[i] = stamp{info.Size(), info.ModTime().UnixNano()}
		}
	}
	return out
}

func readTLS(ask model.TLS) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: ask.CA == ""}
	if ask.CA != "" && ask.CA != model.SystemCA { // without a pool, it is the host's
		text, err := readPEM(ask.CA)
		if err != nil {
			return nil, fmt.Errorf("ca %s: %w", ask.CA, plainly(err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca %s: no certificate in it", ask.CA)
		}
	}
	if ask.Cert != "" {
		own, err := readPair(ask.Cert, ask.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

func readPair(cert, key string) (none tls.Certificate, err error) {
	shown, err := readPEM(cert)
	if err != nil {
		return none, fmt.Errorf("cert %s: %w", cert, plainly(err))
	}
	private, err := readPEM(key)
	if err != nil {
		return none, fmt.Errorf("key %s: %w", key, plainly(err))
	}
	own, err := tls.X509KeyPair(shown, private)
	if err != nil {
		return none, fmt.Errorf("cert %s: %w", cert, err)
	}
	return own, nil
}

// readPEM wants all of a file: a part of one has only some of its certificates.
func readPEM(path string) ([]byte, error) {
	text, err := readFile(path, model.MaxPEM+1)
	if err == nil && len(text) > model.MaxPEM {
		err = fmt.Errorf("more than %d MiB", model.MaxPEM>>20)
	}
	return text, err
}

// tlsReason is why a handshake failed, for people.
func tlsReason(err error) error {
	if reason := certificateReason(err); reason != nil {
		return reason
	}
	if reason := alertReason(err); reason != nil {
		return reason
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(e.RecordHeader[:]) == "HTTP/" {
		return errors.New("tls: the server answers in plain HTTP")
	}
	return heard("tls", err)
}

// certificateReason is nil unless the certificate was found bad (RFC 5280 section 6, RFC 9525 section 6).
func certificateReason(err error) error {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("tls: certificate is for %s, not for %s", certified(e.Certificate), e.Host)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("tls: certificate is signed by an unknown authority, %q", shorten(e.Cert.Issuer.String(), 40))
	}
	e, ok := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case !ok || e.Reason != x509.Expired:
		return nil
	case time.Now().After(e.Cert.NotAfter):
		return fmt.Errorf("tls: certificate expired %s", e.Cert.NotAfter.UTC().Format(time.DateOnly))
	}
	return fmt.Errorf("tls: certificate is valid from %s", e.Cert.NotBefore.UTC().Format(time.DateOnly))
}

// certified is the first name in a certificate, and how many there are besides.
func certified(c *x509.Certificate) string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch len(names) {
	case 0:
		return "no name"
	case 1:
		return shorten(names[0], 40)
	}
	return fmt.Sprintf("%s and %d more", shorten(names[0], 40), len(names)-1)
}

// alertReason is nil unless one side broke off with an alert (RFC 8446 section 6).
func alertReason(err error) error {
	e, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return nil
	}
	alert, ok := strings.CutPrefix(e.Err.Error(), "tls: ")
	switch {
	case !ok:
		return nil
	case e.Op == "remote error":
		return fmt.Errorf("tls: server refuses: %s", alert)
	}
	return fmt.Errorf("tls: %s", alert) // ours: the server broke the rules
}
