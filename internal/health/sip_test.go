// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// sipReply answers a request as RFC 3261 section 8.2.6 has it.
func sipReply(request, status string, more ...string) string {
	lines := []string{"SIP/2.0 " + status}
	for _, line := range strings.Split(request, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		if strings.Contains(" Via From To Call-ID CSeq ", " "+name+" ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(append(lines, more...), "\r\n") + "\r\n\r\n"
}

// sipAnswers is what a server says, by what it hears.
func sipAnswers() map[string]struct {
	answer func(request string) string
	want   string
} {
	type test = struct {
		answer func(request string) string
		want   string
	}
	says := func(status string, more ...string) func(string) string {
		return func(request string) string { return sipReply(request, status, more...) }
	}
	return map[string]test{
		"good":      {says("200 OK", "Content-Length: 0"), ""},
		"no length": {says("200 OK"), ""},
		"short names": {func(r string) string {
			return strings.NewReplacer("Via:", "v:", "Content-Length:", "l:").Replace(sipReply(r, "200 OK", "Content-Length: 0"))
		}, ""},
		"folded": {says("200 OK", "Allow: INVITE,", " OPTIONS"), ""},
		"bad":    {says("503 Service Unavailable"), "sip: 503 Service Unavailable, expected 200-299"},
		"global": {says("603 Decline"), "sip: 603 Decline, expected 200-299"},
		"odd":    {says("404 \x1b[31mred"), `sip: 404 \x1b[31mred, expected 200-299`},
	}
}

// TestDatagramsHaveTheirBody: without it they are no answer.
func TestDatagramsHaveTheirBody(t *testing.T) {
	for want, body := range map[string]string{"": "12345", "no answer to our question, only 1 to others": "1234"} {
		to, err := datagramServer(t, "127.0.0.1:0", func(request []byte) [][]byte {
			return [][]byte{[]byte(sipReply(string(request), "200 OK", "Content-Length: 5") + body)}
		})
		if err != nil {
			t.Fatal(err)
		}
		within := forever
		if want != "" {
			within = soon
		}
		wantReason(t, answered(t, probeSIP(model.AskSIP{}), to, within), want)
	}
}

func TestSIPServersAreJudgedOverUDP(t *testing.T) {
	tests := sipAnswers()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			to, err := datagramServer(t, "127.0.0.1:0", func(request []byte) [][]byte {
				trying, other := sipReply(string(request), "100 Trying"), sipReply(strings.Replace(string(request), "branch=", "branch=x", 1), "200 OK")
				return [][]byte{[]byte("x"), []byte(trying), []byte(other), []byte(tt.answer(string(request)))}
			})
			if err != nil {
				t.Fatal(err)
			}
			wantReason(t, answered(t, probeSIP(model.AskSIP{}), to, forever), tt.want)
		})
	}
}

// sipServer reads one request.
func sipServer(answer func(request string) string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, answer(readHead(c)))
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestSIPServersAreJudgedOverTCP(t *testing.T) {
	p := probeSIP(model.AskSIP{TCP: true})
	for name, tt := range sipAnswers() {
		t.Run(name, func(t *testing.T) {
			server := sipServer(func(r string) string {
				return "\r\n\r\n" + sipReply(r, "100 Trying", "Content-Length: 5") + "body!" + tt.answer(r)
			})
			wantReason(t, answered(t, p, lineServer(t, server), forever), tt.want)
		})
	}
	const other = "sip: the server speaks another protocol"
	with := func(more ...string) func(net.Conn) {
		return sipServer(func(r string) string { return sipReply(r, "100 Trying", more...) })
	}
	runLineTests(t, p, map[string]lineTest{
		"web":          {replies("HTTP/1.1 400 Bad Request\r\n\r\n"), other},
		"no number":    {replies("SIP/2.0 OK 200\r\n\r\n"), other},
		"no head":      {replies("SIP/2.0 200 OK\r\nthis is no header\r\n\r\n"), other},
		"odd length":   {with("Content-Length: -1"), other},
		"long body":    {with("Content-Length: 65000"), "no answer to OPTIONS"},
		"longest body": {with("Content-Length: 99999999999999999999"), other},
		"endless":      {repliesOn("SIP/2.0 200 OK\r\n", "X: "+strings.Repeat("x", 1000)+"\r\n", 0), "more than 64 KiB before the answer to OPTIONS"},
		"to others":    {sipServer(func(r string) string { return sipReply(strings.Replace(r, "branch=", "branch=x", 1), "200 OK") }), "no answer to OPTIONS"},
		"closes":       {replies(""), "closed before the answer to OPTIONS"},
	})
}

func TestSIPStatusesMayBeOthers(t *testing.T) {
	statuses, err := model.ParseStatuses("200,404-405")
	if err != nil {
		t.Fatal(err)
	}
	p := probeSIP(model.AskSIP{TCP: true, Status: statuses})
	for status, want := range map[string]string{"405 Method Not Allowed": "", "486 Busy Here": "sip: 486 Busy Here, expected 200,404-405"} {
		to := lineServer(t, sipServer(func(r string) string { return sipReply(r, status) }))
		wantReason(t, answered(t, p, to, forever), want)
	}
}

// TestOptionsOnTheWire compares them but for what nobody can guess, and reads our own request's answer back.
func TestOptionsOnTheWire(t *testing.T) {
	from, to := netip.MustParseAddrPort("[fe80::1%eth0]:4711"), netip.MustParseAddrPort("192.0.2.11:5060")
	request := sipCheck{model.AskSIP{User: "ping", Domain: "example.org", TCP: true}}.request(from, to)
	const want = "OPTIONS sip:ping@example.org SIP/2.0|Via: SIP/2.0/TCP [fe80::1]:4711;branch=z9hG4bKX;rport|Max-Forwards: 70|" +
		"From: <sip:weir@[fe80::1]:4711>;tag=X|To: <sip:ping@example.org>|Call-ID: X|CSeq: 1 OPTIONS|" +
		"Contact: <sip:weir@[fe80::1]:4711>|Accept: application/sdp|User-Agent: weir|Content-Length: 0||"
	got := regexp.MustCompile(`[A-Z2-7]{26}([;|])`).ReplaceAllString(strings.ReplaceAll(request.text, "\r\n", "|"), "X$1")
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if plain := (sipCheck{}).request(to, to).text; !strings.HasPrefix(plain, "OPTIONS sip:192.0.2.11:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5060;") {
		t.Errorf("got %s", plain)
	}
	answer, err := readSIP(bufio.NewReader(strings.NewReader(sipReply(request.text, "200 OK", "Content-Length: 7"))))
	if err != nil || !answer.isFinal(request) || answer.code != 200 || answer.reason != "OK" || answer.length != 7 {
		t.Errorf("%+v, %v", answer, err)
	}
}
