// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"crypto/md5"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// overUDP is a lie of some datagrams for each question. How much of them the director takes cannot be seen from
// here (TestFloodsOfDatagramsHaveAnEnd looks at that), and how long a check has to do with them only by the next
// question, which is due when the time for this one is over.
type overUDP struct {
	elsewhere bool // they come from another port
	answers   func(question []byte) [][]byte
}

func (overUDP) protocol() string { return "udp" }

// secret is what radius signs with.
const secret = "s3cret"

func datagrams(secretFile string) []lies {
	radius := "radius: {secret_file: " + secretFile + "}"
	search := "dns: {name: example.org, answer: 192.0.2.1}"
	flood := strings.Repeat("\xc0\x0c\x1b[2J", 200)
	return []lies{
		{"datagrams without end", "sip: {}", pouring(flood)},
		{"an answer to another call", "sip: {}", replied(sipAnswer("branch=", "branch=x"))},
		{"a call that is cut short", "sip: {}", replied(sipAnswer("CSeq", "CSe"))},
		{"a call whose body is missing", "sip: {}", replied(sipAnswer("Max-Forwards: 70", "Content-Length: 5000"))},
		{"a call whose body is of any size", "sip: {}", replied(sipAnswer("Max-Forwards: 70", "Content-Length: 99999999999999999999"))},
		{"a call from another port", "sip: {}", fromElsewhere(sipAnswer("", ""))},
		{"unsigned datagrams without end", radius, pouring("\x02" + flood)},
		{"an answer that is not signed", radius, replied(radiusAnswer("other"))},
		{"an answer longer than it is", radius, replied(func(q []byte) []byte { return change(radiusAnswer(secret)(q), 3, 255) })},
		{"a signed answer that is cut short", radius, replied(func(q []byte) []byte { return radiusAnswer(secret)(q)[:19] })},
		{"a signed answer from another port", radius, fromElsewhere(radiusAnswer(secret))},
		{"answers to other questions without end", search, pouring(flood)},
		{"an answer of a header", search, replied(func(q []byte) []byte { return dnsAnswer(q)[:12] })},
		{"a name that points at itself", search, replied(func(q []byte) []byte { return append(change(dnsAnswer(q), 7, 1), 0xc0, byte(len(q))) })},
		{"an answer from another port", "dns: {name: example.org}", fromElsewhere(dnsAnswer)},
		{"another reply", "udp: {payload: ping, reply: pong}", pouring(flood)},
	}
}

// pouring is more than anybody listens to.
func pouring(datagram string) overUDP {
	all := slices.Repeat([][]byte{[]byte(datagram)}, 100)
	return overUDP{answers: func([]byte) [][]byte { return all }}
}

func replied(answer func(question []byte) []byte) overUDP {
	return overUDP{answers: func(question []byte) [][]byte { return [][]byte{answer(question)} }}
}

// fromElsewhere is a good answer, but anybody could send it.
func fromElsewhere(answer func(question []byte) []byte) overUDP {
	out := replied(answer)
	out.elsewhere = true
	return out
}

func change(text []byte, at int, to byte) []byte {
	text[at] = to
	return text
}

// sipAnswer is 200 to a call, with something else in it: of a call it has what it must (RFC 3261 section 8.2.6.2).
func sipAnswer(old, other string) func([]byte) []byte {
	return func(call []byte) []byte {
		_, rest, _ := strings.Cut(string(call), "\r\n")
		return []byte("SIP/2.0 200 OK\r\n" + strings.Replace(strings.Replace(rest, "Content-Length: 0", "Expires: 0", 1), old, other, 1))
	}
}

// radiusAnswer is Access-Accept, signed with a secret (RFC 2865 section 3).
func radiusAnswer(secret string) func([]byte) []byte {
	return func(request []byte) []byte {
		out := append([]byte{2, request[1], 0, 20}, request[4:20]...)
		sum := md5.Sum(append(slices.Clone(out), secret...))
		return append(out[:4], sum[:]...)
	}
}

// dnsAnswer is one without records (RFC 1035 section 4.1.1).
func dnsAnswer(question []byte) []byte { return change(slices.Clone(question), 2, question[2]|0x80) }

func (lie overUDP) open(t *testing.T, h *hostility, l liar, port uint16) error {
	here, err := h.listen(t, port)
	if err != nil {
		return err
	}
	out := here
	if lie.elsewhere {
		if out, err = h.listen(t, port+elsewhere); err != nil {
			return err
		}
	}
	go lie.tell(h, l, here, out)
	return nil
}

// elsewhere is how far another port is.
const elsewhere = 50

// listen hears datagrams to the VIP, and answers from there.
func (h *hostility) listen(t *testing.T, port uint16) (c *net.UDPConn, err error) {
	err = h.lab.Servers[0].Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.lab.VIP.IPv4, port)))
		return err
	})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// tell goes on until the socket is closed.
func (lie overUDP) tell(h *hostility, l liar, in, out *net.UDPConn) {
	var last time.Time
	for space := make([]byte, 4096); ; {
		n, from, err := in.ReadFromUDPAddrPort(space)
		if err != nil {
			return
		}
		now := time.Now()
		if !last.IsZero() {
			h.note(l, extent{answers: 1}, last, now)
		}
		last = now
		for _, datagram := range lie.answers(space[:n]) {
			_, _ = out.WriteToUDPAddrPort(datagram, from) // what is lost is not heard
		}
	}
}
