// SPDX-License-Identifier: Apache-2.0

package health

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-lb/weir/internal/model"
)

// pgServer is the library's other side. It hands out what it hears behind the startup message.
func pgServer(hold func(s *pgproto3.Backend, start *pgproto3.StartupMessage)) func(net.Conn) {
	return func(c net.Conn) {
		s := pgproto3.NewBackend(c, c)
		if start, ok := mustHear(s.ReceiveStartupMessage()).(*pgproto3.StartupMessage); ok {
			hold(s, start)
		}
	}
}

// mustHear is nil where nothing came.
func mustHear(m pgproto3.FrontendMessage, err error) pgproto3.FrontendMessage {
	if err != nil {
		return nil
	}
	return m
}

// tells sends messages and hears one.
func tells(s *pgproto3.Backend, messages ...pgproto3.BackendMessage) pgproto3.FrontendMessage {
	for _, m := range messages {
		s.Send(m)
	}
	if s.Flush() != nil {
		return nil
	}
	return mustHear(s.Receive())
}

func pgFault(code, text string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: text}
}

// pgAnswers is a server that says this after the startup message.
func pgAnswers(messages ...pgproto3.BackendMessage) func(net.Conn) {
	return pgServer(func(s *pgproto3.Backend, _ *pgproto3.StartupMessage) { tells(s, messages...) })
}

func TestPostgreSQLIsAwakeOrNot(t *testing.T) {
	runLineTests(t, probeMade(probePostgreSQL(model.AskPostgreSQL{})), map[string]lineTest{
		"wants a password": {pgAnswers(&pgproto3.AuthenticationMD5Password{}), ""},
		"trusts":           {pgAnswers(&pgproto3.AuthenticationOk{}), ""},
		"no such role":     {pgAnswers(pgFault("28000", `role "weir" does not exist`)), ""},
		"no entry":         {pgAnswers(pgFault("28000", "no pg_hba.conf entry for host")), ""},
		"no database":      {pgAnswers(pgFault("3D000", `database "weir" does not exist`)), ""},
		"starting":         {pgAnswers(pgFault("57P03", "the database system is starting up")), "postgresql: the database system is starting up"},
		"full":             {pgAnswers(pgFault("53300", "sorry, too many clients already")), "postgresql: sorry, too many clients already"},
		"huge":             {says("R\x7f\xff\xff\xff"), "postgresql: invalid body length: expected at most 65536, but got 2147483643"},
		"silent":           {says(""), "no answer to the startup message"},
		"closes":           {answersNothing, "closed before the answer to the startup message"},
	})
}

// answersNothing reads what comes, and closes.
func answersNothing(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }

// pgWants is a server with a password, in one of the ways in which it is asked for.
func pgWants(ask func(s *pgproto3.Backend, user string) bool, behind func(*pgproto3.Backend)) func(net.Conn) {
	return pgServer(func(s *pgproto3.Backend, start *pgproto3.StartupMessage) {
		if !ask(s, start.Parameters["user"]) {
			s.Send(pgFault("28P01", "password authentication failed"))
			_ = s.Flush()
			return
		}
		s.Send(&pgproto3.AuthenticationOk{})
		s.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15"})
		s.Send(&pgproto3.BackendKeyData{SecretKey: []byte("abcd")})
		behind(s)
	})
}

func pgReady(s *pgproto3.Backend) { tells(s, &pgproto3.ReadyForQuery{TxStatus: 'I'}) }

func cleartext(password string) func(*pgproto3.Backend, string) bool {
	return func(s *pgproto3.Backend, _ string) bool {
		_ = s.SetAuthType(pgproto3.AuthTypeCleartextPassword)
		m, ok := tells(s, &pgproto3.AuthenticationCleartextPassword{}).(*pgproto3.PasswordMessage)
		return ok && m.Password == password
	}
}

func md5Password(password string) func(*pgproto3.Backend, string) bool {
	return func(s *pgproto3.Backend, user string) bool {
		_ = s.SetAuthType(pgproto3.AuthTypeMD5Password)
		m, ok := tells(s, &pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}).(*pgproto3.PasswordMessage)
		return ok && m.Password == "md5"+md5Hex(md5Hex(password+user)+"\x01\x02\x03\x04")
	}
}

// scrams is a server's side of RFC 5802, which believes nobody; with its own password it may be a liar.
func scrams(password, own string, rounds int) func(*pgproto3.Backend, string) bool {
	return func(s *pgproto3.Backend, _ string) bool {
		_ = s.SetAuthType(pgproto3.AuthTypeSASL)
		first, ok := tells(s, &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256-PLUS", scramSHA256}}).(*pgproto3.SASLInitialResponse)
		if !ok {
			return false
		}
		_ = s.SetAuthType(pgproto3.AuthTypeSASLContinue)
		bare := strings.TrimPrefix(string(first.Data), "n,,")
		_, nonce, _ := strings.Cut(bare, "r=")
		challenge := fmt.Sprintf("r=%smore,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString([]byte("salt")), rounds)
		final, ok := tells(s, &pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)}).(*pgproto3.SASLResponse)
		if !ok {
			return false
		}
		without, proof, _ := strings.Cut(string(final.Data), ",p=")
		said := bare + "," + challenge + "," + without
		if !isScramProof(proof, password, said, rounds) {
			return false
		}
		salted, _ := pbkdf2.Key(sha256.New, own, []byte("salt"), rounds, sha256.Size)
		signature := signedBy(signedBy(salted, "Server Key"), said)
		s.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte("v=" + base64.StdEncoding.EncodeToString(signature))})
		return true
	}
}

// isScramProof has the stored key alone, as a server does.
func isScramProof(proof, password, said string, rounds int) bool {
	salted, _ := pbkdf2.Key(sha256.New, password, []byte("salt"), rounds, sha256.Size)
	stored := sha256.Sum256(signedBy(salted, "Client Key"))
	key, err := base64.StdEncoding.DecodeString(proof)
	if err != nil || len(key) != sha256.Size {
		return false
	}
	subtle.XORBytes(key, key, signedBy(stored[:], said))
	return sha256.Sum256(key) == stored
}

func TestPostgreSQLLoginsAreJudged(t *testing.T) {
	ask := model.AskPostgreSQL{SQL: model.SQL{User: "weir", PasswordFile: secretFile(t, "s3cret"), Database: "shop"}}
	runLineTests(t, probeMade(probePostgreSQL(ask)), map[string]lineTest{
		"cleartext":       {pgWants(cleartext("s3cret"), pgReady), ""},
		"md5":             {pgWants(md5Password("s3cret"), pgReady), ""},
		"scram":           {pgWants(scrams("s3cret", "s3cret", 4096), pgReady), ""},
		"other cleartext": {pgWants(cleartext("x"), pgReady), "postgresql: password authentication failed"},
		"other md5":       {pgWants(md5Password("x"), pgReady), "postgresql: password authentication failed"},
		"other scram":     {pgWants(scrams("x", "x", 4096), pgReady), "postgresql: password authentication failed"},
		"liar of scram": {pgWants(scrams("s3cret", "x", 4096), pgReady),
			"postgresql: the server does not know the password itself"},
		"many rounds": {pgWants(scrams("s3cret", "s3cret", 2_000_000_000), pgReady),
			"postgresql: scram: the server wants 2000000000 rounds, more than 100000"},
		"kerberos":  {pgAnswers(&pgproto3.AuthenticationGSS{}), "postgresql: the server wants what we cannot: *pgproto3.AuthenticationGSS"},
		"other way": {pgAnswers(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"X"}}), "postgresql: the server wants X, which we cannot"},
		"silent":    {says(""), "no answer to the login"},
	})
	ask.SQL.PasswordFile = ""
	wantReason(t, answered(t, probeMade(probePostgreSQL(ask)), lineServer(t, pgWants(cleartext("x"), pgReady)), forever),
		"postgresql: the server wants a password")
}

func TestPostgreSQLRowsAreJudged(t *testing.T) {
	trusts := func(*pgproto3.Backend, string) bool { return true }
	row := func(columns ...[]byte) *pgproto3.DataRow { return &pgproto3.DataRow{Values: columns} }
	described := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a")}}}
	done, ready := &pgproto3.CommandComplete{CommandTag: []byte("SELECT")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}
	with := func(messages ...pgproto3.BackendMessage) func(net.Conn) {
		return pgWants(trusts, func(s *pgproto3.Backend) {
			if query, ok := tells(s, ready).(*pgproto3.Query); ok && query.String == "SELECT ready" {
				tells(s, messages...)
			}
		})
	}
	ask := model.AskPostgreSQL{SQL: model.SQL{User: "weir", Query: "SELECT ready", Row: "t\t\tx"}}
	runLineTests(t, probeMade(probePostgreSQL(ask)), map[string]lineTest{
		"good":      {with(described, row([]byte("t"), nil, []byte("x")), done, ready), ""},
		"first":     {with(described, row([]byte("t"), nil, []byte("x")), row([]byte("f")), done, ready), ""},
		"other":     {with(described, row([]byte("f")), done, ready), `postgresql: row f, expected t\t\tx`},
		"none":      {with(described, done, ready), `postgresql: no row, expected t\t\tx`},
		"error":     {with(pgFault("42P01", `relation "x" does not exist`)), `postgresql: relation "x" does not exist`},
		"copy":      {with(&pgproto3.CopyInResponse{}), "postgresql: the query wants data from us"},
		"no answer": {with(), "no answer to the query"},
	})
}

// TestPostgreSQLHearsAGoodbye: otherwise it logs a lost connection.
func TestPostgreSQLHearsAGoodbye(t *testing.T) {
	heard := make(chan pgproto3.FrontendMessage, 1)
	trusts := func(*pgproto3.Backend, string) bool { return true }
	to := lineServer(t, pgWants(trusts, func(s *pgproto3.Backend) { heard <- tells(s, &pgproto3.ReadyForQuery{TxStatus: 'I'}) }))
	wantReason(t, answered(t, probeMade(probePostgreSQL(model.AskPostgreSQL{SQL: model.SQL{User: "weir"}})), to, forever), "")
	got := hears(t, heard)
	if _, ok := got.(*pgproto3.Terminate); !ok {
		t.Errorf("it hears %T", got)
	}
}

func TestPostgreSQLOverTLS(t *testing.T) {
	a := newAuthority(t, "ours")
	ca := written(t, "ca.pem", a.pem())
	config := &tls.Config{Certificates: []tls.Certificate{a.valid(t, "db.example.org")}}
	to := lineServer(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 8)) // SSLRequest
		_, _ = io.WriteString(c, "S")
		pgAnswers(&pgproto3.AuthenticationOk{})(tls.Server(c, config))
	})
	ask := func(name string) probe {
		return probeMade(probePostgreSQL(model.AskPostgreSQL{Secure: true, TLS: model.TLS{Name: name, CA: ca}}))
	}
	wantReason(t, answered(t, ask("db.example.org"), to, forever), "")
	wantReason(t, answered(t, ask("www.example.org"), to, forever), "tls: certificate is for db.example.org, not for www.example.org")
	wantReason(t, answered(t, ask(""), lineServer(t, says("N")), forever), "postgresql: the server has no TLS")
	wantReason(t, answered(t, ask(""), lineServer(t, says("E\x00")), forever), "postgresql: unexpected answer to SSLRequest: E")
}

// TestScramIsAsInItsRFC: the exchange of RFC 7677 section 3, but for the user, whom PostgreSQL does not take from here.
func TestScramIsAsInItsRFC(t *testing.T) {
	s := &scram{password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO"}
	final, err := s.finalAs("n=user,r=", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	const want = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || final != want {
		t.Errorf("got %s, %v", final, err)
	}
	if !s.believes("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") || s.believes("v=AAAA") || s.believes("e=other-error") {
		t.Error("it believes the wrong one")
	}
	for _, challenge := range []string{"", "r=x", "r=x,s=!,i=1", "r=x,s=AAAA,i=0", "r=x,s=AAAA,i=z", "e=no,s=,i="} {
		if _, _, _, err := parseChallenge(challenge); err == nil {
			t.Errorf("%q is read", challenge)
		}
	}
}
