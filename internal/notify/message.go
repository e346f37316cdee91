// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// message is what one notice tells at once.
type message struct {
	at     time.Time     // when it was made
	events []model.Event // in the order in which they came; of a repeat: what is down, the longest first
	lost   int           // events before these that nobody was told of
	repeat bool          // all of it was told before, and is still so
	test   bool          // somebody tries whether messages get through
}

// subject is the one line that all read. What happened to a single server or service it tells in full.
func (m message) subject() string {
	head := "weir: "
	if m.test {
		head += "test: "
	}
	last := m.lastOfEach()
	switch {
	case m.repeat && len(last) == 1:
		return head + m.still(m.events[0])
	case m.repeat:
		return head + "still down: " + tally(last, stillWords)
	case len(last) == 1:
		return head + sentence(m.events[len(m.events)-1])
	}
	return head + tally(last, changeWords)
}

// lastOfEach is the newest kind of event of each subject: what went down and came back is up.
func (m message) lastOfEach() map[subject]model.EventKind {
	out := map[subject]model.EventKind{}
	for _, e := range m.events {
		out[subjectOf(e)] = e.Kind
	}
	return out
}

// word is how a number of events is told.
type word struct {
	kind      model.EventKind
	one, many string
}

// changeWords are in the order of their gravity, servers first: they are why services are down.
var changeWords = []word{
	{model.ServerDown, "server down", "servers down"},
	{model.ServiceDown, "service down", "services down"},
	{model.PanicBegin, "service in panic", "services in panic"},
	{model.CertificateEnds, "certificate to renew", "certificates to renew"},
	{model.ConflictBegin, "conflict of virtual routers", "conflicts of virtual routers"},
	{model.HeldBegin, "virtual router held back", "virtual routers held back"},
	{model.SilentBegin, "virtual router less guarded", "virtual routers less guarded"},
	{model.VRRPToFault, "virtual router in fault", "virtual routers in fault"},
	{model.SyncLost, "director out of sync", "directors out of sync"},
	{model.VRRPToStop, "virtual router stopped", "virtual routers stopped"},
	{model.VRRPToMaster, "virtual router master", "virtual routers master"},
	{model.VRRPToBackup, "virtual router backup", "virtual routers backup"},
	{model.ServerUp, "server up", "servers up"},
	{model.ServiceUp, "service up", "services up"},
	{model.PanicEnd, "panic over", "panics over"},
	{model.CertificateRenewed, "certificate renewed", "certificates renewed"},
	{model.MaintenanceBegin, "in maintenance", "in maintenance"},
	{model.MaintenanceEnd, "out of maintenance", "out of maintenance"},
	{model.ConflictEnd, "conflict over", "conflicts over"},
	{model.HeldEnd, "virtual router held back no more", "virtual routers held back no more"},
	{model.SilentEnd, "virtual router guarded again", "virtual routers guarded again"},
	{model.SyncReached, "director in sync", "directors in sync"},
}

var stillWords = []word{
	{model.ServerDown, "server", "servers"},
	{model.ServiceDown, "service", "services"},
	{model.PanicBegin, "service in panic", "services in panic"},
	{model.CertificateEnds, "certificate to renew", "certificates to renew"},
	{model.ConflictBegin, "conflict of virtual routers", "conflicts of virtual routers"},
	{model.HeldBegin, "virtual router held back", "virtual routers held back"},
	{model.SilentBegin, "virtual router less guarded", "virtual routers less guarded"},
	{model.VRRPToFault, "virtual router in fault", "virtual routers in fault"},
	{model.SyncLost, "director out of sync", "directors out of sync"},
}

// tally counts: 12 servers down, 1 service down.
func tally(last map[subject]model.EventKind, words []word) string {
	counts := map[model.EventKind]int{}
	for _, kind := range last {
		counts[kind]++
	}
	var parts []string
	for _, w := range words {
		switch n := counts[w.kind]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+w.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, w.many))
		}
	}
	return strings.Join(parts, ", ")
}

// lines is one for each event, as a log has them, without the time.
func (m message) lines() []string {
	out := make([]string, 0, len(m.events))
	for _, e := range m.events {
		if m.repeat {
			out = append(out, m.still(e))
			continue
		}
		out = append(out, sentence(e))
	}
	return out
}

// lostLine says what is missing; "": nothing.
func (m message) lostLine() string {
	switch m.lost {
	case 0:
		return ""
	case 1:
		return "1 event before this is lost: it could not be told."
	}
	return fmt.Sprintf("%d events before this are lost: they could not be told.", m.lost)
}

// body has a line for each event, with its time, so that a rack that dies is one mail.
func (m message) body(host string) string {
	var b strings.Builder
	for i, line := range m.lines() {
		fmt.Fprintf(&b, "%s %s\n", m.events[i].Time.Format(time.DateTime), line)
	}
	if lost := m.lostLine(); lost != "" {
		fmt.Fprintf(&b, "\n%s\n", lost)
	}
	fmt.Fprintf(&b, "\nweir on %s, times in UTC%s\n", host, m.at.Format("-07:00"))
	return b.String()
}

// sentence tells of a change.
func sentence(e model.Event) string {
	text := name(e) + " " + became(e.Kind)
	if over := !e.Kind.Begins() || e.Was != model.VRRPInit; over && !e.Since.IsZero() {
		text += " after " + span(e.Time.Sub(e.Since))
	}
	if e.Was != model.VRRPInit {
		text += " as " + e.Was.String()
	}
	return withReason(text, e.Reason)
}

func became(kind model.EventKind) string {
	switch kind {
	case model.ServerDown, model.ServiceDown:
		return "is down"
	case model.PanicBegin:
		return "is in panic"
	case model.PanicEnd:
		return "is out of its panic"
	case model.CertificateEnds:
		return "has to renew its certificate"
	case model.CertificateRenewed:
		return "has renewed its certificate"
	case model.MaintenanceBegin:
		return "is in maintenance"
	case model.MaintenanceEnd:
		return "is out of maintenance"
	case model.VRRPToMaster:
		return "is master here"
	case model.VRRPToBackup:
		return "is backup here"
	case model.VRRPToFault:
		return "is in fault here"
	case model.VRRPToStop:
		return "is stopped here"
	case model.ConflictBegin:
		return "is in conflict"
	case model.ConflictEnd:
		return "is in conflict no more"
	case model.HeldBegin:
		return "is held back from taking over from a silent master"
	case model.HeldEnd:
		return "is held back no more"
	case model.SilentBegin:
		return "is less guarded against two masters"
	case model.SilentEnd:
		return "is guarded again"
	case model.SyncReached:
		return "is in sync"
	case model.SyncLost:
		return "is out of sync"
	}
	return "is up again"
}

// still tells of what has not changed.
func (m message) still(e model.Event) string {
	head := "still down"
	switch e.Kind {
	case model.PanicBegin:
		head = "still in panic"
	case model.CertificateEnds:
		head = "still to renew its certificate"
	case model.VRRPToFault:
		head = "still in fault"
	case model.ConflictBegin:
		head = "still in conflict"
	case model.HeldBegin:
		head = "still held back"
	case model.SilentBegin:
		head = "still less guarded"
	case model.SyncLost:
		head = "still out of sync"
	}
	return withReason(fmt.Sprintf("%s: %s, for %s", head, name(e), span(m.at.Sub(e.Time))), e.Reason)
}

func name(e model.Event) string {
	if e.Router != "" {
		return "virtual router " + e.Router
	}
	if e.Peer.IsValid() {
		return "director " + e.Peer.String()
	}
	if e.Server == (model.ServerKey{}) {
		return "service " + e.Service
	}
	return fmt.Sprintf("server %s of %s", e.Server, e.Service)
}

func withReason(text, reason string) string {
	if reason = model.OneLine(reason); reason != "" {
		text += ": " + reason
	}
	return text
}

// span is a time as people say it, in at most two units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "less than 1s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return two(d, time.Minute, "m", time.Second, "s")
	case d < day:
		return two(d, time.Hour, "h", time.Minute, "m")
	}
	return two(d, day, "d", time.Hour, "h")
}

func two(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	rest := d % large / small
	if rest == 0 {
		return fmt.Sprintf("%d%s", d/large, largeName)
	}
	return fmt.Sprintf("%d%s%d%s", d/large, largeName, rest, smallName)
}
