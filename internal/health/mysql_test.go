// SPDX-License-Identifier: Apache-2.0

package health

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// packed is one packet of MySQL.
func packed(number byte, body string) string {
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	head[3] = number
	return string(head) + body
}

// mysqlHello is what MariaDB 10.11.19 of Debian 12 sends first, recorded.
const mysqlHello = "\x0a5.5.5-10.11.19-MariaDB-0+deb12u1\x00\x03\x00\x00\x002u|/oc%,\x00\xfe\xf7\x08\x02\x00\xff\x81\x15" +
	"\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00N\"]0swz!2v~8\x00mysql_native_password\x00"

// mysqlWelcome is an OK_Packet.
const mysqlWelcome = "\x00\x00\x00\x02\x00\x00\x00"

// mysqlFault is an ERR_Packet.
func mysqlFault(text string) string { return "\xff\x15\x04#28000" + text }

// mysqlServer answers packet by packet; what it hears goes to the channel, if there is one, and "end" at a clean end.
func mysqlServer(heard chan<- string, answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, answer := range answers {
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
			var head [4]byte
			_, err := io.ReadFull(c, head[:])
			if heard != nil && err == io.EOF {
				heard <- "end"
			}
			if err != nil {
				return
			}
			body := make([]byte, binary.LittleEndian.Uint32(head[:])&0xffffff)
			if _, err := io.ReadFull(c, body); err != nil {
				return
			}
			if heard != nil {
				heard <- string(body)
			}
		}
	}
}

// column is a definition of one of type VARCHAR (Protocol::ColumnDefinition41).
func column(number byte) string {
	return packed(number, "\x03def\x00\x00\x00\x01a\x00\x0c\x21\x00\x40\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
}

const mysqlEnd = "\xfe\x00\x00\x02\x00" // EOF_Packet

// mysqlRows is a result with one column.
func mysqlRows(rows ...string) string {
	out := packed(1, "\x01") + column(2) + packed(3, mysqlEnd)
	number := byte(4)
	for _, row := range rows {
		out += packed(number, string([]byte{byte(len(row))})+row)
		number++
	}
	return out + packed(number, mysqlEnd)
}

func TestMySQLGreetingsAreJudged(t *testing.T) {
	runLineTests(t, probeMade(probeMySQL(model.AskMySQL{})), map[string]lineTest{
		"good":    {says(packed(0, mysqlHello)), ""},
		"blocked": {saysAndCloses(packed(0, "\xff\x69\x04Host '192.0.2.2' is blocked\n")), "mysql: Host '192.0.2.2' is blocked"},
		"old":     {says(packed(0, "\x093.20")), `mysql: unexpected greeting 3.20`},
		"empty":   {says(packed(0, "")), `mysql: an empty packet`},
		"huge":    {says("\xff\xff\xff\x00"), "mysql: a packet of 16777215 bytes is none of its protocol"},
		"silent":  {says(""), "no answer: no greeting"},
		"cut":     {saysAndCloses("\x20\x00\x00\x00\x0a"), "closed before the greeting"},
	})
}

func TestMySQLLoginsAreJudged(t *testing.T) {
	login := []string{packed(0, mysqlHello), packed(2, mysqlWelcome)}
	with := func(more ...string) func(net.Conn) { return mysqlServer(nil, append(login[:2:2], more...)...) }
	ask := model.SQL{User: "weir", PasswordFile: secretFile(t, "s3cret"), Database: "shop"}
	runLineTests(t, probeMade(probeMySQL(model.AskMySQL{SQL: ask})), map[string]lineTest{
		"good": {with(), ""},
		"denied": {mysqlServer(nil, login[0], packed(2, mysqlFault("Access denied for user 'weir'@'%'"))),
			"mysql: Access denied for user 'weir'@'%'"},
		"closes": {mysqlServer(nil, login[0]), "closed before the answer to the login"},
		"silent": {says(login[0]), "no answer to the login"},
		"old":    {says(packed(0, "\x0a4.0\x00\x01\x00\x00\x00abcdefgh\x00\x2c\x00")), "mysql: the server is older than version 4.1"},
		"huge":   {mysqlServer(nil, login[0], "\x00\x00\xff\x02"), "mysql: a packet of 16711680 bytes is none of its protocol"},
		"plugin": {mysqlServer(nil, login[0], packed(2, "\xfedialog\x00Password:")), "mysql: the server wants dialog, which we cannot"},
	})
	ask.Query, ask.Row = "SELECT ready", "1"
	runLineTests(t, probeMade(probeMySQL(model.AskMySQL{SQL: ask})), map[string]lineTest{
		"row":         {with(mysqlRows("1")), ""},
		"first row":   {with(mysqlRows("1", "2", "3")), ""},
		"other row":   {with(mysqlRows("2", "1")), "mysql: row 2, expected 1"},
		"no row":      {with(mysqlRows()), "mysql: no row, expected 1"},
		"error":       {with(packed(1, mysqlFault("Table doesn't exist"))), "mysql: Table doesn't exist"},
		"endless":     {with(strings.Repeat(mysqlRows(strings.Repeat("x", 200)), 400)), "mysql: row xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…, expected 1"},
		"too much":    {with(packed(1, "\x01") + strings.Repeat(column(2), 3000)), "more than 64 KiB before the answer to the query"},
		"nonsense":    {with(packed(1, "\x02") + column(2) + packed(3, mysqlEnd)), "mysql: the answer makes no sense"},
		"cut row":     {with(packed(1, "\x01") + column(2) + packed(3, mysqlEnd) + packed(4, "\x09x") + packed(5, mysqlEnd)), "mysql: the answer makes no sense"},
		"hangs up":    {mysqlServer(nil, login[0], login[1]), "closed before the answer to the query"},
		"wants files": {with(packed(1, "\xfb/etc/passwd")), "mysql: the server wants a file of ours"},
	})
}

// TestMySQLHearsAGoodbye: otherwise it would count an aborted client, and block its host some day.
func TestMySQLHearsAGoodbye(t *testing.T) {
	heard := make(chan string, 10)
	to := lineServer(t, mysqlServer(heard, packed(0, mysqlHello), packed(2, mysqlWelcome), mysqlRows("1", "2")))
	ask := model.SQL{User: "weir", PasswordFile: secretFile(t, "s3cret"), Database: "shop", Query: "SELECT ready", Row: "1"}
	done := make(chan error, 1)
	go func() { done <- answered(t, probeMade(probeMySQL(model.AskMySQL{SQL: ask})), to, later) }()
	login, query, quit := hears(t, heard), hears(t, heard), hears(t, heard)
	if !strings.Contains(login, "weir\x00") || !strings.Contains(login, "shop\x00") || strings.Contains(login, "s3cret") {
		t.Errorf("it logs in with %q", login)
	}
	if query != "\x03SELECT ready" || quit != "\x01" {
		t.Errorf("it hears %q and %q", query, quit)
	}
	wantReason(t, hears(t, done), "")
}

// TestSilentEndsAreHeardBeforeResets: who is only greeted reads an end.
func TestSilentEndsAreHeardBeforeResets(t *testing.T) {
	heard := make(chan string, 1)
	to := lineServer(t, mysqlServer(heard, packed(0, mysqlHello)))
	wantReason(t, answered(t, probeMade(probeMySQL(model.AskMySQL{})), to, forever), "")
	if got := hears(t, heard); got != "end" {
		t.Errorf("it hears %q", got)
	}
}

// cachingServer is one with caching_sha2_password (MySQL 8) that does not have the user in its cache: it wants the
// password for its key.
func cachingServer(t *testing.T, password string) func(net.Conn) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	const nonce = "ABCDEFGHIJKLMNOPQRST"
	return func(c net.Conn) {
		heard := make(chan string, 10)
		server := mysqlServer(heard, packed(0, mysqlHello), packed(2, "\xfecaching_sha2_password\x00"+nonce+"\x00"), packed(4, "\x01\x04"), packed(6, "\x01"+key))
		server(c)
		_, proof, please, secret := hears(t, heard), hears(t, heard), hears(t, heard), hears(t, heard)
		plain, err := rsa.DecryptOAEP(sha1.New(), nil, private, []byte(secret), nil)
		for i := range plain {
			plain[i] ^= nonce[i%len(nonce)]
		}
		if err != nil || please != "\x02" || string(plain) != password+"\x00" || !isCachingProof(proof, password, nonce) {
			_, _ = io.WriteString(c, packed(8, mysqlFault("Access denied")))
			return
		}
		_, _ = io.WriteString(c, packed(8, mysqlWelcome))
		_, _ = io.ReadFull(c, make([]byte, 5)) // the goodbye
	}
}

// isCachingProof does what a server does, which has SHA256(SHA256(password)) alone.
func isCachingProof(proof, password, nonce string) bool {
	if len(proof) != sha256.Size {
		return false
	}
	once := sha256.Sum256([]byte(password))
	stored := sha256.Sum256(once[:])
	pad := sha256.Sum256(append(stored[:], nonce...))
	for i := range pad {
		pad[i] ^= proof[i]
	}
	return sha256.Sum256(pad[:]) == stored
}

func TestMySQLPasswordsGoToTheServersKeyAlone(t *testing.T) {
	ask := func(password string) probe {
		return probeMade(probeMySQL(model.AskMySQL{SQL: model.SQL{User: "weir", PasswordFile: secretFile(t, password)}}))
	}
	server := cachingServer(t, "s3cret")
	wantReason(t, answered(t, ask("s3cret"), lineServer(t, server), forever), "")
	wantReason(t, answered(t, ask("other"), lineServer(t, server), forever), "mysql: Access denied")
}

// TestKeysOfAnySizeAreNotTaken: a hostile server must not have us compute for minutes.
func TestKeysOfAnySizeAreNotTaken(t *testing.T) {
	for bits, want := range map[uint]string{8192: "", 8193: "mysql: the server's key has 8193 bits, more than 8192", 100_000: "mysql: the server's key has 100000 bits, more than 8192"} {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		public, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		_, err = mysqlEncrypted(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "s3cret", []byte("nonce"))
		if got := fmt.Sprint(err); got != want && (want != "" || err != nil) {
			t.Errorf("%d bits: %v, want %q", bits, err, want)
		}
	}
}

// TestNativeProofIsAsServersCheckIt: they have SHA1(SHA1(password)) alone.
func TestNativeProofIsAsServersCheckIt(t *testing.T) {
	nonce := []byte("abcdefghijklmnopqrst")
	proof, plugin := mysqlProof("dialog", "s3cret", nonce)
	once := sha1.Sum([]byte("s3cret"))
	stored := sha1.Sum(once[:])
	pad := sha1.Sum(append(nonce, stored[:]...))
	for i := range pad {
		pad[i] ^= proof[i]
	}
	if plugin != mysqlNative || sha1.Sum(pad[:]) != stored {
		t.Errorf("%s: %x", plugin, proof)
	}
}

// TestMySQLOverTLS: a password is not sent before it, and a wrong name ends it.
func TestMySQLOverTLS(t *testing.T) {
	a := newAuthority(t, "ours")
	ca := written(t, "ca.pem", a.pem())
	config := &tls.Config{Certificates: []tls.Certificate{a.valid(t, "db.example.org")}}
	to := lineServer(t, func(c net.Conn) {
		_, _ = io.WriteString(c, packed(0, strings.Replace(mysqlHello, "\xfe\xf7", "\xfe\xff", 1)))
		_, _ = io.ReadFull(c, make([]byte, 4+32)) // SSLRequest
		secure := tls.Server(c, config)
		heard := make(chan string, 10)
		mysqlServer(heard, "", packed(3, mysqlWelcome))(secure)
	})
	ask := func(name string) probe {
		sql := model.SQL{User: "weir", PasswordFile: secretFile(t, "s3cret")}
		return probeMade(probeMySQL(model.AskMySQL{SQL: sql, Secure: true, TLS: model.TLS{Name: name, CA: ca}}))
	}
	wantReason(t, answered(t, ask("db.example.org"), to, forever), "")
	wantReason(t, answered(t, ask("www.example.org"), to, forever), "tls: certificate is for db.example.org, not for www.example.org")
	plain := lineServer(t, says(packed(0, mysqlHello)))
	wantReason(t, answered(t, ask("db.example.org"), plain, forever), "mysql: the server has no TLS")
}
