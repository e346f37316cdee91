// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// sessions are those of the Spec, each with its interface as it is now, and what keeps it from running.
func sessions(spec model.Spec, network model.Network) (out []model.BFDWant) {
	for _, s := range spec.BFD {
		want := model.BFDWant{BFDSession: s}
		link, wrong := linkOf(network, s.Interface)
		if want.Link, want.Fault = link.Index, wrong; wrong == "" {
			want.Source, want.Fault = sessionSource(spec, s, network, link)
		}
		if want.Fault == "" && holds(network, s.Peer) {
			want.Fault = "peer " + s.Peer.String() + " is an address of this host"
		}
		out = append(out, want)
	}
	return out
}

// sessionSource is where a session's packets come from: the given address, or one of the interface's that stays with
// this host, in a network that the peer is in where there is one.
func sessionSource(spec model.Spec, s model.BFDSession, network model.Network, link model.Link) (source model.Addr, fault string) {
	if s.Source.IsValid() {
		return s.Source, sourceFault(network, s.Source)
	}
	for _, p := range link.Prefixes {
		a := p.Addr()
		if a.Is4() != s.Peer.Is4() || a.IsLinkLocalUnicast() != s.Peer.IsLinkLocalUnicast() || !stays(spec, a) {
			continue
		}
		if p.Contains(s.Peer) {
			return a, ""
		}
		if !source.IsValid() {
			source = a
		}
	}
	if !source.IsValid() {
		fault = fmt.Sprintf("interface %s has no address of its own to reach %s from", link.Name, s.Peer)
	}
	return source, fault
}

// stillSessions is how those stand that are wanted by this plan: one of the same name that comes later knows nothing.
func stillSessions(wants []model.BFDWant, before map[string]model.BFDSeen) map[string]model.BFDSeen {
	out := map[string]model.BFDSeen{}
	for _, want := range wants {
		if seen, known := before[want.Name]; known {
			out[want.Name] = seen
		}
	}
	return out
}

// bfdWrong: a session that its peer has switched off says nothing of the way to it, so nothing follows from that (RFC
// 5882 section 3.2).
func (s sight) bfdWrong(of model.TrackBFD) string {
	if i := slices.IndexFunc(s.sessions, func(w model.BFDWant) bool { return w.Name == of.Name && w.Fault != "" }); i >= 0 {
		return fmt.Sprintf("bfd %s: %s", of.Name, s.sessions[i].Fault)
	}
	if seen, known := s.BFD[of.Name]; known && isLost(seen) {
		return fmt.Sprintf("bfd %s is %s: %s", of.Name, lost(seen), seen.Why)
	}
	return ""
}

func isLost(seen model.BFDSeen) bool {
	return seen.State != model.BFDUp && !seen.Begins && !seen.Off
}

// lost is how one stands that isLost.
func lost(seen model.BFDSeen) string {
	if seen.State == model.BFDInit {
		return "not up"
	}
	return "down"
}

// bfdAwaited says what a virtual router has yet to learn of the sessions that it tracks; "": nothing. One that had no time
// to come up is no reason to fall, and none to take over either.
func (s sight) bfdAwaited(tracks []model.Track) string {
	for _, t := range tracks {
		of, is := t.Of.(model.TrackBFD)
		if seen, known := s.BFD[of.Name]; is && (!known || seen.Begins) {
			return fmt.Sprintf("when bfd %s has come up", of.Name)
		}
	}
	return ""
}

// bfdProblems are sessions that cannot run, that are down, and that watch nobody.
func bfdProblems(wants []model.BFDWant, seen map[string]model.BFDSeen) (out []model.Problem) {
	for _, want := range wants {
		what := "bfd " + want.Name
		now, known := seen[want.Name]
		switch {
		case want.Fault != "":
			out = append(out, model.Problem{What: what + " cannot run", Why: want.Fault, Fix: "remove the cause, or correct `bfd:` and run `weir reload`; weir tries again by itself"})
			continue
		case !known:
			continue
		case now.Off:
			out = append(out, model.Problem{What: what + " watches nobody", Why: now.Why,
				Fix: fmt.Sprintf("switch it on again at %s; until then what tracks it takes it for well", want.Peer)})
		case isLost(now):
			out = append(out, model.Problem{What: fmt.Sprintf("%s is %s", what, lost(now)), Why: now.Why,
				Fix: fmt.Sprintf("look at %s, which must have %s for its peer, one hop away on %s, and let UDP port 3784 in on both (firewall)", want.Peer, want.Source, want.Interface)})
		}
		if now.Unsaid != "" {
			out = append(out, model.Problem{What: what + " cannot send", Why: now.Unsaid,
				Fix: "let UDP to port 3784 out (firewall), and correct `peer:`; weir tries again by itself"})
		}
	}
	return out
}
