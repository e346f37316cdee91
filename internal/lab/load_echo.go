// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// TCPEcho sends back what comes over TCP to a server. It is a process of its own: ten thousand
// connections have two ends, and the limit of open files is each process's.
type TCPEcho struct {
	cmd     *exec.Cmd
	ask     io.WriteCloser // a line is a question
	answers *bufio.Reader  // of the same number of lines
}

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
func (e *TCPEcho) Count() (map[uint16]EchoCount, error) {
	if _, err := io.WriteString(e.ask, "\n"); err != nil {
		return nil, fmt.Errorf("ask the TCP echo: %w", err)
	}
	line, err := e.answers.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("answer of the TCP echo: %w", err)
	}
	var counts map[uint16]EchoCount
	if err := json.Unmarshal(line, &counts); err != nil {
		return nil, fmt.Errorf("answer of the TCP echo: %w", err)
	}
	return counts, nil
}

// Close ends the echo, and with it every connection.
func (e *TCPEcho) Close() error {
	e.ask.Close()
	return e.cmd.Wait()
}

// echoServer is the inside of the process.
type echoServer struct {
	ended chan error // the first is why the process ends

	mu     sync.Mutex // guards counts
	counts map[string]*EchoCount
}

// playEcho serves until nobody can ask any more, or it can take no more connections.
func playEcho(ports string) error {
	e := &echoServer{ended: make(chan error, 1), counts: map[string]*EchoCount{}}
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
		if err := e.answer(to); err != nil {
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
	count := &EchoCount{}
	e.counts[port] = count
	go func() { e.end(e.accept(listener, count)) }()
	return nil
}

func (e *echoServer) accept(listener net.Listener, count *EchoCount) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		e.change(func() { count.Open++ })
		go e.serve(conn, count)
	}
}

func (e *echoServer) serve(conn net.Conn, count *EchoCount) {
	defer conn.Close()
	err := echoBack(conn)
	e.change(func() {
		count.Open--
		if err == nil {
			count.Served++
		} else {
			count.Broken++
		}
	})
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

func (e *echoServer) answer(to io.Writer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return json.NewEncoder(to).Encode(e.counts)
}
