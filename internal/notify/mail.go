// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/trust"
)

// How long a mail server may take: for a step, and for all of them.
const (
	mailStep = 10 * time.Second
	mailAll  = 30 * time.Second
)

// mailer sends mails, over a connection of its own each time.
type mailer struct {
	how  model.ByMail
	host string
}

// open looks whether the password is there.
func (m mailer) open() error {
	if m.how.User == "" {
		return nil
	}
	return trust.SecretFile(m.how.PasswordFile)
}

func (mailer) close() {}

// send makes one letter for each address, since a server that refuses one of them would refuse a common letter to
// all. When some have theirs, the rest is not tried again: the others would get it twice.
func (m mailer) send(ctx context.Context, what message) error {
	own, cancel := context.WithTimeout(ctx, mailAll)
	defer cancel()
	client, err := m.client(own)
	if err != nil {
		return err
	}
	letters, err := m.letters(what)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(own, letters...)
	if err != nil && own.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("no end after %s: %w", mailAll, err)
	}
	switch delivered(letters) {
	case len(letters):
		return nil // whatever went wrong behind it
	case 0:
		return fmt.Errorf("mail server %s: %w", m.how.Server, orUnknown(err))
	}
	return partlyError{fmt.Errorf("mail server %s: some addresses are refused: %w", m.how.Server, orUnknown(err))}
}

func delivered(letters []*mail.Msg) int {
	n := 0
	for _, letter := range letters {
		if letter.IsDelivered() {
			n++
		}
	}
	return n
}

// orUnknown is for a library that says nothing.
func orUnknown(err error) error {
	if err == nil {
		return errors.New("it did not take the mail")
	}
	return err
}

func (m mailer) client(ctx context.Context) (*mail.Client, error) {
	host, port, err := net.SplitHostPort(m.how.Server)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("mail server %s: %w", m.how.Server, err)
	}
	security := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: m.how.TLS == model.MailTLSIfOffered}
	options := []mail.Option{mail.WithPort(number), mail.WithTimeout(mailStep), mail.WithTLSPolicy(policyOf(m.how.TLS)),
		mail.WithTLSConfig(security), mail.WithDialContextFunc(m.dialer(ctx, security))}
	if m.how.User != "" {
		password, err := trust.Secret(m.how.PasswordFile)
		if err != nil {
			return nil, err
		}
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.how.User), mail.WithPassword(password))
	}
	return mail.NewClient(host, options...)
}

// policyOf: nobody who is asked for a certificate of their own choice can be told from an impostor, who could hide
// STARTTLS just as well. So where it is only taken if offered, certificates do not count (RFC 7435 section 3). A
// server that speaks TLS at once has no STARTTLS to offer.
func policyOf(t model.MailTLS) mail.TLSPolicy {
	switch t {
	case model.MailSTARTTLS:
		return mail.TLSMandatory
	case model.MailTLSNone:
		return mail.NoTLS
	}
	return mail.TLSOpportunistic
}

// dialer ends connections with ctx: the library's only know deadlines, and leaves some open that fail.
func (m mailer) dialer(ctx context.Context, security *tls.Config) mail.DialContextFunc {
	return func(dialing context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(dialing, network, m.how.Server)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		if m.how.TLS != model.MailTLSAtOnce {
			return conn, nil
		}
		secured := tls.Client(conn, security)
		if err := secured.HandshakeContext(dialing); err != nil {
			return nil, err
		}
		return secured, nil
	}
}

func (m mailer) letters(what message) ([]*mail.Msg, error) {
	to, err := netmail.ParseAddressList(m.how.To)
	if err != nil {
		return nil, fmt.Errorf("addresses %q: %w", m.how.To, err)
	}
	from, err := m.sender()
	if err != nil {
		return nil, err
	}
	var out []*mail.Msg
	for _, address := range to {
		letter := mail.NewMsg()
		letter.FromMailAddress(from)
		letter.ToMailAddress(address)
		letter.Subject(what.subject())
		letter.SetUserAgent("weir")
		letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: out-of-office replies stay away
		letter.SetBodyString(mail.TypeTextPlain, what.body(m.host))
		out = append(out, letter)
	}
	return out, nil
}

// sender is who the mail is from: the host's name says which director it is about.
func (m mailer) sender() (*netmail.Address, error) {
	if m.how.From == "" {
		return &netmail.Address{Name: "weir", Address: "weir@" + m.host}, nil
	}
	from, err := netmail.ParseAddress(m.how.From)
	if err != nil {
		return nil, fmt.Errorf("from %q: %w", m.how.From, err)
	}
	return from, nil
}
