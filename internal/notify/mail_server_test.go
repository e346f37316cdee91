// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// mailServer speaks as much SMTP as a client needs (RFC 5321), and keeps what it gets.
type mailServer struct {
	net.Listener
	certificate *tls.Config // nil: it has no STARTTLS
	login       string      // user and password that it asks for behind STARTTLS; "": nobody is asked

	mu      sync.Mutex // guards the rest
	down    bool       // it turns clients away
	hangs   bool       // it says nothing
	refused string     // a recipient
	calls   int
	mails   []letter
}

// letter is one mail as it came.
type letter struct {
	to     string
	secure bool
	text   string
}

func startMailServer(t *testing.T, change ...func(*mailServer)) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{Listener: l}
	for _, c := range change {
		c(s)
	}
	var conversations sync.WaitGroup
	end := make(chan struct{})
	conversations.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conversations.Go(func() { s.talk(conn, end) })
		}
	})
	t.Cleanup(func() {
		close(end)
		l.Close()
		conversations.Wait()
	})
	return s
}

// withCertificate has one that nobody has reason to trust.
func withCertificate(t *testing.T) func(*mailServer) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	return func(s *mailServer) { s.certificate = &tls.Config{Certificates: web.TLS.Certificates} }
}

func (s *mailServer) set(change func(*mailServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *mailServer) received() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter(nil), s.mails...)
}

func (s *mailServer) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// talk serves one client. It ends with the client, or with the test.
func (s *mailServer) talk(conn net.Conn, end <-chan struct{}) {
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-end:
		case <-over:
		}
		conn.Close()
	}()
	s.mu.Lock()
	s.calls++
	down, hangs := s.down, s.hangs
	s.mu.Unlock()
	switch {
	case hangs:
		<-end
	case down:
		fmt.Fprint(conn, "421 come back later\r\n")
	default:
		c := &conversation{server: s, conn: conn, lines: bufio.NewScanner(conn)}
		c.say("220 mail.example.org")
		for c.lines.Scan() && c.answer(c.lines.Text()) {
		}
	}
}

type conversation struct {
	server *mailServer
	conn   net.Conn
	lines  *bufio.Scanner
	letter letter
}

func (c *conversation) say(text string) { fmt.Fprint(c.conn, text+"\r\n") }

// answer is false when the conversation is over.
func (c *conversation) answer(line string) bool {
	command, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(command) {
	case "EHLO", "HELO":
		c.hello()
	case "STARTTLS":
		return c.secure()
	case "AUTH":
		c.login(rest)
	case "RCPT":
		c.recipient(strings.TrimPrefix(rest, "TO:"))
	case "DATA":
		return c.data()
	case "QUIT":
		c.say("221 bye")
		return false
	default:
		c.say("250 ok")
	}
	return true
}

func (c *conversation) hello() {
	switch {
	case c.letter.secure && c.server.login != "":
		c.say("250-mail.example.org\r\n250 AUTH PLAIN")
	case c.server.certificate != nil && !c.letter.secure:
		c.say("250-mail.example.org\r\n250 STARTTLS")
	default:
		c.say("250 mail.example.org")
	}
}

func (c *conversation) secure() bool {
	c.say("220 go ahead")
	conn := tls.Server(c.conn, c.server.certificate)
	if conn.Handshake() != nil {
		return false
	}
	c.conn, c.lines, c.letter.secure = conn, bufio.NewScanner(conn), true
	return true
}

func (c *conversation) login(given string) {
	want := "PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+c.server.login))
	if given == want {
		c.say("235 welcome")
		return
	}
	c.say("535 no")
}

func (c *conversation) recipient(to string) {
	c.server.mu.Lock()
	refused := c.server.refused
	c.server.mu.Unlock()
	if refused != "" && strings.Contains(to, refused) {
		c.say("550 nobody of this name")
		return
	}
	c.letter.to = to
	c.say("250 ok")
}

func (c *conversation) data() bool {
	c.say("354 go ahead")
	c.letter.text = ""
	for c.lines.Scan() {
		if line := c.lines.Text(); line != "." {
			c.letter.text += line + "\n"
			continue
		}
		c.server.set(func(s *mailServer) { s.mails = append(s.mails, c.letter) })
		c.say("250 taken")
		return true
	}
	return false
}

func (s *mailServer) how(to ...string) model.ByMail {
	if len(to) == 0 {
		to = []string{"ops@example.org"}
	}
	return model.ByMail{To: strings.Join(to, ", "), From: "weir@lb1.example.org", Server: s.Addr().String()}
}
