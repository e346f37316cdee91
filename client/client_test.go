// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
)

// daemon answers every request by handler and returns its socket.
func daemon(t *testing.T, handler http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "weir.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	return socket
}

// says answers every request with one text.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text)) // the client tells what is missing
	}
}

func TestMethodsAskTheirRequests(t *testing.T) {
	var asked string
	c := client.New(daemon(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.String()
		says(http.StatusOK, "null")(w, r)
	}))
	ctx := t.Context()
	for want, call := range map[string]func() error{
		"GET /v1/status":          func() error { _, err := c.Status(ctx); return err },
		"GET /v1/services":        func() error { _, err := c.Services(ctx); return err },
		"GET /v1/servers":         func() error { _, err := c.Servers(ctx); return err },
		"GET /v1/counters":        func() error { _, err := c.Counters(ctx); return err },
		"GET /v1/verdicts":        func() error { _, err := c.Verdicts(ctx); return err },
		"GET /v1/notices":         func() error { _, err := c.Notices(ctx); return err },
		"POST /v1/reload":         func() error { _, err := c.Reload(ctx); return err },
		"GET /v1/vrrp":            func() error { _, err := c.VirtualRouters(ctx); return err },
		"POST /v1/vrrp/step-down": func() error { _, err := c.StepDown(ctx); return err },
		"POST /v1/vrrp/step-down?router=front&router=a%26b": func() error {
			_, err := c.StepDown(ctx, "front", "a&b")
			return err
		},
		"POST /v1/notices/2/test": func() error {
			_, err := c.TestNotice(ctx, 2)
			return err
		},
		"GET /v1/connections": func() error {
			_, err := c.Connections(ctx, client.ConnectionsQuery{})
			return err
		},
		"GET /v1/connections?limit=5&service=a%26b": func() error {
			_, err := c.Connections(ctx, client.ConnectionsQuery{Service: "a&b", Limit: 5})
			return err
		},
		"GET /v1/connections?client=2001%3Adb8%3A%3A%2F32&protocol=udp&server=198.51.100.11%3A80&state=UDP": func() error {
			_, err := c.Connections(ctx, client.ConnectionsQuery{
				Client: "2001:db8::/32", Protocol: "udp", Server: "198.51.100.11:80", State: "UDP",
			})
			return err
		},
		"GET /v1/connections/count?service=web": func() error {
			_, err := c.CountConnections(ctx, client.ConnectionsQuery{Service: "web", Limit: 5})
			return err
		},
		"GET /v1/explain?client=203.0.113.7%3A9&virtual=192.0.2.10%3A80": func() error {
			_, err := c.Explain(ctx, "203.0.113.7:9", "192.0.2.10:80", "")
			return err
		},
		"GET /v1/explain?client=%5B2001%3Adb8%3A%3A7%5D%3A9&protocol=udp&virtual=%5B2001%3Adb8%3A%3A10%5D%3A80": func() error {
			_, err := c.Explain(ctx, "[2001:db8::7]:9", "[2001:db8::10]:80", "udp")
			return err
		},
		"GET /v1/trace?client=203.0.113.7&frames=true&protocol=udp&virtual=192.0.2.10%3A53": func() error {
			enough := errors.New("enough")
			err := c.Trace(ctx, client.TraceQuery{Client: "203.0.113.7", Virtual: "192.0.2.10:53", Protocol: "udp", Frames: true},
				func() error { return nil }, func(api.Trace) error { return enough })
			if errors.Is(err, enough) {
				return nil
			}
			return err
		},
		"DELETE /v1/connections?service=web": func() error {
			_, err := c.KillConnections(ctx, client.ConnectionsQuery{Service: "web", Limit: 5})
			return err
		},
		"DELETE /v1/connections": func() error {
			_, err := c.KillConnections(ctx, client.ConnectionsQuery{})
			return err
		},
		"DELETE /v1/connections?all=true": func() error { _, err := c.KillAllConnections(ctx); return err },
	} {
		if err := call(); err != nil || asked != want {
			t.Errorf("want %s, asked %s, %v", want, asked, err)
		}
	}
}

func TestAnswerIsRead(t *testing.T) {
	c := client.New(daemon(t, says(http.StatusOK, `[{"service":"web","weight":3,"packets_out":0}]`)))
	got, err := c.Servers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []api.Server{{Service: "web", Weight: 3, Traffic: api.Traffic{PacketsOut: new(uint64(0))}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAbsentDaemonIsNamed(t *testing.T) {
	dead := filepath.Join(t.TempDir(), "weir.sock")
	listener, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, socket := range []string{dead, filepath.Join(t.TempDir(), "none.sock")} {
		_, err := client.New(socket).Status(t.Context())
		if !errors.Is(err, client.ErrNoDaemon) || !strings.Contains(err.Error(), socket) {
			t.Errorf("got %v", err)
		}
	}
}

func TestErrorKeepsTheDetail(t *testing.T) {
	for _, test := range []struct {
		name string
		text string
		want client.Error
	}{
		{"problem", `{"status":422,"detail":"weir.yaml:1:1: empty\nsecond"}`, client.Error{Status: 422, Detail: "weir.yaml:1:1: empty\nsecond"}},
		{"no detail", `{}`, client.Error{Status: 422, Detail: "the daemon answers 422 Unprocessable Entity"}},
		{"no JSON", `<html>`, client.Error{Status: 422, Detail: "the daemon answers 422 Unprocessable Entity"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.New(daemon(t, says(422, test.text))).Reload(t.Context())
			var got *client.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCutAnswerIsAnError(t *testing.T) {
	socket := daemon(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`[{"state":"UDP"},`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	got, err := client.New(socket).Connections(t.Context(), client.ConnectionsQuery{})
	if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("took %v for the whole list, %v", got, err)
	}
}

// TestTraceIsReadLineByLine until its reader has enough, it is ended, or the daemon goes away.
func TestTraceIsReadLineByLine(t *testing.T) {
	c := client.New(daemon(t, says(http.StatusOK, `{"verdict":"dr"}`+"\n"+`{"verdict":"tun","missed":3}`+"\n")))
	var got []string
	begun := 0
	ctx, cancel := context.WithCancel(t.Context())
	never := func() error { t.Error("it has begun"); return nil }
	tell := func(p api.Trace) error { got = append(got, p.Verdict); return nil }
	err := c.Trace(ctx, client.TraceQuery{}, func() error { begun++; return nil }, tell)
	if err == nil || !strings.Contains(err.Error(), "ended the trace") || begun != 1 || len(got) != 2 || got[1] != "tun" {
		t.Errorf("a daemon that goes away: %v after %v", err, got)
	}
	err = c.Trace(ctx, client.TraceQuery{}, func() error { return nil }, func(api.Trace) error { cancel(); return nil })
	if err != nil {
		t.Errorf("a trace that is ended: %v", err)
	}
	err = c.Trace(ctx, client.TraceQuery{}, never, tell)
	if err != nil {
		t.Errorf("a trace that is ended before it began: %v", err)
	}
	busy := client.New(daemon(t, says(http.StatusConflict, `{"status":409,"detail":"somebody traces already"}`)))
	var refused *client.Error
	err = busy.Trace(t.Context(), client.TraceQuery{}, never, tell)
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("a second trace: %v", err)
	}
}
