// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
)

// mysqlCheck asks MySQL, MariaDB and what speaks as they do
// (dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html, whose names are used here). The library that
// programs use trusts servers: one that lies makes it panic.
type mysqlCheck struct {
	ask    model.SQL
	secure *handshakes // nil: without TLS
}

func adviseMySQL(ask model.AskMySQL) adviser {
	return mysqlCheck{ask.SQL, handshakesOf(ask.Secure, ask.TLS)}.advise
}

// advise has to say something only of certificates.
func (m mysqlCheck) advise(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
	password, err := secretIn(m.ask.PasswordFile)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	c, err := dial(ctx, to)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	defer c.Close()
	defer leaveSilently(c)
	defer obey(ctx, c)()
	s := newMySQLSession(c)
	s.password = password
	err = m.converse(ctx, s, to)
	return m.secure.verdict(s.conn, err)
}

func (m mysqlCheck) converse(ctx context.Context, s *mysqlSession, to netip.AddrPort) error {
	greeting, err := s.greeting()
	if err != nil || m.ask.User == "" {
		return err
	}
	if m.secure != nil {
		if err := m.shake(ctx, s, greeting, to); err != nil {
			return err
		}
	}
	if err := s.login(greeting, m.ask); err != nil {
		return err
	}
	if m.ask.Query != "" {
		err = s.query(m.ask)
	}
	s.quit()
	return err
}

// shake goes on over TLS (Protocol::SSLRequest).
func (m mysqlCheck) shake(ctx context.Context, s *mysqlSession, greeting mysqlGreeting, to netip.AddrPort) error {
	if greeting.capabilities&mysqlTLS == 0 {
		return errors.New("mysql: the server has no TLS")
	}
	config, err := m.secure.configFor(to)
	if err != nil {
		return err
	}
	s.capabilities |= mysqlTLS
	if err := s.write("SSLRequest", s.introduction()); err != nil {
		return err
	}
	c, err := shake(ctx, s.conn, config)
	if err != nil {
		return err
	}
	s.become(c)
	s.secure = true
	return nil
}

// What both sides can (Capabilities Flags).
const (
	mysqlDatabase = 1 << 3  // CLIENT_CONNECT_WITH_DB
	mysql41       = 1 << 9  // CLIENT_PROTOCOL_41
	mysqlTLS      = 1 << 11 // CLIENT_SSL
	mysqlSecure   = 1 << 15 // CLIENT_SECURE_CONNECTION
	mysqlPlugins  = 1 << 19 // CLIENT_PLUGIN_AUTH
)

// The first byte of a packet says what it is.
const (
	mysqlOK        = 0x00
	mysqlMoreData  = 0x01
	mysqlVersion10 = 0x0a
	mysqlFile      = 0xfb // in an answer to a query; in a row it is NULL
	mysqlEOF       = 0xfe
	mysqlSwitch    = 0xfe // within a login
	mysqlERR       = 0xff
)

// maxPacket is how long a packet may be that a server sends to a check. The protocol allows 16 MiB.
const maxPacket = 16 << 10

// mysqlSession is a conversation in packets.
type mysqlSession struct {
	conn         net.Conn
	in           io.Reader
	number       byte   // of the next packet
	said         string // what was said last, as messages call it; "" before the first word
	password     string
	capabilities uint32
	secure       bool
}

func newMySQLSession(c net.Conn) *mysqlSession {
	s := &mysqlSession{capabilities: mysql41 | mysqlSecure | mysqlPlugins}
	s.become(c)
	return s
}

// become goes on over another connection, or the first.
func (s *mysqlSession) become(c net.Conn) { s.conn, s.in = c, newLimited(c, maxTold) }

// read returns the next packet, or the error that is in it.
func (s *mysqlSession) read() (mysqlPacket, error) {
	var head [4]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return nil, unheard(err, s.said)
	}
	length := binary.LittleEndian.Uint32(head[:]) & 0xffffff
	if length > maxPacket {
		return nil, fmt.Errorf("mysql: a packet of %d bytes is none of its protocol", length)
	}
	packet := make(mysqlPacket, length)
	if _, err := io.ReadFull(s.in, packet); err != nil {
		return nil, unheard(err, s.said)
	}
	s.number = head[3] + 1
	switch {
	case length == 0:
		return nil, errors.New("mysql: an empty packet")
	case packet[0] == mysqlERR:
		return nil, packet.fault()
	}
	return packet, nil
}

// write sends what messages call by the word.
func (s *mysqlSession) write(word string, body []byte) error {
	s.said = word
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	out[3] = s.number
	s.number++
	if _, err := s.conn.Write(append(out, body...)); err != nil {
		return unheard(err, word)
	}
	return nil
}

// command begins something new.
func (s *mysqlSession) command(word string, body []byte) error {
	s.number = 0
	return s.write(word, body)
}

// quit says goodbye, without which a server counts an aborted client.
func (s *mysqlSession) quit() {
	const comQuit = 0x01
	if s.command("goodbye", []byte{comQuit}) == nil {
		leave(s.conn)
	}
}

// mysqlGreeting is what a login needs of Protocol::HandshakeV10.
type mysqlGreeting struct {
	capabilities uint32
	plugin       string
	nonce        []byte
}

// greeting says that the server takes sessions.
func (s *mysqlSession) greeting() (out mysqlGreeting, err error) {
	packet, err := s.read()
	if err != nil {
		return out, err
	}
	rest := packet
	if version, ok := rest.byte(); !ok || version != mysqlVersion10 {
		return out, fmt.Errorf("mysql: unexpected greeting %s", shown(string(packet)))
	}
	const nonce, more, reserved = 8, 12, 10 // bytes
	rest.word()                             // the server's version
	rest.take(4)                            // the connection's number
	out.nonce = append(out.nonce, rest.take(nonce)...)
	rest.take(1)
	out.capabilities = rest.number(2)
	rest.take(1 + 2) // character set, status
	out.capabilities |= rest.number(2) << 16
	rest.take(1 + reserved)
	out.nonce = append(out.nonce, rest.take(more)...)
	rest.take(1)
	out.plugin = rest.word()
	return out, nil
}

// introduction is how Protocol::HandshakeResponse41 begins, and all of Protocol::SSLRequest.
func (s *mysqlSession) introduction() []byte {
	const utf8, reserved = 33, 23
	out := binary.LittleEndian.AppendUint32(nil, s.capabilities)
	out = binary.LittleEndian.AppendUint32(out, maxPacket)
	return append(append(out, utf8), make([]byte, reserved)...)
}

// login goes on until the server lets us in, or says why not.
func (s *mysqlSession) login(greeting mysqlGreeting, ask model.SQL) error {
	if greeting.capabilities&mysql41 == 0 || len(greeting.nonce) < 20 {
		return errors.New("mysql: the server is older than version 4.1")
	}
	proof, plugin := mysqlProof(greeting.plugin, s.password, greeting.nonce)
	if ask.Database != "" {
		s.capabilities |= mysqlDatabase
	}
	out := append(s.introduction(), ask.User+"\x00"...)
	out = append(append(out, byte(len(proof))), proof...)
	if ask.Database != "" {
		out = append(out, ask.Database+"\x00"...)
	}
	if err := s.write("the login", append(out, plugin+"\x00"...)); err != nil {
		return err
	}
	return s.authenticate(plugin, greeting.nonce)
}

// mysqlRow reads the columns of a row in text; NULL is empty.
func mysqlRow(packet mysqlPacket, count int) ([]string, bool) {
	out := make([]string, count)
	for i := range out {
		if len(packet) > 0 && packet[0] == mysqlFile {
			packet = packet[1:]
			continue
		}
		length, ok := packet.length()
		if !ok || length > len(packet) {
			return nil, false
		}
		out[i] = string(packet.take(length))
	}
	return out, len(packet) == 0
}

var errMySQLAnswer = errors.New("mysql: the answer makes no sense")

// query judges the first row, and reads the others: the server does not hear a goodbye before it has sent them.
func (s *mysqlSession) query(ask model.SQL) error {
	const comQuery = 0x03
	if err := s.command("the query", append([]byte{comQuery}, ask.Query...)); err != nil {
		return err
	}
	packet, err := s.read()
	switch {
	case err != nil:
		return err
	case packet[0] == mysqlOK:
		return judgeRow("mysql", ask, nil)
	case packet[0] == mysqlFile:
		return errors.New("mysql: the server wants a file of ours")
	}
	count, ok := packet.length()
	if !ok || count > maxPacket {
		return errMySQLAnswer
	}
	if columns, err := s.rest(); err != nil || len(columns) != count {
		return orElse(err, errMySQLAnswer)
	}
	rows, err := s.rest()
	if err != nil || len(rows) == 0 {
		return orElse(err, judgeRow("mysql", ask, nil))
	}
	row, ok := mysqlRow(rows[0], count)
	if !ok {
		return errMySQLAnswer
	}
	return judgeRow("mysql", ask, row)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// rest are the packets as far as the one that ends them.
func (s *mysqlSession) rest() (out []mysqlPacket, err error) {
	const ends = 9 // bytes: a row may begin so, but is longer
	for {
		packet, err := s.read()
		if err != nil || packet[0] == mysqlEOF && len(packet) < ends {
			return out, err
		}
		out = append(out, packet)
	}
}
