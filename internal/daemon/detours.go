// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"github.com/weir-lb/weir/internal/model"
)

// detours is what the targets have made of the detours that were wanted. It belongs to own's goroutine.
type detours struct {
	path    map[model.Detour]model.Addr // alias by which the program knows each
	untold  string                      // why the program does not know others
	address []model.DetourWant          // the newest that the other target has done what it can for
	blocked map[model.Detour]string     // of these
}

// pathTold notes what the program of checks knows now.
func (d *detours) pathTold(wants []model.DetourWant, trouble string) {
	d.untold = trouble
	if trouble != "" {
		return
	}
	d.path = map[model.Detour]model.Addr{}
	for _, want := range wants {
		d.path[want.Detour] = want.Alias
	}
}

// ways are the detours of which it is known whether they can be gone. The others come with the next answer of a
// target.
func (d *detours) ways() map[model.Detour]model.DetourWay {
	out := map[model.Detour]model.DetourWay{}
	for _, want := range d.address {
		alias, told := d.path[want.Detour]
		switch why := d.blocked[want.Detour]; {
		case want.Why != "":
			out[want.Detour] = straight(want, want.Direct, want.Why)
		case !want.Alias.IsValid():
			out[want.Detour] = model.DetourWay{To: want.Virtual}
		case why != "":
			out[want.Detour] = straight(want, true, why)
		case told && alias == want.Alias:
			out[want.Detour] = model.DetourWay{To: want.Alias}
		case d.untold != "":
			out[want.Detour] = straight(want, true, d.untold)
		}
	}
	return out
}

// straight is the way of checks whose detour cannot be gone: to the server itself, if one leads there.
func straight(want model.DetourWant, direct bool, why string) model.DetourWay {
	out := model.DetourWay{Why: why}
	if direct {
		out.To = want.Server
	}
	return out
}

// detoured lets checks know, and whoever asks why some do not.
func (d *daemon) detoured(seen *model.Seen) {
	ways := d.detours.ways()
	d.monitor.Ways(ways)
	seen.Blocked = map[model.Detour]model.DetourWay{}
	for detour, way := range ways {
		if way.Why != "" {
			seen.Blocked[detour] = way
		}
	}
}
