// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"

	"github.com/weir-lb/weir/internal/model"
)

// grpcCheck calls grpc.health.v1.Health/Check over a connection of its own. HTTP/2 is net/http's; the rest is a
// path, a few headers and a field in each message (grpc/doc/PROTOCOL-HTTP2.md, grpc/doc/health-checking.md).
type grpcCheck struct {
	ask    model.AskGRPC
	secure *handshakes // nil: HTTP/2 without TLS, from the first byte on (RFC 9113 section 3.3)
}

func adviseGRPC(ask model.AskGRPC) adviser {
	return (&grpcCheck{ask: ask, secure: handshakesOf(ask.Secure, ask.TLS, "h2")}).advise
}

// advise has to say something only of certificates.
func (g *grpcCheck) advise(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
	c, err := g.dial(ctx, to)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	defer c.Close() // which also ends what net/http has running for it
	defer obey(ctx, c)()
	err = g.call(ctx, c, to)
	if err != nil && isOver(ctx) { // what net/http says of it depends on where it was
		err = errSilent
	}
	return g.secure.verdict(c, err)
}

func (g *grpcCheck) call(ctx context.Context, c net.Conn, to netip.AddrPort) error {
	answer, err := g.transport(c).RoundTrip(g.request(ctx, to))
	if first, ok := c.(*firstWords); ok && err != nil && first.are("HTTP/") {
		return errors.New("grpc: the server speaks HTTP/1.1")
	}
	if err != nil {
		return grpcReason(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("grpc: http %d, expected 200", answer.StatusCode)
	}
	message, err := io.ReadAll(answer.Body) // of a limited connection
	if err != nil {
		return grpcReason(err)
	}
	return g.judge(answer, message)
}

// dial returns a connection on which no more comes than we want to hear.
func (g *grpcCheck) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := g.secure.dialAfter(ctx, to, func(raw net.Conn) (net.Conn, error) { return newLimited(raw, maxTold), nil })
	if err != nil {
		return nil, err
	}
	secure, ok := c.(*tls.Conn)
	switch {
	case !ok:
		return &firstWords{Conn: newLimited(c, maxTold)}, nil
	case secure.ConnectionState().NegotiatedProtocol != "h2":
		_ = secure.NetConn().Close() // without a goodbye, which may wait for the server
		return nil, errors.New("grpc: the server has TLS, but no HTTP/2 behind it")
	}
	return c, nil
}

// transport has this connection, and will never have another.
func (g *grpcCheck) transport(c net.Conn) *http.Transport {
	one := func(context.Context, string, string) (net.Conn, error) { return c, nil }
	out := &http.Transport{
		DialContext:            one,
		DialTLSContext:         one,
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: 2 * maxTold, // our own limit comes first, and its words are plainer
	}
	_, secure := c.(*tls.Conn)
	out.Protocols.SetHTTP2(secure)
	out.Protocols.SetUnencryptedHTTP2(!secure)
	return out
}

func (g *grpcCheck) request(ctx context.Context, to netip.AddrPort) *http.Request {
	message := healthRequest(g.ask.Service)
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) // 0: not compressed
	framed = append(framed, message...)
	scheme := "http"
	if g.secure != nil {
		scheme = "https"
	}
	request := &http.Request{
		Method:        http.MethodPost,
		URL:           &url.URL{Scheme: scheme, Host: to.String(), Path: "/grpc.health.v1.Health/Check"},
		Host:          cmp.Or(g.ask.Host, to.String()),
		Header:        http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"weir"}},
		Body:          io.NopCloser(bytes.NewReader(framed)),
		ContentLength: int64(len(framed)),
	}
	return request.WithContext(ctx)
}

// The one field of each message, as it begins on the wire (protobuf.dev/programming-guides/encoding).
const (
	fieldService = 1<<3 | 2 // HealthCheckRequest.service: a string
	fieldStatus  = 1 << 3   // HealthCheckResponse.status: a number, type 0
)

// healthRequest leaves an empty service out, as is usual.
func healthRequest(service string) []byte {
	if service == "" {
		return nil
	}
	out := binary.AppendUvarint([]byte{fieldService}, uint64(len(service)))
	return append(out, service...)
}

// servingStatuses are those of HealthCheckResponse, each at the place of its number.
var servingStatuses = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// healthStatus reads a framed HealthCheckResponse. One without the field has the first status.
func healthStatus(framed []byte) (string, error) {
	const header = 5 // compressed or not, and how long it is
	if len(framed) < header || framed[0] != 0 || int(binary.BigEndian.Uint32(framed[1:])) != len(framed)-header {
		return "", errors.New("grpc: the answer is no message")
	}
	status := uint64(0)
	for rest := framed[header:]; len(rest) > 0; {
		value, length := binary.Uvarint(rest[1:])
		if rest[0] != fieldStatus || length <= 0 {
			return "", errors.New("grpc: the answer is another message")
		}
		status, rest = value, rest[1+length:]
	}
	if status >= uint64(len(servingStatuses)) {
		return fmt.Sprintf("status %d", status), nil
	}
	return servingStatuses[status], nil
}

// judge looks at the status of the call, which comes behind the message, or in its place with the headers.
func (g *grpcCheck) judge(answer *http.Response, message []byte) error {
	ends := answer.Trailer
	if ends.Get("Grpc-Status") == "" {
		ends = answer.Header
	}
	switch code := ends.Get("Grpc-Status"); code {
	case "":
		return errors.New("grpc: the server speaks HTTP/2, but not gRPC")
	case "0":
	case "5":
		return fmt.Errorf("grpc: there is no service %q", shorten(g.ask.Service, 60))
	case "12":
		return errors.New("grpc: the server has no grpc.health.v1")
	default:
		text, err := url.PathUnescape(ends.Get("Grpc-Message")) // PROTOCOL-HTTP2.md: percent-encoded
		if err != nil {
			text = ends.Get("Grpc-Message")
		}
		return fmt.Errorf("grpc: status %s: %s", shown(code), shown(text))
	}
	status, err := healthStatus(message)
	if err == nil && status != "SERVING" {
		err = fmt.Errorf("grpc: %s, expected SERVING", status)
	}
	return err
}

// firstWords keeps how a server began: of one that speaks another protocol net/http says this or that.
type firstWords struct {
	net.Conn

	reading sync.Mutex // one reads at a time: net/http in a goroutine of its own, or who could not write
	mu      sync.Mutex // guards words
	words   []byte
}

func (f *firstWords) are(words string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.words) == words
}

func (f *firstWords) Read(space []byte) (int, error) {
	f.reading.Lock()
	defer f.reading.Unlock()
	n, err := f.Conn.Read(space)
	f.keep(space[:n])
	return n, err
}

func (f *firstWords) keep(words []byte) {
	const enough = 5 // bytes
	f.mu.Lock()
	defer f.mu.Unlock()
	f.words = append(f.words, words[:min(len(words), enough-len(f.words))]...)
}

// Write listens once more to a server that has gone before it heard everything: it may have said why, and net/http
// gives up without having read that.
func (f *firstWords) Write(words []byte) (int, error) {
	n, err := f.Conn.Write(words)
	if err != nil {
		_, _ = f.Read(make([]byte, 512))
	}
	return n, err
}

// grpcReason is why there was no answer.
func grpcReason(err error) error {
	if much, ok := errors.AsType[tooMuch](err); ok {
		return fmt.Errorf("grpc: %w in an answer", much)
	}
	return heard("grpc", err)
}
