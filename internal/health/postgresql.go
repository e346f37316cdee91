// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-lb/weir/internal/model"
)

// pgCheck asks a PostgreSQL (postgresql.org/docs/current/protocol-flow.html). The messages are the library's. What
// it has above them reads the environment and files of a home.
type pgCheck struct {
	ask    model.SQL
	secure *handshakes // nil: without TLS
}

func advisePostgreSQL(ask model.AskPostgreSQL) adviser {
	return pgCheck{ask.SQL, handshakesOf(ask.Secure, ask.TLS, "postgresql")}.advise
}

// advise has to say something only of certificates.
func (p pgCheck) advise(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
	password, err := secretIn(p.ask.PasswordFile)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	c, err := p.dial(ctx, to)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	defer c.Close()
	defer leaveSilently(c)
	defer obey(ctx, c)()
	return p.secure.verdict(c, p.converse(c, password))
}

func (p pgCheck) converse(c net.Conn, password string) (err error) {
	s := &pgSession{said: "the login", user: p.ask.User, password: password}
	s.Frontend = pgproto3.NewFrontend(newLimited(c, maxTold), c)
	s.SetMaxBodyLen(maxTold)
	if p.ask.User == "" {
		return s.awaken()
	}
	if err := s.login(p.ask.Database); err != nil {
		return err
	}
	if p.ask.Query != "" {
		err = s.query(p.ask)
	}
	s.Send(&pgproto3.Terminate{})
	if s.Flush() == nil {
		leave(c)
	}
	return err
}

// dial asks for TLS before it is spoken.
func (p pgCheck) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return p.secure.dialAfter(ctx, to, func(raw net.Conn) (net.Conn, error) {
		defer obey(ctx, raw)()
		return raw, askForTLS(raw)
	})
}

func askForTLS(c net.Conn) error {
	request, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return unheard(err, "SSLRequest")
	}
	var answer [1]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return unheard(err, "SSLRequest")
	}
	switch answer[0] {
	case 'S':
		return nil
	case 'N':
		return errors.New("postgresql: the server has no TLS")
	}
	return fmt.Errorf("postgresql: unexpected answer to SSLRequest: %s", shown(string(answer[:])))
}

// pgSession is a conversation in messages.
type pgSession struct {
	*pgproto3.Frontend
	said     string // what was said last, as messages call it
	user     string
	password string
}

// maxMessages is how many a server may send before the one that is waited for.
const maxMessages = 1000

// next is the next message that means something to us. Errors of the server are errors.
func (s *pgSession) next() (pgproto3.BackendMessage, error) {
	for range maxMessages {
		m, err := s.Receive()
		switch {
		case isUnread(err):
			return nil, unheard(err, s.said)
		case err != nil:
			return nil, fmt.Errorf("postgresql: %w", err)
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			return nil, &pgError{m.Code, m.Message}
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus, *pgproto3.NotificationResponse, *pgproto3.BackendKeyData:
			continue
		}
		return m, nil
	}
	return nil, fmt.Errorf("postgresql: %d messages, and none is the answer to %s", maxMessages, s.said)
}

// pgError is what a server says about itself.
type pgError struct{ code, message string }

func (e *pgError) Error() string { return "postgresql: " + shown(e.message) }

// isRefusal tells whether it is about who asks, and not about the server: classes 28 and 3D, and a role or a
// database that there is not (postgresql.org/docs/current/errcodes-appendix.html).
func (e *pgError) isRefusal() bool {
	return strings.HasPrefix(e.code, "28") || strings.HasPrefix(e.code, "3D")
}

// start introduces us.
func (s *pgSession) start(user, database string) error {
	parameters := map[string]string{"user": user, "application_name": "weir"}
	if database != "" {
		parameters["database"] = database
	}
	s.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: parameters})
	return s.flush()
}

func (s *pgSession) flush() error {
	if err := s.Flush(); err != nil {
		return unheard(err, s.said)
	}
	return nil
}

// awaken asks as pg_isready does: who is asked for a password, or told that there is no such user, has found a
// server that takes sessions.
func (s *pgSession) awaken() error {
	s.said = "the startup message"
	if err := s.start("weir", ""); err != nil {
		return err
	}
	_, err := s.next()
	if refused, ok := errors.AsType[*pgError](err); ok && refused.isRefusal() {
		return nil
	}
	return err
}

// login goes on until the server is ready for a query.
func (s *pgSession) login(database string) error {
	if err := s.start(s.user, database); err != nil {
		return err
	}
	for {
		m, err := s.next()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationOk:
		case *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.AuthenticationCleartextPassword, *pgproto3.AuthenticationMD5Password, *pgproto3.AuthenticationSASL:
			err = s.authenticate(m)
		case *pgproto3.NegotiateProtocolVersion: // we know none newer
		default:
			return fmt.Errorf("postgresql: the server wants what we cannot: %T", m)
		}
		if err != nil {
			return err
		}
	}
}

// authenticate shows that we know the password.
func (s *pgSession) authenticate(m pgproto3.BackendMessage) error {
	if s.password == "" {
		return errors.New("postgresql: the server wants a password")
	}
	switch m := m.(type) {
	case *pgproto3.AuthenticationMD5Password:
		s.Send(&pgproto3.PasswordMessage{Password: "md5" + md5Hex(md5Hex(s.password+s.user)+string(m.Salt[:]))})
	case *pgproto3.AuthenticationSASL:
		return s.scram(m.AuthMechanisms)
	default:
		s.Send(&pgproto3.PasswordMessage{Password: s.password})
	}
	return s.flush()
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// scram proves it without telling it, and wants the server to prove that it knows it, too.
func (s *pgSession) scram(mechanisms []string) error {
	if !slices.Contains(mechanisms, scramSHA256) {
		return fmt.Errorf("postgresql: the server wants %s, which we cannot", shown(strings.Join(mechanisms, ", ")))
	}
	client := newScram(s.password)
	s.Send(&pgproto3.SASLInitialResponse{AuthMechanism: scramSHA256, Data: []byte(client.first())})
	if err := s.flush(); err != nil {
		return err
	}
	m, err := s.next()
	if err != nil {
		return err
	}
	challenge, ok := m.(*pgproto3.AuthenticationSASLContinue)
	if !ok {
		return fmt.Errorf("postgresql: unexpected %T", m)
	}
	final, err := client.final(string(challenge.Data))
	if err != nil {
		return fmt.Errorf("postgresql: %w", err)
	}
	s.Send(&pgproto3.SASLResponse{Data: []byte(final)})
	if err := s.flush(); err != nil {
		return err
	}
	if m, err = s.next(); err != nil {
		return err
	}
	proof, ok := m.(*pgproto3.AuthenticationSASLFinal)
	if !ok || !client.believes(string(proof.Data)) {
		return errors.New("postgresql: the server does not know the password itself")
	}
	return nil
}

// query reads as far as the first row, or the end where there is none.
func (s *pgSession) query(ask model.SQL) error {
	s.said = "the query"
	s.Send(&pgproto3.Query{String: ask.Query})
	if err := s.flush(); err != nil {
		return err
	}
	for range maxMessages {
		m, err := s.next()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			return judgeRow("postgresql", ask, pgTexts(m.Values))
		case *pgproto3.ReadyForQuery:
			return judgeRow("postgresql", ask, nil)
		case *pgproto3.CopyInResponse, *pgproto3.CopyBothResponse:
			return errors.New("postgresql: the query wants data from us")
		}
	}
	return fmt.Errorf("postgresql: %d messages, and no end of the answer to %s", maxMessages, s.said)
}

// pgTexts are values as the server writes them; NULL is empty.
func pgTexts(values [][]byte) []string {
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = string(value)
	}
	return out
}
