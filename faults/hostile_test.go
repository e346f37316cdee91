// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 33.
const (
	hostileBytes  = "bytes"    // of the longest answer that the director took
	hostileBody   = "body"     // of the longest that is a body to be searched
	hostileTook   = "took"     // the longest that a check had to do with one answer
	hostileGrowth = "growth"   // of the daemon's memory
	believed      = "believed" // liars that take new connections
)

// hostileServer: servers answer checks in every bad way.
func hostileServer(weir string) faults.Fault {
	return faults.Fault{
		Number: 33,
		Long:   true,
		Beside: "keepalived had heap overflows by what a checked server says: CVE-2018-19115, and in its regular expressions in 2026",
		Parts: []faults.Part{
			{Name: hostileBytes, Unit: "KiB", Bar: 64 + unread},
			{Name: hostileBody, Unit: "KiB", Bar: 1024 + 2*unread}, // and its head and its chunks
			{Name: hostileTook, Unit: faults.Seconds, Bar: hostileEnd.Seconds()},
			{Name: hostileGrowth, Unit: "MiB", Bar: 1, Timely: true},
			{Name: believed, Unit: "checks"},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			h := &hostility{asked: newAsked(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Servers: 1, Weir: weir}), log: t.Logf}
			h.answers, h.looks = size.Of(100, 10_000), size.Of(1, 20)
			go h.stalls.watch(t.Context())
			if err := h.open(t, size.Of(1, 6)); err != nil {
				t.Fatal(err)
			}
			return func() (faults.Measured, error) { return h.run(t.Context()) }
		},
	}
}

// hostileEnd is when a check must have had enough: 0.1 s behind its timeout.
const hostileEnd = 300 * time.Millisecond

// unread is what the director's kernel takes of an answer although nobody reads it, in KiB.
const unread = 8

// liar is a server that answers badly. It ends when the connection does.
type liar struct {
	name  string
	check string // what is asked; PORT: where
	body  bool   // the answer has a body that is searched
	lie   func(net.Conn)
}

const ok = "HTTP/1.1 200 OK\r\n"

func liars() []liar {
	search := "http: {path: /, match: '(x+x+)+y$'}"
	return []liar{
		{"a head without end", "http: /", false, says(ok, "X: "+strings.Repeat("x", 1000)+"\r\n")},
		{"a line without end", "http: /", false, says(ok+"X: ", "x")},
		{"interim answers without end", "http: /", false, says("", "HTTP/1.1 103 Early Hints\r\n\r\n")},
		{"a byte a second", "http: /", false, slowly(ok + "Content-Length: 9\r\n\r\nfine.....")},
		{"a bad status", "http: /", false, says("HTTP/1.1 "+strings.Repeat("9", 4000)+" \x1b[2J\r\n\r\n", "")},
		{"a body of 2 GB", search, true, says(ok+"Content-Length: 2147483648\r\n\r\n", strings.Repeat("x", 8<<10))},
		{"a body without end", "http: {path: /, contains: weir}", true, says(ok+"\r\n", strings.Repeat("x", 8<<10))},
		{"a digest of a body without end", "http: {path: /, digest: " + strings.Repeat("0", 32) + "}", true, says(ok+"\r\n", strings.Repeat("x", 8<<10))},
		{"chunks without end", search, true, says(ok+"Transfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n")},
		{"a chunk of any size", search, true, says(ok+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "x")},
		{"no TLS", "https: /", false, says("", "\x00\xff\x17garbage")},
		{"TLS without end", "tls: {name: www.example.org}", false, says("", "\x16\x03\x03\x40\x00\x02\x00\xff\xff"+strings.Repeat("x", 0x4000-4))},
		{"an answer without end", "expect: {send: 'stats\\r\\n', expect: '(x+x+)+y$'}", false, says("", strings.Repeat("x", 1000))},
		{"a greeting without end", "smtp: {}", false, says("", "220-"+strings.Repeat("x", 4000)+"\r\n")},
		{"lines before the greeting", "ssh: {}", false, says("", strings.Repeat("x", 4000)+"\r\n")},
		{"a word of 2 GB", "redis: {}", false, says("$2147483648\r\n", strings.Repeat("x", 8<<10))},
		{"names that point at each other", "dns: {name: example.org, tcp: true}", false, says("\xff\xff", "\xc0\x0c")},
		{"pings without end", "grpc: {}", false, says(settings, "\x00\x00\x08\x06\x00\x00\x00\x00\x00weirweir")},
		{"headers without end", "grpc: {}", false, says(settings+"\x00\x00\x00\x01\x00\x00\x00\x00\x01",
			"\x00\x00\x68\x09\x00\x00\x00\x00\x01\x00\x01x\x64"+strings.Repeat("x", 100))},
		{"a directory's answer of 2 GB", "ldap: {}", false, says("\x30\x84\x7f\xff\xff\xff", strings.Repeat("x", 8<<10))},
		{"elements within elements", "ldap: {}", false, says("", "\x30\x80")},
		{"a database's answer of 2 GB", "postgresql: {}", false, says("R\x7f\xff\xff\xff", strings.Repeat("x", 8<<10))},
		{"notices without end", "postgresql: {}", false, says("", "N\x00\x00\x00\x05\x00")},
		{"a packet of 16 MB", "mysql: {}", false, says("\xff\xff\xff\x00\x0a", strings.Repeat("x", 8<<10))},
		{"an agent's line without end", "all: [http: /, {agent: {}, port: PORT}]", false, says("", "up ")},
	}
}

// settings are the first words of a server by HTTP/2 (RFC 9113 section 3.4).
const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// says something once, and then something again and again; "": silence.
func says(once, again string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, once)
		text := []byte(strings.Repeat(again, max(1, 4096/max(1, len(again)))))
		for err == nil && again != "" {
			_, err = c.Write(text)
		}
	}
}

func slowly(text string) func(net.Conn) {
	return func(c net.Conn) {
		for i := range text {
			if _, err := c.Write([]byte{text[i]}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
}

// hostility is a server on whose ports liars are.
type hostility struct {
	*asked
	answers int // that a run wants
	looks   int // at the daemon's memory
	log     func(string, ...any)
	stalls  stalls

	mu    sync.Mutex
	heard map[string]extent // by the liar's name
}

// extent is how large answers were.
type extent struct {
	answers int
	most    uint64        // bytes that the director took
	longest time.Duration // from the connection to its end
	ours    time.Duration // the same, less what the machine stood still meanwhile
}

const hostilePort = 20_000

// open has each liar on some ports, but those of bodies on one: the machine has to send them, too. Little memory for what comes in lets the kernel take little that nobody reads.
func (h *hostility) open(t *testing.T, copies int) error {
	if err := h.director.Sysctl("ipv4/tcp_rmem", fmt.Sprintf("4096 %[1]d %[1]d", unread<<10)); err != nil {
		return err
	}
	h.heard = map[string]extent{}
	var text strings.Builder
	text.WriteString("services:\n")
	for i, liar := range liars() {
		for j := range copies {
			if liar.body && j > 0 {
				break
			}
			port := hostilePort + 100*i + j
			if err := h.listen(t, uint16(port), liar); err != nil {
				return err
			}
			check := strings.ReplaceAll(liar.check, "PORT", fmt.Sprint(port))
			text.WriteString(h.service(port, "{"+check+", interval: 200ms}"))
		}
	}
	return errors.Join(h.director.Start(text.String()), h.director.WaitReady(t.Context()))
}

func (h *hostility) listen(t *testing.T, port uint16, l liar) error {
	listener, err := h.lab.Servers[0].Take(t.Context(), port, func(c *net.TCPConn) { go h.lie(c, l) })
	if err != nil {
		return err
	}
	t.Cleanup(func() { listener.Close() })
	return nil
}

func (h *hostility) lie(c *net.TCPConn, l liar) {
	defer c.Close()
	began := time.Now()
	go l.lie(c)
	io.Copy(io.Discard, c) // until the director has had enough
	ended, most := time.Now(), acknowledged(c)
	took := ended.Sub(began)
	ours := took - h.stalls.within(began, ended)
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.heard[l.name]
	e.answers++
	e.most, e.longest, e.ours = max(e.most, most), max(e.longest, took), max(e.ours, ours)
	h.heard[l.name] = e
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

func (h *hostility) run(ctx context.Context) (faults.Measured, error) {
	if err := h.hear(ctx, h.answers/4); err != nil { // the daemon takes what it needs
		return faults.Measured{}, err
	}
	before, err := h.resident()
	if err != nil {
		return faults.Measured{}, err
	}
	if err := h.hear(ctx, h.answers); err != nil {
		return faults.Measured{}, err
	}
	after, err := h.resident()
	if err != nil {
		return faults.Measured{}, err
	}
	h.log("the daemon had %d KiB, and has %d KiB", before, after)
	figures := map[string]float64{hostileGrowth: float64(after-before) / 1024}
	if err := h.believed(ctx, figures); err != nil {
		return faults.Measured{}, err
	}
	return faults.Measured{Figures: figures, Disturbed: h.judge(figures)}, nil
}

// hear waits for so many answers, of all liars together.
func (h *hostility) hear(ctx context.Context, answers int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("the checks ask too little"))
	defer cancel()
	h.mu.Lock()
	h.heard = map[string]extent{}
	h.mu.Unlock()
	return eachMoment(ctx, func() (bool, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		n := 0
		for _, e := range h.heard {
			n += e.answers
		}
		return n >= answers && len(h.heard) == len(liars()), nil
	})
}

// resident is the daemon's memory, in KiB: the median of some looks, between which its garbage comes and goes.
func (h *hostility) resident() (int, error) {
	var all []int
	for range h.looks {
		kib, err := h.residentNow()
		if err != nil {
			return 0, err
		}
		all = append(all, kib)
		time.Sleep(100 * time.Millisecond)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

func (h *hostility) residentNow() (kib int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.director.PID()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(text, []byte("VmRSS:"))
	_, err = fmt.Sscan(string(rest), &kib)
	return kib, err
}

func (h *hostility) believed(ctx context.Context, figures map[string]float64) error {
	servers, err := h.daemon.Servers(ctx)
	figures[believed] = 0
	for _, s := range servers {
		if s.State != "down" {
			h.log("%s is %s", s.Service, s.State)
			figures[believed]++
		}
	}
	return err
}

// judge tells, too, whether the machine was too busy: no answer would have taken too long if the machine had not stood
// still, by the test's own timers.
func (h *hostility) judge(figures map[string]float64) (disturbed string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	figures[hostileBytes], figures[hostileBody], figures[hostileTook] = 0, 0, 0
	var longest, ours time.Duration
	for _, l := range liars() {
		e, part := h.heard[l.name], hostileBytes
		if l.body {
			part = hostileBody
		}
		h.log("%-32s %5d answers, at most %7.1f KiB and %v", l.name, e.answers, float64(e.most)/1024, e.longest.Round(time.Millisecond))
		figures[part] = max(figures[part], float64(e.most)/1024)
		longest, ours = max(longest, e.longest), max(ours, e.ours)
	}
	figures[hostileTook] = longest.Seconds()
	if longest > hostileEnd && ours <= hostileEnd {
		disturbed = fmt.Sprintf("the machine stood still: of %v a check had %v", longest, ours)
	}
	return disturbed
}
