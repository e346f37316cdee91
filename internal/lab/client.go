// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Client is the host behind the router, with the addresses of many clients.
type Client struct {
	Node
	net   subnet
	count int
}

func (l *Lab) newClient() (*Client, error) {
	n, err := l.newNode("client", l.clients().host(clientHost))
	if err != nil {
		return nil, err
	}
	return &Client{*n, l.clients(), l.config.Clients}, nil
}

// prefixes is all addresses as the interface holds them.
func (c *Client) prefixes() []netip.Prefix {
	var all []netip.Prefix
	for i := range c.count {
		all = append(all, c.net.on(clientHost+i)...)
	}
	return all
}

// Addresses lists the clients of a family.
func (c *Client) Addresses(f Family) []netip.Addr {
	all := make([]netip.Addr, 0, c.count)
	for i := range c.count {
		all = append(all, c.inTurn(f, i))
	}
	return all
}

// Answer is what a server of the lab says: who it is, whom it saw, and on which of its addresses.
type Answer struct {
	Server string
	Client netip.Addr
	Local  netip.Addr
}

func (a Answer) String() string { return fmt.Sprintf("%s %s %s\n", a.Server, a.Client, a.Local) }

// ParseAnswer is the inverse of Answer.String.
func ParseAnswer(text string) (Answer, error) {
	words := strings.Fields(text)
	if len(words) != 3 {
		return Answer{}, fmt.Errorf("answer %q: not a server and two addresses", text)
	}
	client, err := netip.ParseAddr(words[1])
	if err != nil {
		return Answer{}, fmt.Errorf("answer %q: %w", text, err)
	}
	local, err := netip.ParseAddr(words[2])
	if err != nil {
		return Answer{}, fmt.Errorf("answer %q: %w", text, err)
	}
	return Answer{Server: words[0], Client: client, Local: local}, nil
}

// Get asks a web server from one of the client's addresses, over a connection of its own.
func (c *Client) Get(ctx context.Context, from netip.Addr, to netip.AddrPort) (Answer, error) {
	response, err := c.open(ctx, from, to, "/")
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("get %v from %v: %w", to, from, err)
	}
	return ParseAnswer(string(body))
}

// open asks for a path and returns what is about to come, for the caller to read and to close.
func (c *Client) open(ctx context.Context, from netip.Addr, to netip.AddrPort, path string) (*http.Response, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return c.Dial(ctx, network, from, to)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+to.String()+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("get %v from %v: %w", to, from, err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("get %v from %v: %s", to, from, response.Status)
	}
	return response, nil
}

// Ask sends a short datagram to a UDP echo and waits for the answer.
func (c *Client) Ask(ctx context.Context, from netip.Addr, to netip.AddrPort) (Answer, error) {
	return c.Question(ctx, from, to, []byte("who?"))
}

// Question sends any datagram to a UDP echo and waits for the answer, which must come from there,
// since the socket is connected, and must be the echo's to this very datagram.
func (c *Client) Question(ctx context.Context, from netip.Addr, to netip.AddrPort, question []byte) (Answer, error) {
	conn, err := c.Dial(ctx, "udp", from, to)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	if _, err := conn.Write(question); err != nil {
		return Answer{}, err
	}
	return ReadReply(ctx, conn, question)
}

// ReadReply waits for the echo's answer to a question.
func ReadReply(ctx context.Context, conn net.Conn, question []byte) (Answer, error) {
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()
	text := make([]byte, 1<<16)
	n, err := conn.Read(text)
	if err != nil {
		return Answer{}, err
	}
	return ParseReply(text[:n], question)
}

// Dial connects from one of the client's addresses; network is "tcp" or "udp".
func (c *Client) Dial(ctx context.Context, network string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return c.DialFrom(ctx, network, netip.AddrPortFrom(from, 0), to)
}

// DialFrom connects from a port, too; 0: any. Other connections may have it at the same time, to elsewhere.
func (c *Client) DialFrom(ctx context.Context, network string, from, to netip.AddrPort) (conn net.Conn, err error) {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: freebind}
	if strings.HasPrefix(network, "udp") {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(from)
	}
	if from.Port() != 0 {
		dialer.Control = shared
	}
	err = c.Do(func() (err error) {
		conn, err = dialer.DialContext(ctx, network, to.String())
		return err
	})
	return conn, err
}

// Curl asks a web server with curl, from one of the client's addresses.
func (c *Client) Curl(ctx context.Context, from netip.Addr, to netip.AddrPort, options ...string) (Answer, error) {
	args := append([]string{"--silent", "--show-error", "--fail", "--noproxy", "*", "--globoff", "--interface", from.String()}, options...)
	body, err := c.Output(ctx, "curl", append(args, "http://"+to.String()+"/")...)
	if err != nil {
		return Answer{}, err
	}
	return ParseAnswer(body)
}
