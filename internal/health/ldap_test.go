// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/weir-lb/weir/internal/model"
)

// ldapAnswer is a message with a result, or an entry, which has no code.
func ldapAnswer(id int64, operation ber.Tag, code int64, text string) string {
	body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, operation, nil, "")
	if operation != ldapEntry {
		body.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	}
	body.AppendChild(octets(""))
	body.AppendChild(octets(text))
	message := ber.NewSequence("")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	message.AppendChild(body)
	return string(message.Bytes())
}

// ldapServer answers message by message; what it hears goes to the channel, if there is one.
func ldapServer(heard chan<- *ber.Packet, answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, answer := range append(answers, "") {
			message, err := ber.ReadPacket(c)
			if err != nil {
				return
			}
			if heard != nil {
				heard <- message.Children[1]
			}
			if _, err := c.Write([]byte(answer)); err != nil {
				return
			}
		}
	}
}

// cutServer answers a part and closes, but not before it has heard: else that would be a reset.
func cutServer(part string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = ber.ReadPacket(c)
		_, _ = io.WriteString(c, part)
	}
}

// longForm writes a length in more bytes than it needs, as Active Directory does.
func longForm(message string) string {
	return message[:1] + "\x84\x00\x00\x00" + message[1:]
}

func TestLDAPBindsAreJudged(t *testing.T) {
	bound := ldapAnswer(1, ldapBound, 0, "")
	runLineTests(t, probeMade(probeLDAP(model.AskLDAP{})), map[string]lineTest{
		"good":         {ldapServer(nil, bound), ""},
		"long lengths": {ldapServer(nil, longForm(bound)), ""},
		"wrong":        {ldapServer(nil, ldapAnswer(1, ldapBound, 49, "")), "ldap: bind: invalidCredentials"},
		"busy":         {ldapServer(nil, ldapAnswer(1, ldapBound, 51, "come back\nlater")), `ldap: bind: busy: come back\nlater`},
		"unknown":      {ldapServer(nil, ldapAnswer(1, ldapBound, 4711, "")), "ldap: bind: result 4711"},
		"other id":     {ldapServer(nil, ldapAnswer(2, ldapBound, 0, "")), "ldap: an answer to message 2, expected 1"},
		"other answer": {ldapServer(nil, ldapAnswer(1, ldapSearched, 0, "")), "ldap: operation 5 in answer to bind"},
		"goes away":    {ldapServer(nil, ldapAnswer(0, ldapExtended, 52, "")), "ldap: disconnect: unavailable"},
		"no result":    {ldapServer(nil, "\x30\x05\x02\x01\x01\x61\x00"), "ldap: bind without a result"},
		"no message":   {ldapServer(nil, "\x30\x03\x02\x01\x01"), "ldap: the server speaks another protocol"},
		"huge":         {says("\x30\x84\x7f\xff\xff\xff\x04\x84\x7f\xff\xff\xf0" + strings.Repeat("x", 20000)), "more than 16 KiB before the answer to bind"},
		"nested":       {says(strings.Repeat("\x30\x80", 10000)), "ldap: nesting depth 1000 exceeds maximum 1000"},
		"cut":          {cutServer(bound[:5]), "closed before the answer to bind"},
		"silent":       {says(""), "no answer to bind"},
	})
}

func TestLDAPEntriesAreLookedFor(t *testing.T) {
	bound, entry, done := ldapAnswer(1, ldapBound, 0, ""), ldapAnswer(2, ldapEntry, 0, ""), ldapAnswer(2, ldapSearched, 0, "")
	runLineTests(t, probeMade(probeLDAP(model.AskLDAP{Base: "dc=example"})), map[string]lineTest{
		"there":     {ldapServer(nil, bound, entry+done), ""},
		"not there": {ldapServer(nil, bound, ldapAnswer(2, ldapSearched, 32, "")), "ldap: search: noSuchObject"},
		"not seen":  {ldapServer(nil, bound, done), "ldap: there is no entry dc=example, or it may not be seen"},
		"referred":  {ldapServer(nil, bound, ldapAnswer(2, ldapSearched, 10, "")), "ldap: search: referral"},
		"no end":    {ldapServer(nil, bound, entry), "no answer to search"},
		"odd":       {ldapServer(nil, bound, ldapAnswer(2, ldapBound, 0, "")), "ldap: operation 1 in answer to search"},
		"endless":   {ldapServer(nil, bound, strings.Repeat(entry, 2000)), "ldap: 1000 messages, and no end of the answer to search"},
		"too much":  {ldapServer(nil, bound, strings.Repeat(ldapAnswer(2, ldapEntry, 0, strings.Repeat("x", 90)), 200)), "more than 16 KiB before the answer to search"},
	})
}

// TestLDAPOnTheWire compares them byte by byte with what RFC 4511 sections 4 and 5.1 make of them.
func TestLDAPOnTheWire(t *testing.T) {
	heard := make(chan *ber.Packet, 10)
	to := lineServer(t, ldapServer(heard, ldapAnswer(1, ldapBound, 0, ""), ldapAnswer(2, ldapEntry, 0, "")+ldapAnswer(2, ldapSearched, 0, "")))
	ask := model.AskLDAP{Bind: "cn=weir", PasswordFile: secretFile(t, "s3cret"), Base: model.RootDSE}
	wantReason(t, answered(t, probeMade(probeLDAP(ask)), to, forever), "")
	for _, want := range []string{
		"\x60\x14\x02\x01\x03\x04\x07cn=weir\x80\x06s3cret",
		"\x63\x25\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x02\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x05\x04\x031.1",
		"\x42\x00",
	} {
		got := hears(t, heard)
		if got == nil {
			return
		}
		if got := got.Bytes(); !bytes.Equal(got, []byte(want)) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
