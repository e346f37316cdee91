// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-lb/weir/internal/model"
)

// TestKindsOverTLSWarnOfCertificates as https does, whenever TLS begins.
func TestKindsOverTLSWarnOfCertificates(t *testing.T) {
	ours := newAuthority(t, "ours")
	until := time.Now().Add(9 * 24 * time.Hour).UTC().Truncate(time.Second)
	config := &tls.Config{Certificates: []tls.Certificate{ours.certify(t, time.Now().Add(-time.Hour), until, "db.example.org")}}
	behind := func(before int, greeting string, hold func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, greeting)
			_, _ = io.ReadFull(c, make([]byte, before))
			hold(tls.Server(c, config))
		}
	}
	mysqlSecureHello := packed(0, strings.Replace(mysqlHello, "\xfe\xf7", "\xfe\xff", 1))
	for _, expiry := range []time.Duration{0, 14 * 24 * time.Hour} {
		with := model.TLS{Expiry: expiry}
		grpc := grpcServer(t, config.Clone(), grpcSays("\x08\x01", "0", ""))
		ldap := lineServer(t, behind(0, "", ldapServer(nil, ldapAnswer(1, ldapBound, 0, ""))))
		pg := lineServer(t, behind(8, "S", pgAnswers(&pgproto3.AuthenticationOk{})))
		mysql := lineServer(t, behind(4+32, mysqlSecureHello, mysqlServer(nil, "", packed(3, mysqlWelcome))))
		ctx, cancel := context.WithTimeout(t.Context(), forever)
		defer cancel()
		for kind, ask := range map[string]func() (model.Advice, error){
			"grpc": func() (model.Advice, error) { return adviseGRPC(model.AskGRPC{Secure: true, TLS: with})(ctx, grpc) },
			"ldap": func() (model.Advice, error) { return adviseLDAP(model.AskLDAP{Secure: true, TLS: with})(ctx, ldap) },
			"postgresql": func() (model.Advice, error) {
				return advisePostgreSQL(model.AskPostgreSQL{Secure: true, TLS: with})(ctx, pg)
			},
			"mysql": func() (model.Advice, error) {
				return adviseMySQL(model.AskMySQL{SQL: model.SQL{User: "weir"}, Secure: true, TLS: with})(ctx, mysql)
			},
		} {
			var want model.Advice
			if expiry != 0 {
				want.Ends = until
			}
			if got, err := ask(); err != nil || got != want {
				t.Errorf("%s, %v: %+v, %v, want %+v", kind, expiry, got, err, want)
			}
		}
	}
}
