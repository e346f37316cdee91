// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Web is the kind of web server that real servers run.
type Web int

const (
	WebAuto  Web = iota // nginx where it is installed, the lab's own otherwise
	WebNginx            // nginx, or an error
	WebOwn              // the lab's own
)

// WebServer says in words which web server the lab uses.
func (l *Lab) WebServer() (string, error) {
	path, err := l.config.Web.nginx()
	switch {
	case err != nil:
		return "", err
	case path != "":
		return path, nil
	case l.config.Web == WebOwn:
		return "the lab's own small web server", nil
	default:
		return "the lab's own small web server, since nginx is not installed", nil
	}
}

// startWeb serves Answers and the file on every address that the server has or will have.
func (s *Server) startWeb(ctx context.Context) error {
	nginx, err := s.lab.config.Web.nginx()
	if err != nil {
		return err
	}
	if nginx != "" {
		return s.startNginx(ctx, nginx)
	}
	return s.startOwnWeb(ctx)
}

// ownWeb is the lab's own web server. It serves in this process; only its sockets are in the namespace.
type ownWeb struct {
	http.Server
	gate sync.RWMutex // whoever answers holds it for reading; who holds it for writing makes the server hang
	hung bool         // the gate is held; it belongs to whoever makes it fail
	slow atomic.Int64 // nanoseconds before each answer
}

func (w *ownWeb) hang() error {
	if !w.hung {
		w.gate.Lock()
		w.hung = true
	}
	return nil
}

func (w *ownWeb) resume() error {
	if w.hung {
		w.hung = false
		w.gate.Unlock()
	}
	return nil
}

// Close ends whatever waits for it.
func (w *ownWeb) Close() error { return errors.Join(w.Server.Close(), w.resume()) }

// failing answers as the pages do, when it may.
func (w *ownWeb) failing(pages http.Handler) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		w.gate.RLock()
		defer w.gate.RUnlock()
		select {
		case <-r.Context().Done():
		case <-time.After(time.Duration(w.slow.Load())):
			pages.ServeHTTP(out, r)
		}
	}
}

func (s *Server) startOwnWeb(ctx context.Context) error {
	pages := http.NewServeMux()
	pages.HandleFunc("/", s.serveAnswer)
	pages.HandleFunc(BulkPath, serveBulk)
	pages.HandleFunc(HealthPath, s.serveHealth)
	if err := s.Well(); err != nil {
		return err
	}
	web := &ownWeb{Server: http.Server{ReadHeaderTimeout: 5 * time.Second}}
	web.Handler = web.failing(pages)
	web.SetKeepAlivesEnabled(false)
	s.serving = append(s.serving, web)
	for network, host := range map[string]string{"tcp4": "0.0.0.0", "tcp6": "::"} {
		listener, err := s.listen(ctx, network, host)
		if err != nil {
			return fmt.Errorf("%s: start web server: %w", s.Name, err)
		}
		go web.Serve(listener) // ends with Close
	}
	return nil
}

// HealthAsked counts who asked for the page of its health, as far as the lab's own web server has answered.
func (s *Server) HealthAsked() uint64 { return s.healthAsked.Load() }

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	s.healthAsked.Add(1)
	if !s.isWell() {
		http.NotFound(w, r)
		return
	}
	io.WriteString(w, "ok\n")
}

func (s *Server) listen(ctx context.Context, network, host string) (listener net.Listener, err error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // Go's default since 1.24; real servers speak plain TCP
	err = s.Do(func() (err error) {
		listener, err = config.Listen(ctx, network, net.JoinHostPort(host, fmt.Sprint(WebPort)))
		return err
	})
	return listener, err
}

func (s *Server) serveAnswer(w http.ResponseWriter, r *http.Request) {
	local := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, s.answer(client.Addr(), local.AddrPort().Addr()).String())
}

func serveBulk(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(BulkSize))
	io.CopyN(w, zeros{}, BulkSize) // a client that leaves early is its own business
}

// zeros is what a hole in a file reads as.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
