// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/weir-lb/weir/internal/model"
)

// ldapCheck binds, and may look for an entry (RFC 4511). BER is the library's.
type ldapCheck struct {
	ask    model.AskLDAP
	secure *handshakes // nil: ldap
}

// The operations that we send or hear (RFC 4511 section 4), and the choice within a bind.
const (
	ldapBind        ber.Tag = 0
	ldapBound       ber.Tag = 1
	ldapUnbind      ber.Tag = 2
	ldapSearch      ber.Tag = 3
	ldapEntry       ber.Tag = 4
	ldapSearched    ber.Tag = 5
	ldapReference   ber.Tag = 19
	ldapExtended    ber.Tag = 24 // from the server: Notice of Disconnection (section 4.4.1)
	ldapSimple      ber.Tag = 0  // AuthenticationChoice
	ldapPresent     ber.Tag = 7  // Filter
	ldapNoAttribute         = "1.1"
)

func adviseLDAP(ask model.AskLDAP) adviser {
	return ldapCheck{ask, handshakesOf(ask.Secure, ask.TLS)}.advise
}

// advise has to say something only of certificates.
func (l ldapCheck) advise(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
	password, err := secretIn(l.ask.PasswordFile)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	c, err := l.secure.dial(ctx, to)
	if err != nil {
		return model.Advice{}, tame(err)
	}
	defer c.Close()
	defer obey(ctx, c)()
	return l.secure.verdict(c, l.converse(c, password))
}

func (l ldapCheck) converse(c net.Conn, password string) (err error) {
	s := newLDAPSession(c)
	if err := s.bind(l.ask.Bind, password); err != nil {
		return err
	}
	if l.ask.Base != "" {
		err = s.find(l.ask.Base)
	}
	if s.send("unbind", ber.Encode(ber.ClassApplication, ber.TypePrimitive, ldapUnbind, nil, "")) == nil {
		leave(c)
	}
	return err
}

// ldapSession is a conversation in messages.
type ldapSession struct {
	conn net.Conn
	in   io.Reader
	said string // what was said last, as messages call it
	id   int64  // of the last message (RFC 4511 section 4.1.1.1)
}

// newLDAPSession hears little: what is nested costs much more room than it has bytes.
func newLDAPSession(c net.Conn) *ldapSession {
	return &ldapSession{conn: c, in: bufio.NewReader(newLimited(c, maxTold/4))}
}

// send wraps an operation into a message.
func (s *ldapSession) send(word string, operation *ber.Packet) error {
	s.said = word
	s.id++
	message := ber.NewSequence("")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, s.id, ""))
	message.AppendChild(operation)
	if _, err := s.conn.Write(message.Bytes()); err != nil {
		return unheard(err, word)
	}
	return nil
}

// bind says who we are by a password (RFC 4511 section 4.2); nobody has neither (RFC 4513 section 5.1.1).
func (s *ldapSession) bind(name, password string) error {
	const version = 3
	operation := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldapBind, nil, "")
	operation.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, version, ""))
	operation.AppendChild(octets(name))
	operation.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, ldapSimple, password, ""))
	if err := s.send("bind", operation); err != nil {
		return err
	}
	answer, err := s.receive()
	if err != nil {
		return err
	}
	if answer.Tag != ldapBound {
		return fmt.Errorf("ldap: operation %d in answer to bind", answer.Tag)
	}
	return ldapResult("bind", answer)
}

func octets(text string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, "")
}

// find wants the entry at a name, and nothing that is in it (RFC 4511 section 4.5).
func (s *ldapSession) find(base string) error {
	if err := s.send("search", searchFor(base)); err != nil {
		return err
	}
	found := false
	for range maxMessages {
		answer, err := s.receive()
		if err != nil {
			return err
		}
		switch answer.Tag {
		case ldapEntry:
			found = true
		case ldapReference:
		case ldapSearched:
			if err := ldapResult("search", answer); err != nil || found {
				return err
			}
			return fmt.Errorf("ldap: there is no entry %s, or it may not be seen", shown(base))
		default:
			return fmt.Errorf("ldap: operation %d in answer to search", answer.Tag)
		}
	}
	return fmt.Errorf("ldap: %d messages, and no end of the answer to search", maxMessages)
}

func searchFor(base string) *ber.Packet {
	if base == model.RootDSE {
		base = ""
	}
	const baseObject, neverDerefAliases, oneEntry = 0, 0, 2 // and one more, that too many show
	number := func(tag ber.Tag, value int) *ber.Packet {
		return ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, tag, value, "")
	}
	out := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldapSearch, nil, "")
	out.AppendChild(octets(base))
	out.AppendChild(number(ber.TagEnumerated, baseObject))
	out.AppendChild(number(ber.TagEnumerated, neverDerefAliases))
	out.AppendChild(number(ber.TagInteger, oneEntry))
	out.AppendChild(number(ber.TagInteger, 0)) // no limit in time: ours is shorter
	out.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
	out.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, ldapPresent, "objectClass", ""))
	attributes := ber.NewSequence("")
	attributes.AppendChild(octets(ldapNoAttribute))
	out.AppendChild(attributes)
	return out
}

// receive returns the operation of the next message to us.
func (s *ldapSession) receive() (*ber.Packet, error) {
	message, err := ber.ReadPacket(s.in)
	switch {
	case isUnread(err):
		return nil, unheard(err, s.said)
	case err != nil:
		return nil, fmt.Errorf("ldap: %w", err)
	}
	bad := errors.New("ldap: the server speaks another protocol")
	if message.ClassType != ber.ClassUniversal || message.Tag != ber.TagSequence || len(message.Children) < 2 {
		return nil, bad
	}
	id, ok := message.Children[0].Value.(int64)
	operation := message.Children[1]
	switch {
	case !ok || operation.ClassType != ber.ClassApplication:
		return nil, bad
	case id == 0 && operation.Tag == ldapExtended:
		return nil, ldapResult("disconnect", operation)
	case id != s.id:
		return nil, fmt.Errorf("ldap: an answer to message %d, expected %d", id, s.id)
	}
	return operation, nil
}

// ldapResults are some of RFC 4511 appendix A.1, those that a check meets.
var ldapResults = map[int64]string{
	1: "operationsError", 2: "protocolError", 3: "timeLimitExceeded", 7: "authMethodNotSupported",
	8: "strongerAuthRequired", 10: "referral", 11: "adminLimitExceeded", 13: "confidentialityRequired",
	32: "noSuchObject", 34: "invalidDNSyntax", 48: "inappropriateAuthentication", 49: "invalidCredentials",
	50: "insufficientAccessRights", 51: "busy", 52: "unavailable", 53: "unwillingToPerform", 80: "other",
}

// ldapResult is an error unless it is success: code, matched name, and text (RFC 4511 section 4.1.9).
func ldapResult(of string, operation *ber.Packet) error {
	if len(operation.Children) < 3 {
		return fmt.Errorf("ldap: %s without a result", of)
	}
	code, ok := operation.Children[0].Value.(int64)
	if !ok {
		return fmt.Errorf("ldap: %s without a result", of)
	}
	if code == 0 && of != "disconnect" {
		return nil
	}
	name := ldapResults[code]
	if name == "" {
		name = fmt.Sprintf("result %d", code)
	}
	if text, _ := operation.Children[2].Value.(string); text != "" {
		name += ": " + shown(text)
	}
	return fmt.Errorf("ldap: %s: %s", of, name)
}
