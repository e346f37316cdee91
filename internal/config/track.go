// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/suggest"
)

// placedTrack is something that a virtual router tracks, and where it stands.
type placedTrack struct {
	model.Track
	node *yaml.Node
}

// trackWords are the kinds of what can be tracked, as the file names them.
func trackWords() []string {
	return []string{"interface", "service", "dataplane", "exec", "file", "route", "bfd", "process"}
}

// tracks reads what a virtual router tracks. Services are looked for when all are known: checkTracks.
func (s scope) tracks(n *yaml.Node, of router) (out []placedTrack) {
	if n == nil {
		return nil
	}
	items := s.list(n, "track")
	s.complainIf(n, emptyList(n, "track", "leave it out: then its link alone decides"))
	s = s.in("track")
	for _, item := range items {
		one, ok := s.track(item, of)
		if !ok {
			continue
		}
		for _, before := range out {
			if before.Alike().Of == one.Alike().Of {
				s.complain(item, mistake{"the same stands twice", fmt.Sprintf("the first is in line %d: keep one", before.node.Line)})
			}
		}
		out = append(out, one)
	}
	return out
}

// track is a kind, or a map with one.
func (s scope) track(n *yaml.Node, of router) (out placedTrack, ok bool) {
	out.node = n
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		out.Of = model.TrackDataplane{}
		return out, s.trackAlone(n)
	}
	values := s.mapping(n, "what is tracked", trackKeys)
	kind := ""
	for _, word := range trackWords() {
		switch {
		case values[word] == nil:
		case kind != "":
			s.complain(values[word], mistake{fmt.Sprintf("%s and %s", kind, word), "write an item for each"})
		default:
			kind = word
		}
	}
	switch {
	case values == nil:
		return out, false
	case kind == "":
		if !namesOther(n, trackKeys) {
			s.complain(n, mistake{"nothing that could be tracked", `write "interface: eth1", or one of: ` + strings.Join(trackWords(), ", ")})
		}
		return out, false
	}
	out.Weight = s.trackWeight(values["weight"], kind, of)
	out.Of = s.in(kind).tracked(kind, values, of)
	s.refusePace(values, kind)
	return out, out.Of != nil
}

// trackAlone says whether a word alone names something to track.
func (s scope) trackAlone(n *yaml.Node) bool {
	if slices.Contains(trackWords(), n.Value) {
		_, ok := s.word(n, "thing to track", trackAlone)
		return ok
	}
	s.complain(n, mistake{"what is " + quote(n.Value) + "?", `say of which kind it is, such as "interface: eth1": ` + strings.Join(trackWords(), ", ")})
	return false
}

// namesOther tells whether a map has a key that is none, which was complained about.
func namesOther(n *yaml.Node, keys vocabulary) bool {
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if !slices.Contains(keys.known, n.Content[i].Value) {
			return true
		}
	}
	return false
}

// trackWeight is 0 for a fault.
func (s scope) trackWeight(n *yaml.Node, kind string, of router) int {
	switch {
	case kind == "file" && of.IsOwner():
		return 0 // it is refused as a whole
	case n == nil:
		return 0
	case kind == "file":
		s.complain(n, mistake{"weight beside file", "leave it out: the number in the file is what the priority changes by"})
		return 0
	}
	weight, _ := s.number(n, "weight", -model.MaxTrackWeight, model.MaxTrackWeight)
	if weight != 0 && of.IsOwner() {
		s.complain(n, mistake{"weight with priority 255, which does not change", "leave it out: then it is a fault, or write a priority below 255"})
		return 0
	}
	return weight
}

// tracked is nil after a complaint.
func (s scope) tracked(kind string, values map[string]*yaml.Node, of router) model.Tracked {
	n := values[kind]
	switch kind {
	case "interface":
		return s.trackInterface(n, of)
	case "service":
		name, ok := s.text(n, "service")
		if !ok {
			return nil
		}
		return model.TrackService{Name: name}
	case "bfd":
		name, ok := s.text(n, "bfd")
		if !ok {
			return nil
		}
		return model.TrackBFD{Name: name}
	case "dataplane":
		if !isNull(n) && (n.Kind != yaml.MappingNode || len(n.Content) > 0) {
			s.complain(n, mistake{"nothing is said behind it", `write "- dataplane", or "{dataplane: {}, weight: -50}"`})
		}
		return model.TrackDataplane{}
	case "exec":
		ask, ok := s.askExec(n).(model.AskExec)
		if !ok {
			return nil
		}
		if ask.Dynamic {
			s.complain(n, mistake{"dynamic, where no server has a weight", `leave it out: "weight:" beside it is that of the priority`})
		}
		return model.TrackExec{Check: s.trackCheck(values, ask)}
	case "file":
		return s.trackFile(values, of)
	case "route":
		return s.trackRoute(n)
	case "process":
		return s.trackProcess(n)
	}
	return nil
}

func (s scope) trackInterface(n *yaml.Node, of router) model.Tracked {
	name, ok := s.interfaceName(n)
	switch {
	case !ok:
		return nil
	case name == of.Interface:
		s.complain(n, mistake{name + " is its own interface", "leave it out: without it there is a fault anyway"})
		return nil
	}
	return model.TrackInterface{Name: name}
}

func (s scope) trackFile(values map[string]*yaml.Node, of router) model.Tracked {
	n := values["file"]
	path, ok := s.text(n, "path")
	switch {
	case !ok:
		return nil
	case of.IsOwner():
		s.complain(n, mistake{"a number for priority 255, which does not change", "leave it out, or write a priority below 255"})
		return nil
	case !filepath.IsAbs(path) || strings.HasSuffix(path, "/"):
		s.complain(n, mistake{quote(path) + " is not the whole path of a file", `begin at the root, such as "/run/weir/priority"`})
		return nil
	}
	return model.TrackFile{Check: s.trackCheck(values, model.AskNumber{Path: path})}
}

// trackCheck is asked as a server is.
func (s scope) trackCheck(values map[string]*yaml.Node, ask model.Ask) model.Check {
	out := paced(s.paceOf(values, pace()))
	out.Ask = ask
	return out
}

// refusePace complains about times and counts of what tells by itself.
func (s scope) refusePace(values map[string]*yaml.Node, kind string) {
	useless := map[string][]string{"file": {"timeout", "rise", "fall", "fast"}}[kind]
	hint := "leave it out: what is written there counts at once"
	if kind != "file" && kind != "exec" {
		useless, hint = []string{"interval", "timeout", "rise", "fall", "fast"}, "leave it out: that is known at once"
	}
	for _, word := range useless {
		if n := values[word]; n != nil {
			s.complain(n, mistake{fmt.Sprintf("%s beside %s", word, kind), hint})
		}
	}
}

// checkTracks finds the services and sessions that are named.
func (f *file) checkTracks(routers []router, services []service, sessions []session) {
	keys := map[string]model.ServiceKey{}
	var names []string
	for _, s := range services {
		keys[s.Name], names = s.Key, append(names, s.Name)
	}
	var bfd []string
	for _, s := range sessions {
		bfd = append(bfd, s.Name)
	}
	for _, r := range routers {
		for i, t := range r.tracks {
			if of, ok := t.Of.(model.TrackBFD); ok && !slices.Contains(bfd, of.Name) {
				f.complain(at(t.node), mistake{fmt.Sprintf("%s: track: there is no bfd %s", r.label, label(of.Name)), sessionHint(of.Name, bfd)})
			}
			if of, ok := t.Of.(model.TrackService); ok {
				key, known := keys[of.Name]
				if !known {
					f.complain(at(t.node), mistake{fmt.Sprintf("%s: track: there is no service %s", r.label, label(of.Name)), serviceHint(of.Name, names)})
				}
				r.Track[i].Of = model.TrackService{Name: of.Name, Key: key}
			}
		}
	}
}

func sessionHint(name string, known []string) string {
	if meant := suggest.Closest(name, known); meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	return fmt.Sprintf(`write "bfd: [{name: %s, interface: eth0, peer: 192.0.2.1}]" beside "vrrp:"`, label(name))
}

// checkGroups refuses groups of which two directors could each have a part, or nobody would be one.
func (f *file) checkGroups(routers []router) {
	first, count := map[string]router{}, map[string]int{}
	for _, r := range routers {
		if r.Group == "" {
			continue
		}
		if count[r.Group]++; count[r.Group] == 1 {
			first[r.Group] = r
		}
		before := first[r.Group]
		f.complainAbout(r.group, r.label, unlike(r, before))
	}
	for _, r := range routers {
		if r.Group != "" && count[r.Group] == 1 {
			f.complain(at(r.group), mistake{fmt.Sprintf("%s: it is alone in group %s", r.label, r.Group),
				"write the same group in those that it shall be master with, or leave it out"})
		}
	}
}

func (f *file) complainAbout(n *yaml.Node, label string, m *mistake) {
	if m != nil {
		f.complain(at(n), mistake{label + ": " + m.what, m.hint})
	}
}

// unlike is what one of a group must have as the others do.
func unlike(r, first router) *mistake {
	switch {
	case r.IsOwner():
		return &mistake{"priority 255 in a group", "leave the group out: addresses of this host's own do not move; or write a priority below 255"}
	case r.Priority == 0 || first.Priority == 0: // it was complained about
	case r.Priority != first.Priority:
		return &mistake{fmt.Sprintf("priority %d, but %s of its group has %d", r.Priority, first.label, first.Priority),
			"write one priority for all of a group: another director would be master of a part otherwise"}
	case r.Preempt != first.Preempt || r.PreemptDelay != first.PreemptDelay:
		return &mistake{fmt.Sprintf("another preempt than %s of its group", first.label), "write the same for all of a group"}
	}
	return nil
}

func trackNode(t model.Track) *yaml.Node {
	var pairs []pair
	switch of := t.Of.(type) {
	case model.TrackInterface:
		pairs = []pair{{"interface", textNode(of.Name)}}
	case model.TrackService:
		pairs = []pair{{"service", textNode(of.Name)}}
	case model.TrackDataplane:
		if t.Weight == 0 {
			return textNode("dataplane")
		}
		pairs = []pair{{"dataplane", mapNode()}}
	case model.TrackExec:
		pairs = checkPairs(of.Check)
	case model.TrackBFD:
		pairs = []pair{{"bfd", textNode(of.Name)}}
	case model.TrackProcess:
		pairs = []pair{{"process", trackProcessNode(of)}}
	case model.TrackRoute:
		pairs = []pair{{"route", trackRouteNode(of)}}
	case model.TrackFile:
		pairs = []pair{{"file", lineNode(of.Check.Ask.(model.AskNumber).Path)}}
		if of.Check.Interval != model.DefaultInterval {
			pairs = append(pairs, pair{"interval", textNode(printDuration(of.Check.Interval))})
		}
	}
	if t.Weight != 0 {
		pairs = append(pairs, pair{"weight", numberNode(t.Weight)})
	}
	return mapNode(pairs...)
}
