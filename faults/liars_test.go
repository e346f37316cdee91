// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// liar is a server that answers badly, and how often it is asked.
type liar struct {
	lies
	terms
}

// lies are what a liar is asked, and what it says.
type lies struct {
	name  string
	check string // what is asked; PORT and PROGRAM: where
	lie   lie
}

// lie is a way to say something.
type lie interface {
	open(t *testing.T, h *hostility, l liar, port uint16) error
	protocol() string // of the service
}

// terms are on what liars are asked.
type terms struct {
	interval, timeout time.Duration
	body              bool // the answer has a body that is searched
	alone             bool // there is one of each
}

// liars share two processors with the director and the network, which has a packet for every few KiB of an answer.
// Were all asked without a pause, there would be more to read than the machine can carry, and what is measured would
// be how that is shared out: those that talk have a third of the time off, and those of bodies get more of it, or
// none would come to the end of what is read of it. Programs are asked seldom, since what they do costs the machine
// more than the daemon. The next question to a liar by UDP tells of the end of the last one, so it has no pause.
func liars(secret string) []liar {
	return slices.Concat(
		on(terms{interval: 300 * time.Millisecond, timeout: hostileTimeout}, talkers()),
		on(terms{interval: time.Second, timeout: time.Second, body: true, alone: true}, bodies()),
		on(terms{interval: hostileTimeout, timeout: hostileTimeout, alone: true}, datagrams(secret)),
		on(terms{interval: time.Second, timeout: hostileTimeout, alone: true}, hostilePrograms()),
	)
}

func on(t terms, all []lies) (out []liar) {
	for _, l := range all {
		out = append(out, liar{l, t})
	}
	return out
}

// asked is the check of a service, and its protocol.
func (l liar) asked(h *hostility, port uint16) string {
	check := strings.NewReplacer("PORT", fmt.Sprint(port), "PROGRAM", h.programs.path(port)).Replace(l.check)
	return fmt.Sprintf("{%s, interval: %v, timeout: %v}, protocol: %s", check, l.interval, l.timeout, l.lie.protocol())
}

const ok = "HTTP/1.1 200 OK\r\n"

func talkers() []lies {
	return []lies{
		{"a head without end", "http: /", says(ok, "X: "+strings.Repeat("x", 1000)+"\r\n")},
		{"a line without end", "http: /", says(ok+"X: ", "x")},
		{"interim answers without end", "http: /", says("", "HTTP/1.1 103 Early Hints\r\n\r\n")},
		{"a byte a second", "http: /", slowly(ok + "Content-Length: 9\r\n\r\nfine.....")},
		{"a bad status", "http: /", says("HTTP/1.1 "+strings.Repeat("9", 4000)+" \x1b[2J\r\n\r\n", "")},
		{"no TLS", "https: /", says("", "\x00\xff\x17garbage")},
		{"TLS without end", "tls: {name: www.example.org}", says("", "\x16\x03\x03\x40\x00\x02\x00\xff\xff"+strings.Repeat("x", 0x4000-4))},
		{"an answer without end", "expect: {send: 'stats\\r\\n', expect: '(x+x+)+y$'}", says("", strings.Repeat("x", 1000))},
		{"a greeting without end", "smtp: {}", says("", "220-"+strings.Repeat("x", 4000)+"\r\n")},
		{"lines before the greeting", "ssh: {}", says("", strings.Repeat("x", 4000)+"\r\n")},
		{"a word of 2 GB", "redis: {}", says("$2147483648\r\n", strings.Repeat("x", 8<<10))},
		{"names that point at each other", "dns: {name: example.org, tcp: true}", says("\xff\xff", "\xc0\x0c")},
		{"pings without end", "grpc: {}", says(settings, "\x00\x00\x08\x06\x00\x00\x00\x00\x00weirweir")},
		{"headers without end", "grpc: {}", says(settings+"\x00\x00\x00\x01\x00\x00\x00\x00\x01",
			"\x00\x00\x68\x09\x00\x00\x00\x00\x01\x00\x01x\x64"+strings.Repeat("x", 100))},
		{"a directory's answer of 2 GB", "ldap: {}", says("\x30\x84\x7f\xff\xff\xff", strings.Repeat("x", 8<<10))},
		{"elements within elements", "ldap: {}", says("", "\x30\x80")},
		{"a database's answer of 2 GB", "postgresql: {}", says("R\x7f\xff\xff\xff", strings.Repeat("x", 8<<10))},
		{"notices without end", "postgresql: {}", says("", "N\x00\x00\x00\x05\x00")},
		{"a packet of 16 MB", "mysql: {}", says("\xff\xff\xff\x00\x0a", strings.Repeat("x", 8<<10))},
		{"an agent's line without end", "all: [http: /, {agent: {}, port: PORT}]", says("", "up ")},
	}
}

func bodies() []lies {
	search := "http: {path: /, match: '(x+x+)+y$'}"
	return []lies{
		{"a body of 2 GB", search, says(ok+"Content-Length: 2147483648\r\n\r\n", strings.Repeat("x", 8<<10))},
		{"a body without end", "http: {path: /, contains: weir}", says(ok+"\r\n", strings.Repeat("x", 8<<10))},
		{"a digest of a body without end", "http: {path: /, digest: " + strings.Repeat("0", 32) + "}", says(ok+"\r\n", strings.Repeat("x", 8<<10))},
		{"chunks without end", search, says(ok+"Transfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n")},
		{"a chunk of any size", search, says(ok+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "x")},
	}
}

// settings are the first words of a server by HTTP/2 (RFC 9113 section 3.4).
const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// overTCP is a lie that ends when the connection does.
type overTCP func(net.Conn)

func (overTCP) protocol() string { return "tcp" }

func (lie overTCP) open(t *testing.T, h *hostility, l liar, port uint16) error {
	listener, err := h.lab.Servers[0].Take(t.Context(), port, func(c *net.TCPConn) { go lie.tell(h, l, c) })
	if err != nil {
		return err
	}
	t.Cleanup(func() { listener.Close() })
	return nil
}

func (lie overTCP) tell(h *hostility, l liar, c *net.TCPConn) {
	defer c.Close()
	began := time.Now()
	go lie(c)
	io.Copy(io.Discard, c) // until the director has had enough
	ended := time.Now()
	h.note(l, extent{answers: 1, most: acknowledged(c)}, began, ended)
}

// acknowledged is how many bytes the other side took.
func acknowledged(c *net.TCPConn) (bytes uint64) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			bytes = info.Bytes_acked
		}
	})
	return bytes
}

// says something once, and then something again and again; "": silence.
func says(once, again string) overTCP {
	return func(c net.Conn) {
		_, err := io.WriteString(c, once)
		text := []byte(strings.Repeat(again, max(1, 4096/max(1, len(again)))))
		for err == nil && again != "" {
			_, err = c.Write(text)
		}
	}
}

func slowly(text string) overTCP {
	return func(c net.Conn) {
		for i := range text {
			if _, err := c.Write([]byte{text[i]}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
}
