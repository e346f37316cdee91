// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// maintenance is true, or a schedule.
func (s scope) maintenance(n *yaml.Node) (out model.Maintenance) {
	if n == nil {
		return out
	}
	if n.Kind == yaml.ScalarNode {
		out.Always = s.truth(n, "maintenance")
		return out
	}
	s = s.in("maintenance")
	values := s.mapping(n, "it", maintenanceKeys)
	if values == nil {
		return out
	}
	from, to := values["from"], values["to"]
	if from == nil || to == nil {
		s.complain(n, mistake{"from and to belong together", `write "from: 02:00" and "to: 03:00"`})
		return out
	}
	var began, ended bool
	out.From, began = s.clock(from, "from", 23*60+59)
	out.To, ended = s.clock(to, "to", dayEnd)
	if began && ended && out.From == out.To {
		s.complain(to, mistake{"it ends when it begins", `write a later time; for a whole day "from: 00:00" and "to: 24:00"`})
	}
	out.Days = s.days(values["days"])
	return out
}

// dayEnd is 24:00 in minutes.
const dayEnd = 24 * 60

// clock reads a time of day, in minutes.
func (s scope) clock(n *yaml.Node, what string, most int) (int, bool) {
	text, ok := s.text(n, what)
	if !ok {
		return 0, false
	}
	if text == "24:00" && most == dayEnd {
		return dayEnd, true
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		s.complain(n, mistake{fmt.Sprintf("%s must be a time of day such as 02:00, not %s", what, quote(text)), "hours and minutes, two digits each"})
		return 0, false
	}
	return at.Hour()*60 + at.Minute(), true
}

// days returns 0 for every day, written or not.
func (s scope) days(n *yaml.Node) (out model.Days) {
	const all = 1<<7 - 1
	if n == nil {
		return 0
	}
	s.complainIf(n, emptyList(n, "days", "for every day leave it out"))
	for _, item := range s.list(n, "days") {
		word, ok := s.word(item, "day", weekdays)
		day := weekday(slices.Index(weekdays.known, word))
		switch {
		case !ok:
		case out.Has(day):
			s.complain(item, mistake{fmt.Sprintf("day %s stands twice", word), "keep one"})
		default:
			out = out.With(day)
		}
	}
	if out == all {
		return 0
	}
	return out
}

// weekday of a place in weekdays, which begin with Monday.
func weekday(place int) time.Weekday { return time.Weekday((place + 1) % 7) }

// maintenanceDir need not be there yet: it may lie where a reboot takes it away.
func (s scope) maintenanceDir(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	dir, ok := s.text(n, "maintenance_dir")
	if ok && !filepath.IsAbs(dir) {
		s.complain(n, mistake{fmt.Sprintf("%s is not the absolute path of a directory", quote(dir)), `such as "/etc/weir/maintenance"`})
	}
	return dir
}

// maintenanceNode is nil where there is none.
func maintenanceNode(m model.Maintenance) *yaml.Node {
	switch {
	case m.Always:
		return trueNode()
	case !m.Scheduled():
		return nil
	}
	pairs := []pair{{"from", textNode(printClock(m.From))}, {"to", textNode(printClock(m.To))}}
	if m.Days != 0 {
		var days []string
		for i, word := range weekdays.known {
			if m.Days.Has(weekday(i)) {
				days = append(days, word)
			}
		}
		pairs = append(pairs, pair{"days", listNode(days, textNode)})
	}
	return mapNode(pairs...)
}

func printClock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }
