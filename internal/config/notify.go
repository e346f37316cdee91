// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/suggest"
)

// What the times of a notice may be.
const (
	maxDigest = time.Hour
	minRepeat = time.Minute
	maxRepeat = 7 * 24 * time.Hour
)

// notify reads who is told of what happens to the services.
func (s scope) notify(n *yaml.Node, services []service) (out []model.Notice) {
	if n == nil {
		return nil
	}
	known := namesOf(services)
	for i, item := range s.list(n, "notify") {
		s := s.in(fmt.Sprintf("notice %d", i+1))
		notice, ok := s.notice(item, known)
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, notice.Equal) {
			s.complain(item, mistake{"the same notice stands twice", "keep one"})
		}
		out = append(out, notice)
	}
	return out
}

// namesOf is nil where the name of a service could not be read: it may be any.
func namesOf(services []service) []string {
	out := make([]string, 0, len(services))
	for _, s := range services {
		if s.Name == "" {
			return nil
		}
		out = append(out, s.Name)
	}
	return out
}

// notice is a channel, alone or with what is told by it. It is no good where the channel could not be read.
func (s scope) notice(n *yaml.Node, known []string) (out model.Notice, ok bool) {
	values := s.noticeValues(n)
	if values == nil {
		return out, false
	}
	out.Services = s.noticeServices(values["services"], known)
	out.Kinds = s.eventKinds(values["events"])
	out.Least = s.severity(values["severity"], out.Kinds)
	word := channelIn(values)
	if word == "" {
		s.complain(n, mistake{"no channel", `write "mail: ops@example.org", "exec:", "webhook:", "fifo:" or "syslog: {}": how it is told`})
		return out, false
	}
	for _, other := range channelWords() {
		if other != word && values[other] != nil {
			s.complain(values[other], mistake{fmt.Sprintf("%s and %s", word, other), "write one notice for each"})
		}
	}
	out.How = s.in(word).channel(word, values[word])
	if out.How == nil {
		return out, false
	}
	out.Digest = s.digest(values["digest"], out.How)
	out.Repeat = s.repeat(values["repeat"], out)
	return out, true
}

func (s scope) noticeValues(n *yaml.Node) map[string]*yaml.Node {
	if n.Kind != yaml.ScalarNode {
		return s.mapping(n, "a notice", noticeKeys)
	}
	word, ok := s.word(n, "channel", loneChannels)
	if !ok {
		return nil
	}
	return map[string]*yaml.Node{word: nothingAt(n)}
}

// channelIn is the first channel that a map names.
func channelIn(values map[string]*yaml.Node) string {
	for _, word := range channelWords() {
		if values[word] != nil {
			return word
		}
	}
	return ""
}

// noticeServices wants names that there are. A service that comes later is not told of by itself.
func (s scope) noticeServices(n *yaml.Node, known []string) (out []string) {
	if n == nil {
		return nil
	}
	items := s.list(n, "services")
	s.complainIf(n, emptyList(n, "services", "for all services leave it out"))
	for _, item := range items {
		name, ok := s.text(item, "service")
		switch {
		case !ok:
		case slices.Contains(out, name):
			s.complain(item, mistake{fmt.Sprintf("service %s stands twice", label(name)), "keep one"})
		case known != nil && !slices.Contains(known, name):
			s.complain(item, mistake{"there is no service " + label(name), serviceHint(name, known)})
		default:
			out = append(out, name)
		}
	}
	return out
}

func serviceHint(name string, known []string) string {
	if meant := suggest.Closest(name, known); meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	return `write the name of one of "services:"`
}

// emptyList refuses a list that would let nothing through.
func emptyList(n *yaml.Node, what, hint string) *mistake {
	if isNull(n) || n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		return &mistake{what + " of nothing", hint}
	}
	return nil
}

// eventKinds returns nil for all kinds, written or not.
func (s scope) eventKinds(n *yaml.Node) (out []model.EventKind) {
	if n == nil {
		return nil
	}
	items := s.list(n, "events")
	s.complainIf(n, emptyList(n, "events", "for all events leave it out"))
	for _, item := range items {
		word, ok := s.word(item, "event", eventKinds)
		switch kind := model.EventKind(word); {
		case !ok:
		case slices.Contains(out, kind):
			s.complain(item, mistake{fmt.Sprintf("event %s stands twice", word), "keep one"})
		default:
			out = append(out, kind)
		}
	}
	if len(out) == len(model.EventKinds()) {
		return nil
	}
	return out
}

// severity returns 0 for the default, written or not.
func (s scope) severity(n *yaml.Node, kinds []model.EventKind) model.Severity {
	if n == nil {
		return 0
	}
	word, ok := s.word(n, "severity", severities)
	least, _ := model.ParseSeverity(word)
	reaches := func(k model.EventKind) bool { return model.Event{Kind: k}.Severity() >= least }
	if ok && len(kinds) > 0 && !slices.ContainsFunc(kinds, reaches) {
		s.complain(n, mistake{fmt.Sprintf("severity %s, but none of these events is so grave", word),
			"server_down, certificate_ends, vrrp_master, vrrp_fault, vrrp_stop, vrrp_silent_begin and sync_lost are warnings, service_down, panic_begin, vrrp_conflict_begin and vrrp_held_begin are critical, the others are info: leave one of the keys out"})
	}
	if least == model.Info {
		return 0
	}
	return least
}

// digest is 0 where each event is a message. Not written, it is that of the channel.
func (s scope) digest(n *yaml.Node, how model.Channel) time.Duration {
	switch {
	case n == nil && how.Gathers():
		return model.DefaultDigest
	case n == nil:
		return 0
	case !how.Gathers():
		s.complain(n, mistake{"digest, but " + how.Kind() + " tells each event by itself", "leave it out"})
		return 0
	}
	return s.duration(n, "digest", 0, maxDigest)
}

func (s scope) repeat(n *yaml.Node, of model.Notice) time.Duration {
	if n == nil {
		return 0
	}
	if len(of.Kinds) > 0 && !slices.ContainsFunc(of.Kinds, model.EventKind.Begins) {
		s.complain(n, mistake{"repeat, but none of these events is one of something down", "leave it out: it says again what is still down"})
		return 0
	}
	return s.duration(n, "repeat", minRepeat, maxRepeat)
}

// notifyNode is the inverse of notify.
func notifyNode(list []model.Notice) *yaml.Node { return listNode(list, noticeNode) }

// noticeNode is the name of the channel where that says it all.
func noticeNode(n model.Notice) *yaml.Node {
	pairs := []pair{{n.How.Kind(), channelNode(n.How)}}
	if len(n.Services) > 0 {
		pairs = append(pairs, pair{"services", listNode(n.Services, textNode)})
	}
	if len(n.Kinds) > 0 {
		pairs = append(pairs, pair{"events", listNode(kindsOf(n.Kinds), textNode)})
	}
	if n.Least > model.Info {
		pairs = append(pairs, pair{"severity", textNode(n.Least.String())})
	}
	if n.How.Gathers() && n.Digest != model.DefaultDigest {
		pairs = append(pairs, pair{"digest", textNode(printDuration(n.Digest))})
	}
	if n.Repeat != 0 {
		pairs = append(pairs, pair{"repeat", textNode(printDuration(n.Repeat))})
	}
	if n.How.Kind() == "syslog" && len(pairs) == 1 {
		return textNode("syslog")
	}
	return mapNode(pairs...)
}
