// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// sipCheck sends OPTIONS (RFC 3261 section 11).
type sipCheck struct{ ask model.AskSIP }

func probeSIP(ask model.AskSIP) probe {
	s := sipCheck{ask}
	over := s.overUDP
	if ask.TCP {
		over = s.overTCP
	}
	return func(ctx context.Context, to netip.AddrPort) error { return tame(over(ctx, to)) }
}

// sipRequest is a request, and by what its answers are known (RFC 3261 section 17.1.3).
type sipRequest struct {
	branch string // of Via: what nobody can guess
	text   string
}

// request has what it must (RFC 3261 section 8.1.1), and wants answers at the port that it came from (RFC 3581).
func (s sipCheck) request(from, to netip.AddrPort) sipRequest {
	transport := "UDP"
	if s.ask.TCP {
		transport = "TCP"
	}
	branch := "z9hG4bK" + rand.Text()
	us := sipHost(from)
	server := cmp.Or(s.ask.Domain, sipHost(to))
	if s.ask.User != "" {
		server = s.ask.User + "@" + server
	}
	text := strings.Join([]string{
		"OPTIONS sip:" + server + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=%s;rport", transport, us, branch),
		"Max-Forwards: 70",
		fmt.Sprintf("From: <sip:weir@%s>;tag=%s", us, rand.Text()),
		fmt.Sprintf("To: <sip:%s>", server),
		"Call-ID: " + rand.Text(),
		"CSeq: 1 OPTIONS",
		fmt.Sprintf("Contact: <sip:weir@%s>", us),
		"Accept: application/sdp",
		"User-Agent: weir",
		"Content-Length: 0",
	}, "\r\n") + "\r\n\r\n"
	return sipRequest{branch, text}
}

// sipHost is an endpoint as it stands in a URI, in which no zone has a place (RFC 3261 section 25.1).
func sipHost(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()).String()
}

// localOf is our end of a connection.
func localOf(c net.Conn) netip.AddrPort {
	at, _ := netip.ParseAddrPort(c.LocalAddr().String()) // TCP and UDP have no others
	return at
}

// overUDP overlooks what does not answer the request. It does not ask twice: that is the next question.
func (s sipCheck) overUDP(ctx context.Context, to netip.AddrPort) error {
	c, err := dialUDP(ctx, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer obey(ctx, c)()
	request := s.request(localOf(c), to)
	if _, err := io.WriteString(c, request.text); err != nil {
		return plainly(err)
	}
	space := make([]byte, maxTold)
	for strange := range maxStrange {
		n, err := c.Read(space)
		if err != nil {
			return unanswered(err, strange)
		}
		answer, err := readSIPDatagram(space[:n])
		if err == nil && answer.isFinal(request) {
			return s.judge(answer)
		}
	}
	return fmt.Errorf("sip: %d answers, none to our question", maxStrange)
}

// overTCP reads answers one behind the other.
func (s sipCheck) overTCP(ctx context.Context, to netip.AddrPort) error {
	c, err := dial(ctx, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer leaveSilently(c)
	defer obey(ctx, c)()
	request := s.request(localOf(c), to)
	if _, err := io.WriteString(c, request.text); err != nil {
		return unheard(err, "OPTIONS")
	}
	for in := bufio.NewReaderSize(newLimited(c, maxTold), maxLine); ; {
		answer, err := readSIP(in)
		switch {
		case err != nil:
			return sipReason(err)
		case answer.isFinal(request):
			return s.judge(answer)
		}
		if _, err := in.Discard(answer.length); err != nil {
			return unheard(err, "OPTIONS")
		}
	}
}

// errNoSIP is not said by the network.
var errNoSIP = errors.New("sip: the server speaks another protocol")

func sipReason(err error) error {
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok || errors.Is(err, errNoSIP) {
		return errNoSIP
	}
	return unheard(err, "OPTIONS")
}

// sipAnswer is the head of an answer (RFC 3261 section 7.2).
type sipAnswer struct {
	code   int
	reason string
	branch string // of the topmost Via
	method string // of CSeq
	length int    // of the body
}

// readSIP reads as far as the body.
func readSIP(r *bufio.Reader) (sipAnswer, error) {
	in := textproto.NewReader(r)
	line, err := in.ReadLine()
	for ; err == nil && line == ""; line, err = in.ReadLine() { // RFC 3261 section 7.5
	}
	if err != nil {
		return sipAnswer{}, err
	}
	rest, ok := strings.CutPrefix(line, "SIP/2.0 ")
	code, reason, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(code)
	if !ok || err != nil || len(code) != 3 {
		return sipAnswer{}, errNoSIP
	}
	head, err := in.ReadMIMEHeader()
	if err != nil {
		return sipAnswer{}, err
	}
	return newSIPAnswer(number, reason, head)
}

// readSIPDatagram wants the body, too, if there is one: an answer that ends before is none (RFC 3261 section 18.3).
func readSIPDatagram(datagram []byte) (sipAnswer, error) {
	in := bufio.NewReader(bytes.NewReader(datagram))
	out, err := readSIP(in)
	if err == nil {
		_, err = in.Discard(out.length)
	}
	return out, err
}

// newSIPAnswer knows the short names of headers (RFC 3261 section 7.3.3).
func newSIPAnswer(code int, reason string, head textproto.MIMEHeader) (sipAnswer, error) {
	via, _, _ := strings.Cut(cmp.Or(head.Get("Via"), head.Get("V")), ",")
	out := sipAnswer{code: code, reason: reason}
	for parameter := range strings.SplitSeq(via, ";") {
		if branch, ok := strings.CutPrefix(strings.TrimSpace(parameter), "branch="); ok {
			out.branch = branch
		}
	}
	if words := strings.Fields(head.Get("CSeq")); len(words) == 2 {
		out.method = words[1]
	}
	length, err := strconv.ParseUint(cmp.Or(head.Get("Content-Length"), head.Get("L"), "0"), 10, 16)
	if err != nil {
		return sipAnswer{}, errNoSIP
	}
	out.length = int(length)
	return out, nil
}

// isFinal is false for answers to others, and for provisional ones.
func (a sipAnswer) isFinal(request sipRequest) bool {
	return a.branch == request.branch && a.method == "OPTIONS" && a.code >= 200
}

func (s sipCheck) judge(a sipAnswer) error {
	if s.ask.Status.Has(a.code) {
		return nil
	}
	return fmt.Errorf("sip: %s, expected %s", shown(strconv.Itoa(a.code)+" "+a.reason), s.ask.Status)
}
