// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// sight is what is known of all that can be tracked.
type sight struct {
	model.Seen
	standings  map[model.ServiceKey]model.Standing
	interfaces []model.InterfaceWant
	sessions   []model.BFDWant
}

// groupTracks is what all of each group track, each once: they have one priority, or two directors might each be master
// of a part.
func groupTracks(routers []model.VirtualRouter) map[string][]model.Track {
	type counted struct {
		group string
		of    model.Track
	}
	known, out := map[counted]bool{}, map[string][]model.Track{}
	for _, r := range routers {
		for _, t := range r.Track {
			if is := (counted{r.Group, t.Alike()}); !known[is] && r.Group != "" {
				known[is], out[r.Group] = true, append(out[r.Group], t)
			}
		}
	}
	return out
}

// track makes of what is tracked a priority, or a fault. The priority of 255, and what is beyond an advert's reach,
// nothing of it changes: the config lets nobody with 255 have weights.
func track(want *model.VRRPWant, tracks []model.Track, s sight) {
	change, faults, wrongs, unknown := 0, []string(nil), []string(nil), []string(nil)
	for _, t := range tracks {
		if why := s.unable(t); why != "" {
			unknown = append(unknown, why)
		}
		by, wrong := s.weigh(t)
		change += by
		switch {
		case wrong == "":
		case t.Weight == 0 && by == 0:
			faults = append(faults, wrong)
		default:
			wrongs = append(wrongs, fmt.Sprintf("%s (%+d)", wrong, cmp.Or(by, -t.Weight)))
		}
	}
	want.Fault = cmp.Or(want.Fault, strings.Join(faults, "; "))
	want.Tracked, want.Unknown = strings.Join(append(wrongs, faults...), "; "), strings.Join(unknown, "; ")
	hold(want, s.bfdAwaited(tracks))
	if change != 0 {
		want.Priority = uint8(min(max(int(want.Written)+change, leastOf(want.VirtualRouter)), mostPriority))
	}
}

// unable is why it is not known how something stands; "": it is.
func (s sight) unable(t model.Track) string {
	if _, ok := t.Of.(model.TrackProcess); ok {
		return s.Processes.Hidden
	}
	key, _ := t.Asks()
	return s.Health[key].Unable
}

// What a priority is that is not an owner's, and not of one that resigns (RFC 9568 section 5.2.4).
const (
	leastPriority = 1
	mostPriority  = 254
)

// leastOf: the lowest one says something else where there are witnesses.
func leastOf(r model.VirtualRouter) int {
	if len(r.Witness) > 0 {
		return model.Doubtful + 1
	}
	return leastPriority
}

// weigh is what something that is tracked changes the priority by, and what is wrong with it; "": nothing is, as far as
// is known.
func (s sight) weigh(t model.Track) (change int, wrong string) {
	if of, ok := t.Of.(model.TrackFile); ok {
		return s.number(t, of)
	}
	wrong = s.wrong(t)
	if (wrong != "") == (t.Weight < 0) {
		return t.Weight, wrong
	}
	return 0, wrong
}

// number is what a file says. One that takes off all that a priority can be is a fault, as with keepalived.
func (s sight) number(t model.Track, of model.TrackFile) (change int, wrong string) {
	key, _ := t.Asks()
	n, path := s.Health[key].Advice.Weight, of.Check.Ask.(model.AskNumber).Path
	switch {
	case n < -model.MaxTrackWeight:
		return 0, fmt.Sprintf("%s says %d, which no priority can be lowered by", path, n)
	case n < 0:
		return n, fmt.Sprintf("%s says %d", path, n)
	}
	return min(n, model.MaxTrackWeight), ""
}

// wrong is what is wrong with something that is right or wrong. Of what nothing is known yet, nothing is: who was
// master until a moment ago must not fall for that.
func (s sight) wrong(t model.Track) string {
	switch of := t.Of.(type) {
	case model.TrackInterface:
		return s.interfaceWrong(of)
	case model.TrackService:
		return s.serviceWrong(of)
	case model.TrackDataplane:
		return s.dataplaneWrong()
	case model.TrackExec:
		return s.execWrong(t, of)
	case model.TrackRoute:
		return s.routeWrong(of)
	case model.TrackBFD:
		return s.bfdWrong(of)
	case model.TrackProcess:
		return s.processWrong(of)
	}
	return ""
}

func (s sight) interfaceWrong(of model.TrackInterface) string {
	_, wrong := linkOf(s.Network, of.Name)
	return wrong
}

func (s sight) serviceWrong(of model.TrackService) string {
	switch now := s.standings[of.Key]; {
	case now.Quorum == model.QuorumLost:
		return "service " + of.Name + " has lost its quorum"
	case now.Weight+now.Open == 0:
		return "service " + of.Name + " has no server that is healthy"
	}
	return ""
}

// dataplaneWrong: before anything was attached nothing is wrong, and a program of before is at work still.
func (s sight) dataplaneWrong() string {
	if s.Attachments == nil {
		return ""
	}
	for _, want := range s.interfaces {
		if want.Parent != 0 {
			continue // the program on its parent is the one
		}
		i := slices.IndexFunc(s.Attachments, func(a model.Attachment) bool { return a.Interface == want.Name })
		if i >= 0 && !s.Attachments[i].Attached {
			return fmt.Sprintf("no packet is balanced on %s: %s", want.Name, s.Attachments[i].Reason)
		}
	}
	if s.TableHigh {
		return "the connection table is nearly full"
	}
	return ""
}

func (s sight) execWrong(t model.Track, of model.TrackExec) string {
	key, _ := t.Asks()
	health := s.Health[key]
	if health.State != model.HealthDown {
		return ""
	}
	return filepath.Base(of.Check.Ask.(model.AskExec).Path) + ": " + health.Reason
}

func (s sight) routeWrong(of model.TrackRoute) string {
	if there, known := s.Network.Tracked[of]; there || !known {
		return ""
	}
	return "no route " + of.String()
}

func (s sight) processWrong(of model.TrackProcess) string {
	now, known := s.Processes.Stand[of]
	switch {
	case !known || now.Enough:
		return ""
	case now.Count >= of.Quorum:
		return fmt.Sprintf("process %s runs for less than %s", of, of.ForkDelay)
	case of.Quorum == 1:
		return fmt.Sprintf("process %s does not run", of)
	}
	return fmt.Sprintf("process %s runs %d times, not %d", of, now.Count, of.Quorum)
}
