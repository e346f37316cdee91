// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/weir-lb/weir/internal/model"
)

const (
	// maxDatagram is more than a server may send to who does not say how much it takes: 512 bytes
	// (RFC 1035 section 4.2.1).
	maxDatagram = 4 << 10

	// maxStrange is how many datagrams that answer something else are overlooked.
	maxStrange = 32
)

// dnsCheck is a question as it is sent, and what is wanted of its answer.
type dnsCheck struct {
	ask      model.AskDNS
	question dnsmessage.Question
	query    []byte // with id 0
	rcode    dnsmessage.RCode
}

// dnsReply is an answer to the question.
type dnsReply struct {
	rcode     dnsmessage.RCode
	truncated bool
	records   dnsmessage.Parser // at the first answer
}

// probeDNS asks over UDP, unless the check wants TCP.
func probeDNS(ask model.AskDNS) (probe, error) {
	d, err := newDNSCheck(ask)
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	return func(ctx context.Context, to netip.AddrPort) error {
		reply, err := d.reply(ctx, to)
		if err != nil {
			return err
		}
		return d.judge(reply)
	}, nil
}

func newDNSCheck(ask model.AskDNS) (dnsCheck, error) {
	kind, known := dnsTypes[cmp.Or(ask.Type, model.DefaultDNSType)]
	if !known {
		return dnsCheck{}, fmt.Errorf("type %q cannot be asked for", ask.Type)
	}
	rcode := slices.Index(model.DNSRcodes(), cmp.Or(ask.Rcode, model.DefaultDNSRcode))
	if rcode < 0 {
		return dnsCheck{}, fmt.Errorf("there is no rcode %q", ask.Rcode)
	}
	name, err := dnsmessage.NewName(strings.TrimSuffix(ask.Name, ".") + ".")
	if err != nil {
		return dnsCheck{}, fmt.Errorf("name %q: %w", ask.Name, err)
	}
	question := dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{RecursionDesired: true},
		Questions: []dnsmessage.Question{question},
	}
	query, err := m.Pack()
	if err != nil {
		return dnsCheck{}, fmt.Errorf("name %q: %w", ask.Name, err)
	}
	return dnsCheck{ask, question, query, dnsmessage.RCode(rcode)}, nil
}

// dnsTypes has all of model.DNSTypes.
var dnsTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "NS": dnsmessage.TypeNS, "MX": dnsmessage.TypeMX,
	"TXT": dnsmessage.TypeTXT, "SOA": dnsmessage.TypeSOA, "CNAME": dnsmessage.TypeCNAME, "PTR": dnsmessage.TypePTR,
	"SRV": dnsmessage.TypeSRV,
}

// reply asks again over TCP where an answer is wanted that may be in the part that was cut off (RFC 7766
// section 5). For the rcode alone the truncated one is good.
func (d dnsCheck) reply(ctx context.Context, to netip.AddrPort) (dnsReply, error) {
	if d.ask.TCP {
		return d.overTCP(ctx, to)
	}
	reply, err := d.overUDP(ctx, to)
	if err == nil && reply.truncated && d.ask.Answer != "" {
		return d.overTCP(ctx, to)
	}
	return reply, err
}

// numbered is the query with an id that nobody can guess.
func (d dnsCheck) numbered() (uint16, []byte) {
	id, query := uint16(rand.Uint32()), slices.Clone(d.query)
	binary.BigEndian.PutUint16(query, id)
	return id, query
}

// overUDP overlooks what does not answer the question (RFC 5452 section 9.1).
func (d dnsCheck) overUDP(ctx context.Context, to netip.AddrPort) (dnsReply, error) {
	c, err := dialUDP(ctx, to)
	if err != nil {
		return dnsReply{}, err
	}
	defer c.Close()
	defer obey(ctx, c)()
	id, query := d.numbered()
	if _, err := c.Write(query); err != nil {
		return dnsReply{}, plainly(err)
	}
	space := make([]byte, maxDatagram)
	for strange := range maxStrange {
		n, err := c.Read(space)
		if err != nil {
			return dnsReply{}, unanswered(err, strange)
		}
		if reply, ok := d.accept(id, space[:n]); ok {
			return reply, nil
		}
	}
	return dnsReply{}, fmt.Errorf("dns: %d answers, none to our question", maxStrange)
}

func unanswered(err error, strange int) error {
	err = plainly(err)
	if errors.Is(err, errSilent) && strange > 0 {
		return fmt.Errorf("%w to our question, only %d to others", err, strange)
	}
	if much, ok := errors.AsType[tooMuch](err); ok {
		return fmt.Errorf("%w of answers, none to our question", much)
	}
	return err
}

// overTCP sends and reads one message with its length before it (RFC 1035 section 4.2.2).
func (d dnsCheck) overTCP(ctx context.Context, to netip.AddrPort) (dnsReply, error) {
	c, err := dial(ctx, to)
	if err != nil {
		return dnsReply{}, err
	}
	defer c.Close()
	defer obey(ctx, c)()
	id, query := d.numbered()
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	if _, err := c.Write(append(framed, query...)); err != nil {
		return dnsReply{}, unheard(err, "the question")
	}
	message, err := readMessage(c)
	if err != nil {
		return dnsReply{}, unheard(err, "the question")
	}
	reply, ok := d.accept(id, message)
	if !ok {
		return dnsReply{}, errors.New("dns: an answer to another question")
	}
	return reply, nil
}

func readMessage(c io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(c, message)
	return message, err
}

// accept reads as far as the question, which must be ours and the only one (RFC 9619). Who refuses need not
// repeat it.
func (d dnsCheck) accept(id uint16, message []byte) (out dnsReply, ok bool) {
	h, err := out.records.Start(message)
	if err != nil || h.ID != id || !h.Response || h.OpCode != 0 {
		return out, false
	}
	out.rcode, out.truncated = h.RCode, h.Truncated
	question, err := out.records.Question()
	if errors.Is(err, dnsmessage.ErrSectionDone) {
		return out, out.rcode != dnsmessage.RCodeSuccess
	}
	if err != nil || !d.asks(question) {
		return out, false
	}
	_, err = out.records.Question()
	return out, errors.Is(err, dnsmessage.ErrSectionDone)
}

// asks compares names as DNS does, without case (RFC 4343).
func (d dnsCheck) asks(q dnsmessage.Question) bool {
	return q.Type == d.question.Type && q.Class == d.question.Class &&
		strings.EqualFold(q.Name.String(), d.question.Name.String())
}

// judge says what is wrong with an answer.
func (d dnsCheck) judge(reply dnsReply) error {
	if reply.rcode != d.rcode {
		return fmt.Errorf("dns %s, expected %s", rcodeName(reply.rcode), rcodeName(d.rcode))
	}
	if d.ask.Answer == "" {
		return nil
	}
	return d.find(reply.records)
}

// find looks for the answer that is wanted. Aliases on the way to it do not count.
func (d dnsCheck) find(records dnsmessage.Parser) error {
	wanted, count := wantedText(d.ask), 0
	for {
		record, err := records.Answer()
		switch {
		case errors.Is(err, dnsmessage.ErrSectionDone):
			return fmt.Errorf("dns: no %s among %d answers", shown(d.ask.Answer), count)
		case err != nil:
			return fmt.Errorf("dns: broken answer: %w", err)
		case record.Header.Type != d.question.Type:
			continue
		case slices.Contains(recordTexts(record.Body), wanted):
			return nil
		}
		count++
	}
}

func rcodeName(code dnsmessage.RCode) string {
	if names := model.DNSRcodes(); int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("rcode %d", code)
}
