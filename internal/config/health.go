// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// How often a server may be asked, and how long it may take.
const (
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
	minTimeout  = 10 * time.Millisecond
	maxAnswers  = 100

	noFast = maxInterval // no interval is longer, so it is not shortened
)

// asked is what a service says about the questions to its servers.
type asked struct {
	protocols []model.Protocol // nil: its address could not be read
	anyPort   bool             // its servers have no port of their own
}

func askedOf(s model.Service) (out asked) {
	if !s.Key.Address.IsValid() {
		return out
	}
	for _, p := range []model.Protocol{model.TCP, model.UDP, model.SCTP} {
		if s.Speaks(p) {
			out.protocols = append(out.protocols, p)
		}
	}
	out.anyPort = forServers(s).Port == model.AnyPort
	return out
}

// standardChecks are those of a service that says nothing: a connection, where it is known what port listens. Of UDP
// nobody knows what it answers.
func standardChecks(s model.Service) model.Checks {
	of := askedOf(s)
	if len(of.protocols) == 0 || s.Key.Protocol != model.TCP || of.anyPort {
		return model.Checks{}
	}
	check := paced(pace())
	check.Ask = model.AskTCP{}
	return model.Checks{Of: []model.Check{check}}
}

// checks reads what servers are asked: `off`, a kind, a map with one, or `all` or `any` of several.
func (s scope) checks(n *yaml.Node, of asked, standard model.Checks) (out model.Checks) {
	if n == nil {
		return standard
	}
	s = s.in("check")
	if n.Kind == yaml.ScalarNode {
		word, ok := s.word(n, "check", checkWords)
		if out.Off = ok && word == "off"; ok && !out.Off {
			out.Of = s.oneCheck(n, map[string]*yaml.Node{word: nothingAt(n)}, pace(), of)
		}
		return out
	}
	values := s.mapping(n, "it", checkKeys)
	if values == nil {
		return out
	}
	out.Trusted = s.trusted(values["start"])
	several, key := values["all"], "all"
	if several == nil {
		several, key = values["any"], "any"
	}
	if several == nil {
		out.Of = s.oneCheck(n, values, pace(), of)
		return out
	}
	if values["all"] != nil && values["any"] != nil {
		s.complain(values["any"], mistake{"all and any", "keep one of them"})
	}
	if word := kindIn(values); word != "" {
		s.complain(values[word], mistake{fmt.Sprintf("%s beside %s", word, key), fmt.Sprintf("put it into the list behind %s", key)})
	}
	if port := values["port"]; port != nil {
		s.complain(port, mistake{fmt.Sprintf("port beside %s", key), fmt.Sprintf("put it into the list behind %s: {tcp: {}, port: 80}", key)})
		of.protocols = nil // each would be complained about for want of it
	}
	out.Of = s.severalChecks(several, key, s.paceOf(values, pace()), of)
	out.Any = key == "any" && len(out.Of) > 1
	return out
}

func (s scope) severalChecks(n *yaml.Node, key string, standard model.Check, of asked) (out []model.Check) {
	items := s.list(n, key)
	if len(items) == 0 && (n.Kind == yaml.SequenceNode || isNull(n)) {
		s.complain(n, mistake{key + " of nothing", fmt.Sprintf(`write "%s: [{http: /health}, {tcp: {}, port: 81}]"`, key)})
	}
	for _, item := range items {
		if item.Kind == yaml.ScalarNode {
			if word, ok := s.word(item, "check", vocabulary{known: kindWords()}); ok {
				out = s.addCheck(out, item, s.oneCheck(item, map[string]*yaml.Node{word: nothingAt(item)}, standard, of))
			}
			continue
		}
		values := s.mapping(item, "a check", checkKeys)
		for _, word := range []string{"all", "any", "start"} {
			if value := values[word]; value != nil {
				s.complain(value, mistake{word + " within a list of checks", "write it beside the list, or leave it out"})
			}
		}
		if values != nil {
			out = s.addCheck(out, item, s.oneCheck(item, values, standard, of))
		}
	}
	return out
}

// addCheck appends a check, if there is one, unless it is there.
func (s scope) addCheck(out []model.Check, n *yaml.Node, check []model.Check) []model.Check {
	if len(check) > 0 && slices.Contains(out, check[0]) {
		s.complain(n, mistake{"the same check stands twice", "keep one"})
		return out
	}
	return append(out, check...)
}

// nothingAt stands for a kind that is named without more.
func nothingAt(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
}

// oneCheck is empty after a complaint without which there is no telling what is asked.
func (s scope) oneCheck(n *yaml.Node, values map[string]*yaml.Node, standard model.Check, of asked) []model.Check {
	word := kindIn(values)
	if word == "" && namesOther(n, checkKeys) {
		return nil // it was complained about
	}
	if word == "" {
		s.complain(n, mistake{"no kind", `write "tcp: {}", or "http: /health": what is asked`})
		return nil
	}
	for _, other := range kindWords() {
		if other != word && values[other] != nil {
			s.complain(values[other], mistake{fmt.Sprintf("%s and %s", word, other), `write "all: [...]" or "any: [...]" for several`})
		}
	}
	out := paced(s.paceOf(values, standard))
	out.Ask = s.ask(word, values[word])
	if out.Ask == nil {
		return nil
	}
	if port := values["port"]; port != nil {
		number, _ := s.number(port, "port", 1, 65535)
		out.Port = uint16(number)
	}
	s.complainIf(values[word], misfit(out, of, values["port"] != nil))
	return []model.Check{out}
}

// kindIn is the first kind that a map names, in the order of kinds.
func kindIn(values map[string]*yaml.Node) string {
	for _, word := range kindWords() {
		if values[word] != nil {
			return word
		}
	}
	return ""
}

// misfit: what has no listener at the service's own protocol and port cannot be asked there.
func misfit(c model.Check, of asked, ownPort bool) *mistake {
	if of.protocols == nil {
		return nil
	}
	if asksElsewhere(c.Ask) || ownPort {
		return misplacedPort(c.Ask, ownPort)
	}
	if of.anyPort {
		return &mistake{"which port? The service is of several", `write "port: 80"`}
	}
	needed := model.TCP
	if overUDP(c.Ask) {
		needed = model.UDP
	}
	if slices.Contains(of.protocols, needed) {
		return nil
	}
	hint := `write "udp: {payload: ..., reply: ...}" or "dns: example.org", or say which TCP port is asked: "port: 80"`
	if needed == model.UDP {
		hint = `write "tcp", or say which UDP port is asked: "port: 53"`
	}
	if mayUseTCP(c.Ask) {
		hint = `write "tcp: true" behind it, or say which UDP port is asked: "port: 53"`
	}
	return &mistake{fmt.Sprintf("%s asks over %s, but the service is of %s", c.Ask.Kind(), needed, of.protocols[0]), hint}
}

// pace is that of a check of which nothing else is said. Its fast interval is not written: 0.
func pace() model.Check {
	return model.Check{Interval: model.DefaultInterval, Timeout: model.DefaultTimeout, Rise: model.DefaultRise, Fall: model.DefaultFall}
}

// paceOf reads how often is asked, and by which way. A timeout that is not written is never longer than the interval.
func (s scope) paceOf(values map[string]*yaml.Node, out model.Check) model.Check {
	readable := true
	if n := values["interval"]; n != nil {
		interval := s.duration(n, "interval", minInterval, maxInterval)
		readable, out.Interval = interval != 0, cmp.Or(interval, out.Interval)
		if values["timeout"] == nil {
			out.Timeout = min(out.Timeout, out.Interval)
		}
	}
	if n := values["timeout"]; n != nil {
		out.Timeout = cmp.Or(s.duration(n, "timeout", minTimeout, maxInterval), out.Timeout)
		if readable && out.Timeout > out.Interval {
			s.complain(n, mistake{fmt.Sprintf("timeout %s is longer than interval %s", printDuration(out.Timeout), printDuration(out.Interval)),
				"a server is asked again when it has answered: write a longer interval, or a shorter timeout"})
		}
	}
	if n := values["fast"]; n != nil {
		out.Fast = s.fast(n, out.Interval, readable)
	}
	out.Via = s.via(values["via"], out.Via)
	out.Rise = s.answers(values["rise"], "rise", out.Rise)
	out.Fall = s.answers(values["fall"], "fall", out.Fall)
	return out
}

// fast is as it is written; 0 after a complaint, as if it were not.
func (s scope) fast(n *yaml.Node, interval time.Duration, readable bool) time.Duration {
	if text, ok := s.text(n, "fast"); !ok || text == "off" {
		return noFast
	}
	fast := s.duration(n, "fast", minInterval, maxInterval)
	if readable && fast > interval {
		s.complain(n, mistake{fmt.Sprintf("fast %s is longer than interval %s", printDuration(fast), printDuration(interval)),
			`it is the interval while answers differ from what is believed: write a shorter one, or "off"`})
	}
	if fast == interval {
		return noFast
	}
	return fast
}

// paced has the fast interval that follows from what is written. What stands beside a list may be too long for an
// item of it, which then has its own.
func paced(c model.Check) model.Check {
	switch {
	case c.Fast == noFast:
		c.Fast = c.Interval
	case c.Fast == 0, c.Fast > c.Interval:
		c.Fast = fastOf(c.Interval)
	}
	return c
}

// fastOf is the fast interval where nothing is written. Two of them are longer than an interval, so that one who is
// gone for no longer than that is not down by three answers.
func fastOf(interval time.Duration) time.Duration { return max(interval*3/5, minInterval) }

func (s scope) via(n *yaml.Node, standard model.Via) model.Via {
	if n == nil {
		return standard
	}
	word, _ := s.word(n, "via", vias)
	via, _ := model.ParseVia(word)
	return via
}

func (s scope) answers(n *yaml.Node, what string, standard int) int {
	if n == nil {
		return standard
	}
	count, _ := s.number(n, what, 1, maxAnswers)
	return cmp.Or(count, standard)
}

// trusted tells whether new servers are in the pool before their first good answer.
func (s scope) trusted(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	word, _ := s.word(n, "start", starts)
	return word == "up"
}

// sameChecks compares what servers are asked.
func sameChecks(a, b model.Checks) bool { return textOf(a) == textOf(b) }

// textOf is the same for equal checks only.
func textOf(c model.Checks) string { return fmt.Sprintf("%#v", c) }

// commonChecks are those that most servers have, the first of them where several do. A server of which nobody
// has said anything would take them over.
func commonChecks(servers []model.Server) (out model.Checks) {
	counts := map[string]int{}
	for _, s := range servers {
		if sameChecks(s.Checks, model.Checks{}) {
			return model.Checks{}
		}
		counts[textOf(s.Checks)]++
	}
	most := 0
	for _, s := range servers {
		if n := counts[textOf(s.Checks)]; n > most {
			most, out = n, s.Checks
		}
	}
	return out
}

// checksNode is the name of the kind where that says it all.
func checksNode(c model.Checks) *yaml.Node {
	var pairs []pair
	switch {
	case len(c.Of) == 0:
		return textNode("off")
	case len(c.Of) == 1:
		pairs = checkPairs(c.Of[0])
	default:
		key := "all"
		if c.Any {
			key = "any"
		}
		pairs = []pair{{key, listNode(c.Of, func(c model.Check) *yaml.Node { return mapNode(checkPairs(c)...) })}}
	}
	if c.Trusted {
		pairs = append(pairs, pair{"start", textNode("up")})
	}
	if len(pairs) == 1 && len(c.Of) == 1 && len(pairs[0].value.Content) == 0 && pairs[0].value.Kind == yaml.MappingNode {
		return textNode(pairs[0].key)
	}
	return mapNode(pairs...)
}

// checkPairs are what differs from the default.
func checkPairs(c model.Check) []pair {
	standard := pace()
	pairs := []pair{{c.Ask.Kind(), askNode(c.Ask)}}
	if c.Port != 0 {
		pairs = append(pairs, pair{"port", numberNode(c.Port)})
	}
	if c.Via != 0 {
		pairs = append(pairs, pair{"via", textNode(c.Via.String())})
	}
	if c.Interval != standard.Interval {
		pairs = append(pairs, pair{"interval", textNode(printDuration(c.Interval))})
	}
	switch c.Fast {
	case fastOf(c.Interval):
	case c.Interval:
		pairs = append(pairs, pair{"fast", textNode("off")})
	default:
		pairs = append(pairs, pair{"fast", textNode(printDuration(c.Fast))})
	}
	if c.Timeout != min(standard.Timeout, c.Interval) {
		pairs = append(pairs, pair{"timeout", textNode(printDuration(c.Timeout))})
	}
	if c.Rise != standard.Rise {
		pairs = append(pairs, pair{"rise", numberNode(c.Rise)})
	}
	if c.Fall != standard.Fall {
		pairs = append(pairs, pair{"fall", numberNode(c.Fall)})
	}
	return pairs
}
