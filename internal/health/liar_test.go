// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-lb/weir/internal/model"
)

// replay is a server that says what it always says, whatever it hears.
type replay struct {
	net.Conn
	says io.Reader
}

func (r replay) Read(space []byte) (int, error) { return r.says.Read(space) }
func (r replay) Write(text []byte) (int, error) { return len(text), nil }

// garbled changes some bytes, or cuts the end off.
func garbled(r *rand.Rand, text string) []byte {
	out := []byte(text)
	for range 1 + r.IntN(4) {
		out[r.IntN(len(out))] = byte(r.IntN(256))
	}
	if r.IntN(4) == 0 {
		out = out[:r.IntN(len(out))]
	}
	if at := r.IntN(len(out) + 1); r.IntN(4) == 0 {
		out = slices.Insert(out, at, byte(r.IntN(256)))
	}
	return out
}

func pgTranscript(t *testing.T) string {
	t.Helper()
	var out []byte
	for _, m := range []pgproto3.BackendMessage{
		&pgproto3.AuthenticationMD5Password{}, &pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "a", Value: "b"},
		&pgproto3.BackendKeyData{SecretKey: []byte("abcd")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a")}}},
		&pgproto3.DataRow{Values: [][]byte{[]byte("1"), nil}},
	} {
		var err error
		if out, err = m.Encode(out); err != nil {
			t.Fatal(err)
		}
	}
	return string(out)
}

// TestGarbledAnswersHurtNobody: a server that lies ends in an error, or is believed, and in nothing else.
func TestGarbledAnswersHurtNobody(t *testing.T) {
	sql := model.SQL{User: "weir", Query: "SELECT ready", Row: "1"}
	request := sipCheck{}.request(closedPort(t), closedPort(t))
	status := radiusCheck{}.request(1, [16]byte{}, "s3cret", "")
	for name, tt := range map[string]struct {
		says string
		hear func(c replay)
	}{
		"mysql": {packed(0, mysqlHello) + packed(2, "\xfecaching_sha2_password\x00ABCDEFGHIJKLMNOPQRST\x00") + packed(4, "\x01\x03") + packed(5, mysqlWelcome) + mysqlRows("1", "2"),
			func(c replay) {
				s := newMySQLSession(c)
				s.password = "s3cret"
				if greeting, err := s.greeting(); err == nil && s.login(greeting, sql) == nil {
					_ = s.query(sql)
				}
			}},
		"postgresql": {pgTranscript(t), func(c replay) {
			s := &pgSession{user: "weir", password: "s3cret", Frontend: pgproto3.NewFrontend(newLimited(c, maxTold), c)}
			s.SetMaxBodyLen(maxTold)
			if s.login("") == nil {
				_ = s.query(sql)
			}
		}},
		"ldap": {ldapAnswer(1, ldapBound, 0, "text") + ldapAnswer(2, ldapEntry, 0, "") + ldapAnswer(2, ldapSearched, 0, ""), func(c replay) {
			if s := newLDAPSession(c); s.bind("", "") == nil {
				_ = s.find("dc=example")
			}
		}},
		"sip": {sipReply(request.text, "200 OK", "Content-Length: 0"), func(c replay) { _, _ = readSIP(bufio.NewReader(c)) }},
		"radius": {string(radiusReply(status, "s3cret", accessAccept, attribute(nil, radiusReplyMessage, []byte("text"))...)), func(c replay) {
			packet, _ := io.ReadAll(c)
			if len(packet) > 20 { // as if the liar knew the secret
				packet = radiusReply(status, "s3cret", accessAccept, packet[20:]...)
			}
			_, _ = signedAnswer(packet, status, "s3cret")
		}},
		"grpc": {"\x00\x00\x00\x00\x02\x08\x01", func(c replay) {
			message, _ := io.ReadAll(c)
			_, _ = healthStatus(message)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 5000 {
				says := garbled(r, tt.says)
				func() {
					defer func() {
						if p := recover(); p != nil {
							t.Fatalf("%q: %v", says, p)
						}
					}()
					tt.hear(replay{says: bytes.NewReader(says)})
				}()
			}
		})
	}
}
