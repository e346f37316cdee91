// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"io"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

// mustParseMail takes a mail apart. Quoted-printable and its soft ends of lines are left as they are.
func mustParseMail(t *testing.T, text string) (mail.Header, string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m.Header, string(body)
}

func TestMailSaysWhatHappened(t *testing.T) {
	server := startMailServer(t)
	mustSend(t, mailer{server.how(), "lb1"}, oneEvent(withReasonOf(eventOf(noon, model.ServerDown, "web", 11), "http 503")))
	mails := server.received()
	if len(mails) != 1 {
		t.Fatalf("%d mails, want 1", len(mails))
	}
	header, body := mustParseMail(t, mails[0].text)
	for key, want := range map[string]string{
		"From":           "<weir@lb1.example.org>",
		"To":             "<ops@example.org>",
		"Subject":        "weir: server 10.0.0.11:80 of web is down: http 503",
		"Auto-Submitted": "auto-generated",
	} {
		if got := header.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	want := "2026-11-26 12:03:11 server 10.0.0.11:80 of web is down: http 503\n\nweir on lb1, times in UTC+01:00\n"
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// TestSubjectsCannotSmuggleHeaders: a checked server chooses its reason.
func TestSubjectsCannotSmuggleHeaders(t *testing.T) {
	server := startMailServer(t)
	mustSend(t, mailer{server.how(), "lb1"},
		oneEvent(withReasonOf(eventOf(noon, model.ServerDown, "web", 11), "x\r\nBcc: all@example.org\r\n\r\n.\r\nRCPT TO:<all@example.org>\r\n")))
	mails := server.received()
	if len(mails) != 1 {
		t.Fatalf("%d mails, want 1", len(mails))
	}
	header, _ := mustParseMail(t, mails[0].text)
	if header.Get("Bcc") != "" || mails[0].to != "<ops@example.org>" {
		t.Errorf("it went to %s, Bcc %q", mails[0].to, header.Get("Bcc"))
	}
}

func TestEachAddressGetsItsOwnMail(t *testing.T) {
	server := startMailServer(t)
	how := server.how("ops@example.org", `"The Boss" <boss@example.org>`, "gone@example.org")
	m := oneEvent(eventOf(noon, model.ServerDown, "web", 11))
	mustSend(t, mailer{how, "lb1"}, m)
	server.set(func(s *mailServer) { s.refused = "gone@" })
	err := mailer{how, "lb1"}.send(t.Context(), m)
	if !isPartly(err) || !strings.Contains(err.Error(), "nobody of this name") {
		t.Errorf("with one that is refused: got %v", err)
	}
	how.To = "gone@example.org"
	if err := (mailer{how, "lb1"}).send(t.Context(), m); err == nil || isPartly(err) || isFinal(err) {
		t.Errorf("with nobody else: got %v", err)
	}
	var got []string
	for _, l := range server.received() {
		got = append(got, l.to)
	}
	want := []string{"<ops@example.org>", "<boss@example.org>", "<gone@example.org>", "<ops@example.org>", "<boss@example.org>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}

func TestMailIsEncryptedAsItIsWanted(t *testing.T) {
	secure, plain := startMailServer(t, withCertificate(t)), startMailServer(t)
	for _, tt := range []struct {
		name   string
		server *mailServer
		mode   model.MailTLS
		secure bool   // the mail comes encrypted
		wrong  string // it does not come
	}{
		{"if offered, it is taken with any certificate", secure, model.MailTLSIfOffered, true, ""},
		{"if not offered, it goes without", plain, model.MailTLSIfOffered, false, ""},
		{"none", secure, model.MailTLSNone, false, ""},
		{"wanted, but not offered", plain, model.MailSTARTTLS, false, "STARTTLS"},
		{"wanted, but nobody knows the certificate", secure, model.MailSTARTTLS, false, "certificate"},
		{"at once, but that is not spoken there", plain, model.MailTLSAtOnce, false, "tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(tt.server.received())
			how := tt.server.how()
			how.TLS = tt.mode
			err := mailer{how, "lb1"}.send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
			mails := tt.server.received()[before:]
			switch {
			case tt.wrong != "":
				if err == nil || !strings.Contains(err.Error(), tt.wrong) || len(mails) > 0 {
					t.Errorf("got %v and %d mails, want an error about %q", err, len(mails), tt.wrong)
				}
			case err != nil || len(mails) != 1 || mails[0].secure != tt.secure:
				t.Errorf("got %v and %+v", err, mails)
			}
		})
	}
}

func TestMailersLogIn(t *testing.T) {
	server := startMailServer(t, withCertificate(t), func(s *mailServer) { s.login = "weir\x00s3cret" })
	how := server.how()
	how.User, how.PasswordFile = "weir", filepath.Join(t.TempDir(), "password")
	m := oneEvent(eventOf(noon, model.ServerDown, "web", 11))
	for password, works := range map[string]bool{"s3cret\n": true, "wrong": false} {
		if err := os.WriteFile(how.PasswordFile, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (mailer{how, "lb1"}).send(t.Context(), m); (err == nil) != works {
			t.Errorf("password %q: %v", password, err)
		}
	}
	if err := os.Chmod(how.PasswordFile, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"open": mailer{how, "lb1"}.open(), "send": mailer{how, "lb1"}.send(t.Context(), m)} {
		if err == nil || !strings.Contains(err.Error(), "can be read by others") {
			t.Errorf("%s, with a password that others can read: %v", name, err)
		}
	}
}

func TestNobodyAtTheServerIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	how := model.ByMail{To: "ops@example.org", Server: l.Addr().String()}
	l.Close()
	err = mailer{how, "lb1"}.send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
	if err == nil || isFinal(err) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

// TestHungMailServerHoldsNobody: a delivery ends when it shall, whatever the server does.
func TestHungMailServerHoldsNobody(t *testing.T) {
	server := startMailServer(t, func(s *mailServer) { s.hangs = true })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- mailer{server.how(), "lb1"}.send(ctx, oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
	}()
	mustBecome(t, func() bool { return server.called() > 0 })
	start := time.Now()
	cancel()
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
	if took := time.Since(start); took >= mailStep {
		t.Errorf("it took %s", took)
	}
}

// mustBecome waits until something is so.
func mustBecome(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatal("what is waited for does not come")
}
