// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// syncPatience is for how long a silent peer is waited for, before a virtual router takes over without its connections.
const syncPatience = 30 * time.Second

// syncing is connection sync as the Spec has it, with its interfaces as they are now, and what keeps it from running.
func syncing(spec model.Spec, network model.Network) model.SyncWant {
	want := model.SyncWant{Sync: spec.Sync, Revision: spec.Revision}
	if len(spec.Sync.Peers) > 0 {
		link, wrong := linkOf(network, spec.Sync.Interface)
		want.Link, want.Fault = link.Index, wrong
		if want.Fault == "" {
			want.Fault = peerFault(spec.Sync, network)
		}
	}
	if spec.Sync.IPVS.Interface != "" {
		link, wrong := linkOf(network, spec.Sync.IPVS.Interface)
		want.IPVSLink, want.IPVSFault = link.Index, wrong
	}
	return want
}

// peerFault says which address is at the wrong host.
func peerFault(s model.Sync, network model.Network) string {
	if fault := sourceFault(network, s.Source); fault != "" {
		return fault
	}
	for _, peer := range s.Peers {
		if holds(network, peer) {
			return "peer " + peer.String() + " is an address of this host"
		}
	}
	return ""
}

// syncProblems are what keeps connections from being told to others, and theirs from being heard. How single peers
// fare is a matter of time and counts: see report.
func syncProblems(want model.SyncWant, seen model.SyncSeen) (out []model.Problem) {
	for _, of := range []struct{ who, want, seen string }{
		{"other directors", want.Fault, seen.Fault}, {"directors of LVS", want.IPVSFault, seen.IPVSFault},
	} {
		why := of.want
		if why == "" {
			why = of.seen
		}
		if why != "" {
			out = append(out, model.Problem{What: "connections are not shared with " + of.who, Why: why,
				Fix: "remove the cause, or correct `sync:` and run `weir reload`; weir tries again by itself"})
		}
	}
	return out
}

// peerSince is since when each peer is one, by this plan.
func peerSince(peers []model.Addr, before map[model.Addr]time.Time, now time.Time) map[model.Addr]time.Time {
	out := map[model.Addr]time.Time{}
	for _, peer := range peers {
		out[peer] = now
		if since, known := before[peer]; known {
			out[peer] = since
		}
	}
	return out
}

// stillPeers is how those stand that are peers by this plan.
func stillPeers(peers []model.Addr, before map[model.Addr]model.SyncPeerSeen) map[model.Addr]model.SyncPeerSeen {
	out := maps.Clone(before) // which others read
	maps.DeleteFunc(out, func(peer model.Addr, _ model.SyncPeerSeen) bool { return !slices.Contains(peers, peer) })
	return out
}

// unready is why this director may not have the connections of its peers yet, and when a silent one is waited for no
// longer; "": it has them, or nobody is there to tell of any.
func unready(spec model.Spec, seen model.Seen, now time.Time) (why string, next time.Time) {
	since := peerSince(spec.Sync.Peers, seen.PeerSince, now)
	for _, peer := range spec.Sync.Peers {
		standing := seen.Peer(peer, since[peer])
		text := ""
		switch standing.State {
		case model.SyncJoining:
			text = "connections are not in sync with " + peer.String() + " yet"
		case model.SyncSilent:
			if end := standing.Since.Add(syncPatience); now.Before(end) {
				text, next = fmt.Sprintf("%s is silent, and waited for %s", peer, syncPatience), earlier(next, end)
			}
		}
		if why == "" {
			why = text
		}
	}
	return why, next
}

// restrain keeps virtual routers from taking over from a master who lives while connections would be lost by it.
func restrain(routers []model.VRRPWant, why string) {
	for i := range routers {
		if why != "" {
			hold(&routers[i], "when connections are in sync: "+why)
		}
	}
}

// hold keeps a virtual router from taking over from a master who lives; when says until when. Who has the addresses for
// his own has no choice about it (RFC 9568 section 6.1).
func hold(r *model.VRRPWant, when string) {
	if when != "" && r.Preempt && !r.IsOwner() {
		r.Preempt, r.Waits = false, when
	}
}

// handPatience is for how long a director waits for one of lower priority from which it takes over: who lives has to tell
// what has changed before he leaves his services, or it would be lost. As one who is asked to leave he has a second for it;
// as a rule it takes some milliseconds. Then he sends on for a while what still comes.
const handPatience = time.Second

// handed are those virtual routers that are mastered, without those whose services a peer serves still, and when he is not
// waited for any more.
func handed(spec model.Spec, mastered map[string]bool, seen model.Seen, now time.Time) (out map[string]bool, next time.Time) {
	out = maps.Clone(mastered)
	var latest time.Time
	for _, r := range spec.VirtualRouters {
		turn := seen.VRRP[r.Name]
		end := turn.Since.Add(handPatience)
		if !mastered[r.Name] || seen.Balanced[r.Name] || !isHandedOver(r, turn) || !now.Before(end) {
			continue
		}
		delete(out, r.Name)
		next = earlier(next, end)
		if turn.Since.After(latest) {
			latest = turn.Since
		}
	}
	all := len(mastered) == len(spec.VirtualRouters)
	if next.IsZero() || !serveStill(spec, seen, all, latest) {
		return mastered, time.Time{}
	}
	return out, next
}

// isHandedOver says whether a master lives who has to leave the addresses. A virtual MAC is here with the first advert.
func isHandedOver(r model.VirtualRouter, turn model.VRRPSeen) bool {
	return turn.Outranks && !r.VirtualMAC
}

// serveStill says whether peers that have told all serve what one of them did before a moment. Where this director does not
// take over all, they may go on with the rest of it: then one has said something else since.
func serveStill(spec model.Spec, seen model.Seen, all bool, since time.Time) (serve bool) {
	for _, peer := range spec.Sync.Peers {
		p := seen.Sync.Peers[peer]
		if !all && p.RoleSince.After(since) {
			return false
		}
		serve = serve || p.State == model.SyncReady && (p.Role == "master" || p.Role == "mixed")
	}
	return serve
}

// nextTold is when somebody is to be told of a peer, if it stays as it is.
func nextTold(spec model.Spec, seen model.Seen, now time.Time) (first time.Time) {
	since := peerSince(spec.Sync.Peers, seen.PeerSince, now)
	for _, peer := range spec.Sync.Peers {
		if at := seen.Peer(peer, since[peer]).TroubledAt(); now.Before(at) {
			first = earlier(first, at)
		}
	}
	return first
}
