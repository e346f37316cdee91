// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
	"github.com/weir-lb/weir/internal/server"
)

// traced are two packets, the first of which was sent on.
func traced() []report.Trace {
	at := time.Date(2026, 11, 25, 12, 3, 11, 204518000, time.UTC)
	one := report.Trace{
		Traced: model.Traced{
			At: at, Verdict: "dr", Means: "forwarded by direct routing", In: model.Frame{Bytes: []byte{1, 2}, Length: 1500},
			Sent: &model.Frame{Bytes: []byte{3}, Length: 1}, Flow: model.Flow{Client: netip.MustParseAddrPort("203.0.113.7:40000")},
		},
		Interface: "eth0", Packet: "in", Stages: []report.Stage{{Name: "connection", Result: "none"}}, Sent: "out",
	}
	two := report.Trace{
		Traced: model.Traced{
			At: at.Add(time.Second), Missed: 3, Verdict: "no_server", Means: "none", In: model.Frame{Bytes: []byte{4}, Length: 1},
			Flow: model.Flow{Client: netip.MustParseAddrPort("203.0.113.8:40000")},
		},
		Interface: "eth0", Packet: "other",
	}
	return []report.Trace{one, two}
}

// open asks over a real connection: what is written has a deadline there.
func open(t *testing.T, d server.Director, target string) *http.Response {
	t.Helper()
	web := httptest.NewServer(server.New(d, "1.2.3", slog.New(slog.DiscardHandler)).Handler())
	t.Cleanup(web.Close)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestTraceIsALineAPacket(t *testing.T) {
	one := api.Trace{
		Time: traced()[0].At, Interface: "eth0", Packet: "in", Stages: []api.TraceStage{{Name: "connection", Result: "none"}},
		Verdict: "dr", Means: "forwarded by direct routing", Sent: "out",
	}
	two := api.Trace{
		Time: traced()[1].At, Missed: 3, Interface: "eth0", Packet: "other", Stages: []api.TraceStage{}, Verdict: "no_server", Means: "none",
	}
	whole := one
	whole.FrameIn, whole.FrameSent = &api.Frame{Bytes: []byte{1, 2}, Length: 1500}, &api.Frame{Bytes: []byte{3}, Length: 1}
	for target, want := range map[string][]api.Trace{
		"/v1/trace":                                      {one, two},
		"/v1/trace?client=203.0.113.8:40000":             {two},
		"/v1/trace?client=203.0.113.7:40000&frames=true": {whole},
	} {
		response := open(t, director{traced: traced()}, target)
		status := response.StatusCode
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		var got []api.Trace
		for line := range strings.Lines(string(text)) {
			var packet api.Trace
			if err := json.Unmarshal([]byte(line), &packet); err != nil {
				t.Fatalf("%s: %v: %s", target, err, line)
			}
			got = append(got, packet)
		}
		if diff := cmp.Diff(want, got); status != http.StatusOK || diff != "" {
			t.Errorf("%s: status %d (-want +got):\n%s", target, status, diff)
		}
	}
}

func TestTraceThatCannotBeIsRefused(t *testing.T) {
	for _, row := range []struct {
		target string
		err    error
		status int
		detail string
	}{
		{"/v1/trace?client=alice", nil, http.StatusBadRequest, "names are not looked up"},
		{"/v1/trace?protocol=icmp", nil, http.StatusBadRequest, "write tcp, udp or sctp"},
		{"/v1/trace", fmt.Errorf("%w: somebody traces already", server.ErrBusy), http.StatusConflict, "somebody traces already"},
		{"/v1/trace", errors.New("the kernel refuses it"), http.StatusServiceUnavailable, "the kernel refuses it"},
	} {
		status, text := ask(t, director{err: row.err}, "GET", row.target, nil)
		if status != row.status || !strings.Contains(text, row.detail) {
			t.Errorf("%s: status %d, %s", row.target, status, text)
		}
	}
}

// endless tells of a packet, and goes on until its reader ends it.
type endless struct {
	director
	ended chan struct{}
}

func (s endless) Trace(ctx context.Context, _ model.TraceFilter, begun func(), yield func(report.Trace) error) error {
	defer close(s.ended)
	begun()
	if err := yield(traced()[0]); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// TestTraceBeginsAtOnceAndEndsWithItsReader over a real connection: each packet is there when it came, and who
// goes away ends the trace.
func TestTraceBeginsAtOnceAndEndsWithItsReader(t *testing.T) {
	d := endless{director{}, make(chan struct{})}
	response := open(t, d, "/v1/trace")
	if kind := response.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("it is %s", kind)
	}
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, `"verdict":"dr"`) {
		t.Errorf("%q, %v", line, err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	<-d.ended
}

// TestTraceThatBreaksOffIsCut, so that its reader knows.
func TestTraceThatBreaksOffIsCut(t *testing.T) {
	response := open(t, director{traced: traced(), err: errors.New("the ring is gone"), breakAfter: 1}, "/v1/trace")
	if text, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("it ended as if it were whole: %s", text)
	}
}
