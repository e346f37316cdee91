// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weir-lb/weir/internal/model"
)

// How much of an answer is read.
const (
	maxHTTPHead = 64 << 10
	maxHTTPBody = 1 << 20
)

// httpCheck sends one request over a connection of its own, and reads the answer to it. http.Transport would be in
// the way: it dials without the deadline of the request, and says of a server that hangs up that it was idle.
// So there is nothing here that could use a proxy, follow a redirect, or keep a cookie.
type httpCheck struct {
	ask    model.AskHTTP
	secure *handshakes // nil: http
	target *url.URL
	header http.Header
	match  *regexp.Regexp // nil: any body will do
}

func adviseHTTP(ask model.AskHTTP) (adviser, error) {
	target, err := url.ParseRequestURI(cmp.Or(ask.Path, model.DefaultPath))
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	h := &httpCheck{ask: ask, target: target, header: http.Header{"User-Agent": {"weir"}}}
	for name, value := range ask.EachHeader() {
		h.header.Set(name, value)
	}
	if ask.Match != "" {
		if h.match, err = regexp.Compile(ask.Match); err != nil {
			return nil, fmt.Errorf("match: %w", err)
		}
	}
	h.secure = handshakesOf(ask.Secure, ask.TLS)
	return h.advise, nil
}

// advise has to say something only of certificates.
func (h *httpCheck) advise(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
	c, err := h.secure.dial(ctx, to)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	defer c.Close()
	return h.secure.verdict(c, h.converse(ctx, c, to))
}

func (h *httpCheck) converse(ctx context.Context, c net.Conn, to netip.AddrPort) error {
	defer obey(ctx, c)()
	answer, err := httpAnswer(c, h.request(to))
	switch {
	case err == nil:
		err = h.judge(ctx, answer)
	case isOver(ctx): // what came of a line counts as a line, and makes no sense
		err = fmt.Errorf("http: %w", errSilent)
	}
	return tame(err)
}

// isOver tells whether the time for an answer is.
func isOver(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// request asks for an end of the connection behind the answer (RFC 9112 section 9.6), and for no encoding of it.
func (h *httpCheck) request(to netip.AddrPort) *http.Request {
	return &http.Request{
		Method: cmp.Or(h.ask.Method, model.DefaultMethod),
		URL:    h.target,
		Host:   cmp.Or(h.ask.Host, to.String()),
		Header: h.header,
		Close:  true,
	}
}

// httpAnswer reads the head of the final answer; interim ones (RFC 9110 section 15.2) are passed over. The body
// is never closed, which would read it to its end: the connection is.
func httpAnswer(c net.Conn, request *http.Request) (*http.Response, error) {
	// Who hangs up before the request is through may have said why: what can be read then tells more than that
	// it could not be written.
	_ = request.Write(c)
	limited := &io.LimitedReader{R: c, N: maxHTTPHead}
	r := bufio.NewReader(limited)
	for {
		answer, err := http.ReadResponse(r, request)
		switch {
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("http: the head of the answer is longer than %d KiB", maxHTTPHead>>10)
		case err != nil:
			return nil, httpReason("http", err)
		case answer.StatusCode/100 != 1 || answer.StatusCode == http.StatusSwitchingProtocols:
			limited.N = math.MaxInt64
			return answer, nil
		}
	}
}

// judge reads the body only if something is wanted of it.
func (h *httpCheck) judge(ctx context.Context, answer *http.Response) error {
	if !h.ask.Status.Has(answer.StatusCode) {
		return fmt.Errorf("http %03d, expected %s", answer.StatusCode, h.ask.Status)
	}
	if h.ask.Contains == "" && h.match == nil && h.ask.Digest == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxHTTPBody+1))
	if err != nil {
		return httpReason("body", err)
	}
	known := body[:min(len(body), maxHTTPBody)]
	switch err := h.search(ctx, known); {
	case err != nil:
		return err
	case h.ask.Digest == "":
		return nil
	case len(body) > maxHTTPBody:
		return fmt.Errorf("body is longer than %d MiB: too much for a digest", maxHTTPBody>>20)
	}
	return checkDigest(body, h.ask.Digest)
}

// search wants what is to be in a body.
func (h *httpCheck) search(ctx context.Context, body []byte) error {
	if !bytes.Contains(body, []byte(h.ask.Contains)) {
		return fmt.Errorf("body lacks %q", shorten(h.ask.Contains, 60))
	}
	if h.match == nil {
		return nil
	}
	switch found, err := matches(ctx, h.match, body); {
	case err != nil:
		return fmt.Errorf("body: %w", err)
	case !found:
		return fmt.Errorf("body does not match /%s/", shorten(h.ask.Match, 60))
	}
	return nil
}

// checkDigest compares as keepalived does, whose genhash makes digests.
func checkDigest(body []byte, want string) error {
	sum := md5.Sum(body)
	if got := hex.EncodeToString(sum[:]); got != want {
		return fmt.Errorf("body has digest %s, expected %s", got, want)
	}
	return nil
}

// httpReason is why an answer could not be read. Over TLS it may be that the server refuses our certificate only now.
func httpReason(of string, err error) error {
	if reason := alertReason(err); reason != nil {
		return reason
	}
	return heard(of, err)
}

// heard is an error of reading from a server, behind the name of what was to be read.
func heard(of string, err error) error {
	err = plainly(err)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the server hangs up", of)
	case strings.HasPrefix(err.Error(), of+": "):
		return err
	}
	return fmt.Errorf("%s: %w", of, err)
}

// maxReason is how long a reason may be, in characters.
const maxReason = 120

// tame makes one short line of a reason, whatever the server has put into it: it ends in terminals and logs.
func tame(err error) error {
	if err == nil {
		return nil
	}
	text := shorten(strings.Map(printable, err.Error()), maxReason)
	if text == err.Error() {
		return err
	}
	return tamed{err, text}
}

// tamed is an error with another text.
type tamed struct {
	error
	text string
}

func (e tamed) Error() string { return e.text }
func (e tamed) Unwrap() error { return e.error }

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return utf8.RuneError
}

func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
