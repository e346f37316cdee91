// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// grpcServer speaks HTTP/2, with TLS if there is a config.
func grpcServer(t *testing.T, config *tls.Config, serve http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewUnstartedServer(serve)
	if config != nil {
		s.TLS, s.EnableHTTP2 = config, true
		s.StartTLS()
	} else {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// grpcSays is a call that goes well, with a message; with a code it is one that does not.
func grpcSays(message, code, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		if message != "" {
			_, _ = w.Write(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))))
			_, _ = io.WriteString(w, message)
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", code)
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", text)
	}
}

func TestGRPCServersAreJudged(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"serving":        {grpcSays("\x08\x01", "0", ""), ""},
		"not serving":    {grpcSays("\x08\x02", "0", ""), "grpc: NOT_SERVING, expected SERVING"},
		"unknown":        {grpcSays("\x08\x00", "0", ""), "grpc: UNKNOWN, expected SERVING"},
		"new status":     {grpcSays("\x08\xac\x02", "0", ""), "grpc: status 300, expected SERVING"},
		"no service":     {grpcSays("", "5", "unknown service"), `grpc: there is no service "shop.Cart"`},
		"no health":      {grpcSays("", "12", ""), "grpc: the server has no grpc.health.v1"},
		"unavailable":    {grpcSays("", "14", "over%20%E2%82%AC%0Aload"), `grpc: status 14: over €\nload`},
		"odd text":       {grpcSays("", "14", "100%"), `grpc: status 14: 100%`},
		"nothing":        {grpcSays("", "0", ""), "grpc: the answer is no message"},
		"other message":  {grpcSays("\x12\x01x", "0", ""), "grpc: the answer is another message"},
		"broken message": {grpcSays("\x08\xff", "0", ""), "grpc: the answer is another message"},
		"web":            {func(w http.ResponseWriter, _ *http.Request) {}, "grpc: the server speaks HTTP/2, but not gRPC"},
		"not found":      {http.NotFound, "grpc: http 404, expected 200"},
		"endless":        {endless, "grpc: more than 64 KiB in an answer"},
		"huge head": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 20 {
				w.Header().Set(fmt.Sprint("X", i), strings.Repeat("~", 10000))
			}
		}, "grpc: more than 64 KiB in an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			to := grpcServer(t, nil, tt.serve)
			wantReason(t, answered(t, probeMade(probeGRPC(model.AskGRPC{Service: "shop.Cart"})), to, forever), tt.want)
		})
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		to := lineServer(t, replies("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
		wantReason(t, answered(t, probeMade(probeGRPC(model.AskGRPC{})), to, forever), "grpc: the server speaks HTTP/1.1")
	})
	t.Run("silent", func(t *testing.T) {
		to := grpcServer(t, nil, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		wantReason(t, answered(t, probeMade(probeGRPC(model.AskGRPC{})), to, soon), "no answer")
	})
}

// goneConn is one to a server that has said something and gone, before it could be written to.
type goneConn struct {
	net.Conn
	said io.Reader
}

func (g goneConn) Read(space []byte) (int, error) { return g.said.Read(space) }
func (g goneConn) Write([]byte) (int, error)      { return 0, syscall.EPIPE }

func TestGRPCHearsAServerThatGoesAtOnce(t *testing.T) {
	nobody, other := net.Pipe()
	defer other.Close()
	for said, want := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n": "grpc: the server speaks HTTP/1.1",
		"":                                 "grpc: broken pipe",
	} {
		c := &firstWords{Conn: goneConn{nobody, strings.NewReader(said)}}
		err := (&grpcCheck{}).call(t.Context(), c, netip.MustParseAddrPort("192.0.2.1:50051"))
		wantReason(t, err, want)
	}
}

func TestGRPCRequestsAreAsProgramsMakeThem(t *testing.T) {
	for _, tt := range []struct {
		ask        model.AskGRPC
		body, host string
	}{
		{model.AskGRPC{}, "\x00\x00\x00\x00\x00", ""},
		{model.AskGRPC{Service: "shop.Cart", Host: "shop.example.org"}, "\x00\x00\x00\x00\x0b\x0a\x09shop.Cart", "shop.example.org"},
	} {
		var got *http.Request
		var body []byte
		to := grpcServer(t, nil, func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			grpcSays("\x08\x01", "0", "")(w, r)
		})
		wantReason(t, answered(t, probeMade(probeGRPC(tt.ask)), to, forever), "")
		if tt.host == "" {
			tt.host = to.String()
		}
		if got.Method != "POST" || got.URL.Path != "/grpc.health.v1.Health/Check" || got.Host != tt.host || !bytes.Equal(body, []byte(tt.body)) {
			t.Errorf("%s %s of %s, %q", got.Method, got.URL, got.Host, body)
		}
		if got.Header.Get("Content-Type") != "application/grpc" || got.Header.Get("Te") != "trailers" || got.ProtoMajor != 2 {
			t.Errorf("%s %v", got.Proto, got.Header)
		}
	}
}

func TestGRPCOverTLS(t *testing.T) {
	a := newAuthority(t, "ours")
	own := a.valid(t, "grpc.example.org")
	good := grpcServer(t, &tls.Config{Certificates: []tls.Certificate{own}}, grpcSays("\x08\x01", "0", ""))
	old := secureServer(t, &tls.Config{Certificates: []tls.Certificate{own}})
	ask := func(name string) probe {
		return probeMade(probeGRPC(model.AskGRPC{Secure: true, TLS: model.TLS{Name: name, CA: written(t, "ca.pem", a.pem())}}))
	}
	wantReason(t, answered(t, ask("grpc.example.org"), good, forever), "")
	wantReason(t, answered(t, ask("www.example.org"), good, forever), "tls: certificate is for grpc.example.org, not for www.example.org")
	wantReason(t, answered(t, ask("grpc.example.org"), old, forever), "tls: server refuses: no application protocol")
	older := lineServer(t, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, tls.Server(c, &tls.Config{Certificates: []tls.Certificate{own}})) // without ALPN
	})
	wantReason(t, answered(t, ask("grpc.example.org"), older, forever), "grpc: the server has TLS, but no HTTP/2 behind it")
	plain := grpcServer(t, nil, grpcSays("\x08\x01", "0", ""))
	if err := answered(t, ask("grpc.example.org"), plain, forever); err == nil || !strings.HasPrefix(err.Error(), "tls: ") {
		t.Errorf("got %v", err)
	}
}

// TestNothingRunsOnBehindAProbe: what net/http starts for a connection ends with it.
func TestNothingRunsOnBehindAProbe(t *testing.T) {
	p := probeMade(probeGRPC(model.AskGRPC{}))
	for _, to := range []netip.AddrPort{
		grpcServer(t, nil, grpcSays("\x08\x01", "0", "")),
		grpcServer(t, nil, grpcSays("", "14", "")),
		grpcServer(t, nil, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	} {
		_ = answered(t, p, to, soon)
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !bytes.Contains(stacks, []byte("ClientConn")) {
			return
		}
		if time.Since(began) > slack {
			t.Fatalf("it runs on:\n%s", stacks)
		}
	}
}
