// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TLS is how a server that speaks TLS is met. The zero value takes any certificate, as keepalived's SSL_GET does.
type TLS struct {
	Name string // sent as SNI, and what the certificate must be for; "": none is sent, and it must be for the server's address
	CA   string // path of a PEM file with authorities, or SystemCA; "": the certificate is not verified
	Cert string // path of a PEM file with the certificate that is shown to the server; "": none
	Key  string // path of a PEM file with its private key

	Expiry time.Duration // so long before its end a certificate of the server is warned of; 0: never
}

// LookAtCertificates tells whether somebody is warned before the server's ends.
func (c Checks) LookAtCertificates() bool {
	return slices.ContainsFunc(c.Of, func(c Check) bool { return tlsOf(c.Ask).Expiry > 0 })
}

// tlsOf is how a server is met that is asked so; the zero value: not by TLS.
func tlsOf(ask Ask) TLS {
	switch ask := ask.(type) {
	case AskTLS:
		return ask.TLS
	case AskHTTP:
		return ask.TLS
	case AskGRPC:
		return ask.TLS
	case AskMySQL:
		return ask.TLS
	case AskPostgreSQL:
		return ask.TLS
	case AskLDAP:
		return ask.TLS
	}
	return TLS{}
}

// MaxPEM bounds a file of certificates, in bytes. What distributions trust is a quarter of a MiB.
const MaxPEM = 4 << 20

// SystemCA stands for the authorities that the host trusts.
const SystemCA = "system"

// AskTLS wants a TLS handshake, and nothing more.
type AskTLS struct{ TLS TLS }

func (AskTLS) Kind() string { return "tls" }

// AskHTTP wants the answer to one request.
type AskHTTP struct {
	Secure   bool // https
	TLS      TLS  // of https
	Method   string
	Path     string   // with its query
	Host     string   // the header; "": the server's address and port
	Headers  string   // more of them, as JoinHeaders has them
	Status   Statuses // the answer has one of them
	Contains string   // a text in the body; "": any body will do
	Match    string   // a regular expression (RE2) for the body
	Digest   string   // the body's MD5 in small hex digits, as keepalived's genhash prints it
}

// What a request has where nothing else is said.
const (
	DefaultMethod = "GET"
	DefaultPath   = "/"
)

func (a AskHTTP) Kind() string {
	if a.Secure {
		return "https"
	}
	return "http"
}

// AskGRPC asks the health service of a gRPC server (grpc.health.v1).
type AskGRPC struct {
	Service string // as the server's programmers have named it; "": the server as a whole
	Host    string // the authority; "": the server's address and port
	Secure  bool   // over TLS
	TLS     TLS    // where it is
}

func (AskGRPC) Kind() string { return "grpc" }

// EachHeader goes through Headers.
func (a AskHTTP) EachHeader() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for line := range strings.Lines(a.Headers) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if !yield(name, value) {
				return
			}
		}
	}
}

// JoinHeaders makes one text of headers, in which no value has a line end: equal headers are equal texts.
func JoinHeaders(headers map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(&b, "%s: %s\n", name, headers[name])
	}
	return b.String()
}

// Statuses is a set of status codes. A code's bit says that it is not as in the default, so the zero value is the
// default, and equal sets are equal values.
type Statuses [8]uint64

// What a status code may be (RFC 9110 section 15).
const (
	MinStatus = 100
	MaxStatus = 599
)

// isStandardStatus is the default: the codes of success (RFC 9110 section 15.3).
func isStandardStatus(code int) bool { return code >= 200 && code <= 299 }

// Has tells whether a code is in the set.
func (s Statuses) Has(code int) bool {
	if code < MinStatus || code > MaxStatus {
		return false
	}
	word, bit := statusBit(code)
	return (s[word]&bit != 0) != isStandardStatus(code)
}

// Add puts the codes from first to last into the set.
func (s *Statuses) Add(first, last int) {
	for code := max(first, MinStatus); code <= min(last, MaxStatus); code++ {
		s.set(code, true)
	}
}

func (s *Statuses) set(code int, in bool) {
	if s.Has(code) != in {
		word, bit := statusBit(code)
		s[word] ^= bit
	}
}

// statusBit is where the bit of a code is.
func statusBit(code int) (word int, bit uint64) {
	code -= MinStatus
	return code / 64, 1 << (code % 64)
}

// String is the shortest text for which ParseStatuses gives this set: 200-299,301.
func (s Statuses) String() string {
	var ranges []string
	for code := MinStatus; code <= MaxStatus; code++ {
		if !s.Has(code) {
			continue
		}
		text := strconv.Itoa(code)
		if first := code; s.Has(code + 1) {
			for s.Has(code + 1) {
				code++
			}
			text = fmt.Sprintf("%d-%d", first, code)
		}
		ranges = append(ranges, text)
	}
	return strings.Join(ranges, ",")
}

// ParseStatuses reads codes, and ranges of them, with commas between.
func ParseStatuses(text string) (Statuses, error) {
	var out Statuses
	for code := MinStatus; code <= MaxStatus; code++ {
		out.set(code, false)
	}
	for item := range strings.SplitSeq(text, ",") {
		first, last, err := parseStatusRange(strings.TrimSpace(item))
		if err != nil {
			return Statuses{}, err
		}
		out.Add(first, last)
	}
	return out, nil
}

func parseStatusRange(text string) (first, last int, err error) {
	low, high, found := strings.Cut(text, "-")
	if first, err = parseStatus(low); err != nil || !found {
		return first, first, err
	}
	if last, err = parseStatus(high); err == nil && first > last {
		err = fmt.Errorf("%d-%d has no codes in it", first, last)
	}
	return first, last, err
}

func parseStatus(text string) (int, error) {
	code, err := strconv.Atoi(text)
	switch {
	case text == "" || text[0] == '0' || strings.Trim(text, "0123456789") != "":
		return 0, fmt.Errorf("%.20q is not a status code", text)
	case err != nil || code < MinStatus || code > MaxStatus:
		return 0, fmt.Errorf("%.20s is not from %d to %d", text, MinStatus, MaxStatus)
	}
	return code, nil
}
