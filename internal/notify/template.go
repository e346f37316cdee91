// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// payload is the body of a webhook's request.
func payload(template model.WebhookTemplate, m message, host string) ([]byte, error) {
	switch template {
	case model.TemplateSlack:
		return json.Marshal(slackOf(m, host))
	case model.TemplateAlertmanager:
		return json.Marshal(alertsOf(m, host))
	}
	return json.Marshal(documentOf(m, host))
}

// document is weir's own form. It is a promise to other programs: a field may come, none may change or go.
type document struct {
	Host    string  `json:"host"`
	Subject string  `json:"subject"`
	Repeat  bool    `json:"repeat"`
	Test    bool    `json:"test"`
	Lost    int     `json:"lost"`
	Events  []event `json:"events"`
}

type event struct {
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	Severity string    `json:"severity"`
	Service  string    `json:"service"`
	Address  string    `json:"address"`
	Protocol string    `json:"protocol"`
	Server   string    `json:"server,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Router   string    `json:"router,omitempty"`
	Priority uint8     `json:"priority,omitempty"`
	Was      string    `json:"was,omitempty"`
	Group    string    `json:"group,omitempty"`
	Peer     string    `json:"peer,omitempty"`
}

func documentOf(m message, host string) document {
	out := document{Host: host, Subject: m.subject(), Repeat: m.repeat, Test: m.test, Lost: m.lost, Events: []event{}}
	for _, e := range m.events {
		out.Events = append(out.Events, event{Time: e.Time, Kind: string(e.Kind), Severity: e.Severity().String(), Service: e.Service,
			Address: addressOf(e), Protocol: protocolOf(e), Server: serverOf(e), Reason: model.OneLine(e.Reason), Since: e.Since,
			Router: e.Router, Priority: e.Priority, Was: wasOf(e), Group: e.Group, Peer: peerOf(e)})
	}
	return out
}

// slack is a text, which Mattermost and Rocket.Chat take as well.
type slack struct {
	Text string `json:"text"`
}

// mostSlackLines keeps a text below the 40,000 characters that Slack shows.
const mostSlackLines = 50

// slackEscapes are the characters that mean something in Slack's texts.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackOf(m message, host string) slack {
	text := m.subject() + " (" + host + ")"
	lines := m.lines()
	if len(lines) > 1 {
		for i, line := range lines[:min(len(lines), mostSlackLines)] {
			text += fmt.Sprintf("\n• %s %s", m.events[i].Time.Format(time.TimeOnly), line)
		}
	}
	if more := len(lines) - mostSlackLines; more > 0 {
		text += fmt.Sprintf("\n• and %d more", more)
	}
	if lost := m.lostLine(); lost != "" {
		text += "\n" + lost
	}
	return slack{slackEscapes.Replace(text)}
}

// alert is one of those that POST /api/v2/alerts of Alertmanager takes.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt,omitzero"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
}

// lasting is how long an alert stays if weir never says that it is over. Without an end Alertmanager would take it
// for over after five minutes of silence.
const lasting = 7 * 24 * time.Hour

// testLasting is how long that of a test does: nobody ever says that it is over.
const testLasting = 5 * time.Minute

// alertsOf has one alert for each server, service, virtual router and director, as it was left: those that go and come in one message are over.
func alertsOf(m message, host string) []alert {
	at := map[subject]int{}
	out := []alert{}
	for _, e := range m.events {
		i, known := at[subjectOf(e)]
		if !known {
			i = len(out)
			at[subjectOf(e)] = i
			out = append(out, alert{})
		}
		out[i] = alertOf(e, m, host)
	}
	return out
}

// alertOf: an alert is known by its labels, so they are the same when it begins and when it ends.
func alertOf(e model.Event, m message, host string) alert {
	a := alert{Labels: labelsOf(e, host), StartsAt: e.Since, EndsAt: e.Time}
	if e.Kind.Begins() {
		a.StartsAt, a.EndsAt = e.Time, m.at.Add(lasting)
		a.Annotations = map[string]string{"summary": sentence(e), "description": model.OneLine(e.Reason)}
	}
	if m.test {
		a.Labels["test"], a.EndsAt = "true", m.at.Add(testLasting)
	}
	return a
}

func labelsOf(e model.Event, host string) map[string]string {
	if e.Router != "" {
		return routerLabels(e, host)
	}
	if e.Peer.IsValid() {
		return map[string]string{"alertname": "WeirSyncLost", "instance": host, "peer": e.Peer.String(), "severity": model.Warning.String()}
	}
	out := map[string]string{"alertname": "WeirServiceDown", "instance": host, "service": e.Service, "severity": model.Critical.String()}
	if server := serverOf(e); server != "" {
		out["alertname"], out["server"], out["severity"] = "WeirServerDown", server, model.Warning.String()
	}
	switch subjectOf(e).topic {
	case panics:
		out["alertname"] = "WeirServicePanic"
	case certificates:
		out["alertname"] = "WeirCertificateEnds"
	}
	return out
}

func routerLabels(e model.Event, host string) map[string]string {
	out := map[string]string{"alertname": "WeirRouterFault", "instance": host, "router": e.Router, "severity": model.Warning.String()}
	switch subjectOf(e).topic {
	case conflicts:
		out["alertname"], out["severity"] = "WeirRouterConflict", model.Critical.String()
	case helds:
		out["alertname"], out["severity"] = "WeirRouterHeld", model.Critical.String()
	case silences:
		out["alertname"] = "WeirRouterSilent"
	}
	return out
}
