// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weir-lb/weir/internal/model"
)

// What a probe gets to answer in.
const (
	soon    = 300 * time.Millisecond // where silence is the answer
	later   = time.Second            // where it comes after something that must be heard
	forever = 10 * time.Second
	slack   = 10 * time.Second // of a slow machine
)

// lineServer lets a function talk on every connection. It must end when the connection does.
func lineServer(t *testing.T, hold func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				hold(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// closedPort is one at which nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// says is a server that speaks first, and then only listens.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c)
	}
}

// saysAndCloses speaks first and closes. Who sends it something may see a reset.
func saysAndCloses(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// answersAndCloses waits for one line.
func answersAndCloses(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, text)
	}
}

// dialogue greets, and answers lines by a table: to what is not in it, it does not. What it hears goes to the
// channel, if there is one, which must have room.
func dialogue(greeting string, answers map[string]string, heard chan<- string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		for in := bufio.NewScanner(c); in.Scan(); {
			if heard != nil {
				heard <- in.Text()
			}
			_, _ = io.WriteString(c, answers[in.Text()])
		}
	}
}

// hears is the next of what a server has heard. Where nothing comes it says so, and is the zero value.
func hears[T any](t *testing.T, heard <-chan T) (out T) {
	t.Helper()
	select {
	case out = <-heard:
	case <-time.After(slack):
		t.Error("the server hears nothing more")
	}
	return out
}

// probeMade is a probe whose making did not fail.
func probeMade(p probe, err error) probe {
	if err != nil {
		panic(err)
	}
	return p
}

// These leave out what is said of certificates.

func probeHTTP(ask model.AskHTTP) (probe, error) { return onlyJudging(adviseHTTP(ask)) }

func probeTLS(ask model.AskTLS) (probe, error) { return onlyJudging(adviseTLS(ask), nil) }

func probeGRPC(ask model.AskGRPC) (probe, error) { return onlyJudging(adviseGRPC(ask), nil) }

func probeMySQL(ask model.AskMySQL) (probe, error) { return onlyJudging(adviseMySQL(ask), nil) }

func probePostgreSQL(ask model.AskPostgreSQL) (probe, error) {
	return onlyJudging(advisePostgreSQL(ask), nil)
}

func probeLDAP(ask model.AskLDAP) (probe, error) { return onlyJudging(adviseLDAP(ask), nil) }

func onlyJudging(ask adviser, err error) (probe, error) {
	return func(ctx context.Context, to netip.AddrPort) error {
		_, err := ask(ctx, to)
		return err
	}, err
}

// answered asks, and holds against the answer what holds for all of them: it comes in time, and fits on a line.
func answered(t *testing.T, p probe, to netip.AddrPort, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	began := time.Now()
	err := p(ctx, to)
	if took := time.Since(began); took > within+slack {
		t.Errorf("it took %s, of %s", took, within)
	}
	if err == nil {
		return nil
	}
	reason := err.Error()
	if n := utf8.RuneCountInString(reason); n > 120 {
		t.Errorf("%d characters: %s", n, reason)
	}
	if strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q has characters that nobody can see", reason)
	}
	if strings.Contains(reason, "127.0.0.1") {
		t.Errorf("%q has the address, which is known", reason)
	}
	if strings.Contains(reason, "no answer") != errors.Is(err, errSilent) {
		t.Errorf("%q: silence and its error do not go together", reason)
	}
	return err
}

// wantReason compares what was wrong; "" is nothing.
func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// lineTest is a server, and what is said about it.
type lineTest struct {
	server func(net.Conn)
	want   string // "": it is good
}

// runLineTests gives silence a second, so that what comes before it is heard on a slow machine too.
func runLineTests(t *testing.T, p probe, tests map[string]lineTest) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within := forever
			if strings.HasPrefix(tt.want, "no answer") {
				within = later
			}
			wantReason(t, answered(t, p, lineServer(t, tt.server), within), tt.want)
		})
	}
}

// liars are servers of no protocol at all.
func liars() map[string]func(net.Conn) {
	write := func(text string, pause time.Duration) func(net.Conn) {
		return func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
				time.Sleep(pause)
			}
		}
	}
	return map[string]func(net.Conn){
		"silent":        says(""),
		"closes":        func(net.Conn) {},
		"garbage":       says("\x00\xff\x1b[31m\x07\u202e\u2028\xc3 garbage\r\n\x01\x02\r\n"),
		"empty line":    says("\r\n"),
		"endless line":  write(strings.Repeat("x", 4096), 0),
		"endless lines": write("220-more\r\n", 0),
		"slow":          write("2", 20*time.Millisecond),
		"zeros":         write(strings.Repeat("\x00", 4096), 0),
		"web":           says("HTTP/1.1 400 Bad Request\r\nServer: " + strings.Repeat("long", 100) + "\r\n\r\n"),
	}
}

// lineProbes ask over TCP, and each wants something else.
func lineProbes() map[string]probe {
	return map[string]probe{
		"expect":        probeMade(probeExpect(model.AskExpect{Expect: "^220 "})),
		"send, expect":  probeMade(probeExpect(model.AskExpect{Send: "PING\r\n", Expect: `^\+PONG`})),
		"smtp":          probeMade(probeSMTP(model.AskSMTP{})),
		"imap":          probeMade(probeIMAP(model.AskIMAP{})),
		"pop3":          probeMade(probePOP3(model.AskPOP3{})),
		"ftp":           probeMade(probeFTP(model.AskFTP{})),
		"ssh":           probeMade(probeSSH(model.AskSSH{})),
		"redis":         probeMade(probeRedis(model.AskRedis{})),
		"redis, closed": probeMade(probeRedis(model.AskRedis{Password: "s3cret"})),
		"dns":           probeMade(probeDNS(model.AskDNS{Name: "example.org", TCP: true})),

		"mysql":             probeMade(probeMySQL(model.AskMySQL{})),
		"mysql, login":      probeMade(probeMySQL(model.AskMySQL{SQL: model.SQL{User: "weir", Query: "SELECT 1"}})),
		"postgresql":        probeMade(probePostgreSQL(model.AskPostgreSQL{})),
		"postgresql, login": probeMade(probePostgreSQL(model.AskPostgreSQL{SQL: model.SQL{User: "weir", Query: "SELECT 1"}})),
		"postgresql, tls":   probeMade(probePostgreSQL(model.AskPostgreSQL{Secure: true})),
		"ldap":              probeMade(probeLDAP(model.AskLDAP{})),
		"ldaps":             probeMade(probeLDAP(model.AskLDAP{Secure: true})),
		"sip":               probeSIP(model.AskSIP{TCP: true}),
		"grpc":              probeMade(probeGRPC(model.AskGRPC{})),
		"grpc, tls":         probeMade(probeGRPC(model.AskGRPC{Secure: true})),
	}
}

func TestLiarsAreBadInTime(t *testing.T) {
	for kind, p := range lineProbes() {
		t.Run(kind, func(t *testing.T) {
			var asking sync.WaitGroup
			for liar, hold := range liars() {
				to := lineServer(t, hold)
				asking.Go(func() {
					if err := answered(t, p, to, soon); err == nil {
						t.Errorf("%s is taken for good", liar)
					}
				})
			}
			asking.Wait()
		})
	}
}

// TestProbesEndWithTheirContext: who stops does not wait for servers that are silent.
func TestProbesEndWithTheirContext(t *testing.T) {
	for kind, p := range lineProbes() {
		t.Run(kind, func(t *testing.T) {
			accepted := make(chan struct{})
			to := lineServer(t, func(c net.Conn) {
				close(accepted)
				_, _ = io.Copy(io.Discard, c)
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- p(ctx, to) }()
			<-accepted
			cancel()
			select {
			case err := <-ended:
				if err == nil {
					t.Error("it is taken for good")
				}
			case <-time.After(forever):
				t.Error("it does not end")
			}
		})
	}
}

func TestClosedPortIsRefused(t *testing.T) {
	for _, p := range lineProbes() {
		wantReason(t, answered(t, p, closedPort(t), forever), "connect: connection refused")
	}
}
