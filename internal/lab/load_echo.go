// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// TCPEcho sends back what comes over TCP to a server. It is a process of its own: ten thousand
// connections have two ends, and the limit of open files is each process's.
type TCPEcho struct {
	cmd     *exec.Cmd
	ask     io.WriteCloser // a line is a question: howMany or whose
	answers *bufio.Reader  // of the same number of lines
}

// What the echo is asked: its counts by port, or the clients of its connections that live, by port.
const (
	howMany = "how many"
	whose   = "whose"
)

// EchoCount is what the echo has seen on one port. It is the server's view of what clients say.
type EchoCount struct {
	Open   int `json:"open"`   // connections that live
	Served int `json:"served"` // those that the client has ended
	Broken int `json:"broken"` // those that ended otherwise
}

// echoPorts is set, to the ports, in a process that is to be the echo.
const echoPorts = "WEIR_LAB_ECHO"

// TakePart is for the very beginning of main or TestMain: in a process that the lab started as a
// part of itself, it plays the part and does not return.
func TakePart() {
	ports := os.Getenv(echoPorts)
	if ports == "" {
		return
	}
	if err := playEcho(ports); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// StartTCPEcho serves ports of every address of the server. The program that calls it must begin
// with TakePart.
func (s *Server) StartTCPEcho(ctx context.Context, ports ...uint16) (*TCPEcho, error) {
	e, err := s.launchEcho(ports)
	if err != nil {
		return nil, fmt.Errorf("%s: start TCP echo: %w", s.Name, err)
	}
	s.serving = append(s.serving, e)
	stop := context.AfterFunc(ctx, func() { e.ask.Close() })
	defer stop()
	if _, err := e.Count(); err != nil { // answered once it listens
		return nil, fmt.Errorf("%s: start TCP echo: %w", s.Name, errors.Join(err, ctx.Err()))
	}
	return e, nil
}

func (s *Server) launchEcho(ports []uint16) (*TCPEcho, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "echo.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), echoPorts+"="+joinPorts(ports))
	cmd.Stderr = log
	ask, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &TCPEcho{cmd: cmd, ask: ask, answers: bufio.NewReader(answers)}, s.Start(cmd)
}

func joinPorts(ports []uint16) string {
	var words []string
	for _, p := range ports {
		words = append(words, strconv.Itoa(int(p)))
	}
	return strings.Join(words, ",")
}

// Count says what the echo has seen by now, by port.
func (e *TCPEcho) Count() (counts map[uint16]EchoCount, err error) {
	err = e.question(howMany, &counts)
	return counts, err
}

// Clients are those whose connections live, by port.
func (e *TCPEcho) Clients() (clients map[uint16][]netip.AddrPort, err error) {
	err = e.question(whose, &clients)
	return clients, err
}

func (e *TCPEcho) question(about string, answer any) error {
	if _, err := io.WriteString(e.ask, about+"\n"); err != nil {
		return fmt.Errorf("ask the TCP echo: %w", err)
	}
	line, err := e.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, answer)
	}
	if err != nil {
		return fmt.Errorf("answer of the TCP echo: %w", err)
	}
	return nil
}

// Close ends the echo, and with it every connection.
func (e *TCPEcho) Close() error {
	e.ask.Close()
	return e.cmd.Wait()
}

// echoServer is the inside of the process.
type echoServer struct {
	ended chan error // the first is why the process ends

	mu    sync.Mutex // guards ports
	ports map[string]*echoPort
}

// echoPort is what came to a port.
type echoPort struct {
	count   EchoCount
	clients map[netip.AddrPort]int // how many each has: one may come again before it is known that its last one has ended
}

func (p *echoPort) begin(client netip.AddrPort) {
	p.count.Open++
	p.clients[client]++
}

func (p *echoPort) end(client netip.AddrPort, err error) {
	p.count.Open--
	if p.clients[client]--; p.clients[client] == 0 {
		delete(p.clients, client)
	}
	if err == nil {
		p.count.Served++
	} else {
		p.count.Broken++
	}
}

// playEcho serves until nobody can ask any more, or it can take no more connections.
func playEcho(ports string) error {
	e := &echoServer{ended: make(chan error, 1), ports: map[string]*echoPort{}}
	for port := range strings.SplitSeq(ports, ",") {
		if err := e.listen(port); err != nil {
			return err
		}
	}
	go func() { e.end(e.answers(os.Stdin, os.Stdout)) }()
	return <-e.ended
}

func (e *echoServer) end(err error) {
	select {
	case e.ended <- err:
	default: // it ends already
	}
}

// answers answers each line.
func (e *echoServer) answers(from io.Reader, to io.Writer) error {
	questions := bufio.NewScanner(from)
	for questions.Scan() {
		if err := e.answer(to, questions.Text()); err != nil {
			return err
		}
	}
	return questions.Err()
}

// listen takes connections of both families. Nothing may be sent on a silent one, hence no keepalive.
func (e *echoServer) listen(port string) error {
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort("", port))
	if err != nil {
		return err
	}
	p := &echoPort{clients: map[netip.AddrPort]int{}}
	e.ports[port] = p
	go func() { e.end(e.accept(listener, p)) }()
	return nil
}

func (e *echoServer) accept(listener net.Listener, p *echoPort) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		client := unmapped(conn.RemoteAddr())
		e.change(func() { p.begin(client) })
		go e.serve(conn, func(err error) { p.end(client, err) })
	}
}

// serve has the end of a connection noted.
func (e *echoServer) serve(conn net.Conn, ended func(error)) {
	defer conn.Close()
	err := echoBack(conn)
	e.change(func() { ended(err) })
}

// unmapped is an end of a connection, an IPv4 one as such.
func unmapped(end net.Addr) netip.AddrPort {
	at := end.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// echoBack has a small buffer, since there are many of them; io.Copy's is not.
func echoBack(conn net.Conn) error {
	buffer := make([]byte, 64)
	for {
		n, err := conn.Read(buffer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			_, err = conn.Write(buffer[:n])
		}
		if err != nil {
			return err
		}
	}
}

func (e *echoServer) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (e *echoServer) answer(to io.Writer, question string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string]any{}
	for port, p := range e.ports {
		if question == whose {
			out[port] = slices.Collect(maps.Keys(p.clients))
		} else {
			out[port] = p.count
		}
	}
	return json.NewEncoder(to).Encode(out)
}
