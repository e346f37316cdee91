// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

// hook is a receiver that keeps what it gets.
type hook struct {
	*httptest.Server

	mu       sync.Mutex // guards the rest
	statuses []int      // of the next answers; 200 behind them
	requests []request
}

type request struct {
	header http.Header
	body   string
}

func startHook(t *testing.T, statuses ...int) *hook {
	h := &hook{statuses: statuses}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, request{r.Header, string(body)})
	if len(h.statuses) > 0 {
		w.Header().Set("Location", h.URL)
		w.WriteHeader(h.statuses[0])
		fmt.Fprintln(w, "because")
		h.statuses = h.statuses[1:]
	}
}

func (h *hook) received() []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]request(nil), h.requests...)
}

func hooked(t *testing.T, how model.ByWebhook) *webhook {
	w := newWebhook(how, "lb1")
	t.Cleanup(w.close)
	return w
}

func TestRequestsAreSigned(t *testing.T) {
	h := startHook(t)
	how := model.ByWebhook{URL: h.URL + "/weir", SecretFile: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(how.SecretFile, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustSend(t, hooked(t, how), oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
	got := h.received()[0]
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write([]byte(got.body))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); got.header.Get("X-Weir-Signature") != want {
		t.Errorf("the signature is %q, want %q", got.header.Get("X-Weir-Signature"), want)
	}
	if got := got.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("the type is %q", got)
	}
	how.SecretFile = ""
	mustSend(t, hooked(t, how), oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
	if got := h.received()[1].header.Get("X-Weir-Signature"); got != "" {
		t.Errorf("without a secret the signature is %q", got)
	}
}

func TestAnswersDecideWhetherItIsTriedAgain(t *testing.T) {
	for status, want := range map[int]string{
		200: "taken", 204: "taken", 202: "taken",
		400: "final", 401: "final", 404: "final", 410: "final", 413: "final",
		408: "again", 429: "again", 500: "again", 502: "again", 503: "again", 302: "again", 307: "again",
	} {
		err := verdict("hooks.example.org", status, "because")
		got := "again"
		switch {
		case err == nil:
			got = "taken"
		case isFinal(err):
			got = "final"
		}
		if got != want {
			t.Errorf("%d: %s, want %s (%v)", status, got, want, err)
		}
	}
}

func TestErrorsOfHooksKeepTheURLSecret(t *testing.T) {
	h := startHook(t, 503, 302)
	how := model.ByWebhook{URL: h.URL + "/services/T0/secret"}
	w := hooked(t, how)
	for _, want := range []string{"answers 503 Service Unavailable: because", "answers 302 Found: because"} {
		err := w.send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	h.Close()
	err := w.send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 11)))
	if err == nil || isFinal(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("with nobody there: got %v", err)
	}
	if text := how.String(); strings.Contains(text, "secret") {
		t.Errorf("it is known as %s", text)
	}
}

func TestTemplatesHaveTheirForm(t *testing.T) {
	down := withReasonOf(eventOf(noon, model.ServerDown, "web", 11), "http <503>")
	up := since(eventOf(noon, model.ServiceUp, "web", 0), time.Minute)
	both := message{at: noon, lost: 2, events: []model.Event{down, up}}
	for _, tt := range []struct {
		name     string
		template model.WebhookTemplate
		message
		want string
	}{
		{"json", model.TemplateJSON, both, `
{
 "host": "lb1",
 "subject": "weir: 1 server down, 1 service up",
 "repeat": false,
 "test": false,
 "lost": 2,
 "events": [
  {
   "time": "2026-11-26T12:03:11+01:00",
   "kind": "server_down",
   "severity": "warning",
   "service": "web",
   "address": "192.0.2.10:80",
   "protocol": "tcp",
   "server": "10.0.0.11:80",
   "reason": "http \u003c503\u003e"
  },
  {
   "time": "2026-11-26T12:03:11+01:00",
   "kind": "service_up",
   "severity": "info",
   "service": "web",
   "address": "192.0.2.10:80",
   "protocol": "tcp",
   "since": "2026-11-26T12:02:11+01:00"
  }
 ]
}`},
		{"slack", model.TemplateSlack, both, `
{
 "text": "weir: 1 server down, 1 service up (lb1)\n• 12:03:11 server 10.0.0.11:80 of web is down: http \u0026lt;503\u0026gt;\n• 12:03:11 service web is up again after 1m\n2 events before this are lost: they could not be told."
}`},
		{"slack, one event", model.TemplateSlack, oneEvent(down), `
{
 "text": "weir: server 10.0.0.11:80 of web is down: http \u0026lt;503\u0026gt; (lb1)"
}`},
		{"alertmanager", model.TemplateAlertmanager, both, `
[
 {
  "labels": {
   "alertname": "WeirServerDown",
   "instance": "lb1",
   "server": "10.0.0.11:80",
   "service": "web",
   "severity": "warning"
  },
  "annotations": {
   "description": "http \u003c503\u003e",
   "summary": "server 10.0.0.11:80 of web is down: http \u003c503\u003e"
  },
  "startsAt": "2026-11-26T12:03:11+01:00",
  "endsAt": "2026-12-03T12:03:11+01:00"
 },
 {
  "labels": {
   "alertname": "WeirServiceDown",
   "instance": "lb1",
   "service": "web",
   "severity": "critical"
  },
  "startsAt": "2026-11-26T12:02:11+01:00",
  "endsAt": "2026-11-26T12:03:11+01:00"
 }
]`},
		{"alertmanager, down and up in one message", model.TemplateAlertmanager,
			message{at: noon, events: []model.Event{down, since(eventOf(noon, model.ServerUp, "web", 11), time.Second)}}, `
[
 {
  "labels": {
   "alertname": "WeirServerDown",
   "instance": "lb1",
   "server": "10.0.0.11:80",
   "service": "web",
   "severity": "warning"
  },
  "startsAt": "2026-11-26T12:03:10+01:00",
  "endsAt": "2026-11-26T12:03:11+01:00"
 }
]`},
		{"alertmanager, panic of a service that is down besides", model.TemplateAlertmanager,
			message{at: noon, events: []model.Event{eventOf(noon, model.PanicBegin, "web", 0), since(eventOf(noon, model.ServiceUp, "web", 0), time.Second)}}, `
[
 {
  "labels": {
   "alertname": "WeirServicePanic",
   "instance": "lb1",
   "service": "web",
   "severity": "critical"
  },
  "annotations": {
   "description": "",
   "summary": "service web is in panic"
  },
  "startsAt": "2026-11-26T12:03:11+01:00",
  "endsAt": "2026-12-03T12:03:11+01:00"
 },
 {
  "labels": {
   "alertname": "WeirServiceDown",
   "instance": "lb1",
   "service": "web",
   "severity": "critical"
  },
  "startsAt": "2026-11-26T12:03:10+01:00",
  "endsAt": "2026-11-26T12:03:11+01:00"
 }
]`},
		{"alertmanager, a test: nobody will say that it is over", model.TemplateAlertmanager, testMessage(noon, model.Notice{}), `
[
 {
  "labels": {
   "alertname": "WeirServerDown",
   "instance": "lb1",
   "server": "192.0.2.1:80",
   "service": "test",
   "severity": "warning",
   "test": "true"
  },
  "annotations": {
   "description": "weir tries whether this message arrives",
   "summary": "server 192.0.2.1:80 of test is down: weir tries whether this message arrives"
  },
  "startsAt": "2026-11-26T12:03:11+01:00",
  "endsAt": "2026-11-26T12:08:11+01:00"
 }
]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, err := payload(tt.template, tt.message, "lb1")
			if err != nil {
				t.Fatal(err)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, body, "", " "); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, "\n"+indented.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSlackShowsTheFirstOfMany(t *testing.T) {
	var m message
	for i := range byte(60) {
		m.events = append(m.events, eventOf(noon, model.ServerDown, "web", i+1))
	}
	text := slackOf(m, "lb1").Text
	if lines := strings.Count(text, "\n"); lines != mostSlackLines+1 || !strings.HasSuffix(text, "• and 10 more") {
		t.Errorf("%d lines:\n%s", lines, text)
	}
}
