// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// units of a duration, the longest first.
var units = []struct {
	name   string
	length time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// duration returns a time as people write it: one whole number and one unit. A number alone does not
// say of what.
func (s scope) duration(n *yaml.Node, what string, low, high time.Duration) time.Duration {
	text, ok := s.text(n, what)
	if !ok {
		return 0
	}
	d, ok := parseDuration(text)
	hint := fmt.Sprintf("from %s to %s", printDuration(low), printDuration(high))
	switch {
	case !ok && isDecimal(text):
		s.complain(n, mistake{fmt.Sprintf("%s %s has no unit", what, abbreviate(text)),
			fmt.Sprintf("write %ss for seconds; m, h and d are minutes, hours and days", abbreviate(text))})
	case !ok:
		s.complain(n, mistake{fmt.Sprintf("%s must be a time such as 90s, 15m, 2h or 1d, not %s", what, quote(text)), hint})
	case d < low || d > high:
		s.complain(n, mistake{fmt.Sprintf("%s %s is out of range", what, abbreviate(text)), hint})
	default:
		return d
	}
	return 0
}

// parseDuration takes no sign, no fraction, and no two units: 1m30s is 90s. What is too large to
// count is longer than anything that may be written.
func parseDuration(text string) (time.Duration, bool) {
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.name)
		if !ok || !isDecimal(digits) || digits[0] == '-' {
			continue
		}
		count, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return 1<<63 - 1, true
		}
		return time.Duration(count) * unit.length, true
	}
	return 0, false
}

// printDuration is the shortest that parseDuration takes for it.
func printDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	for _, unit := range units {
		if d%unit.length == 0 {
			return fmt.Sprintf("%d%s", d/unit.length, unit.name)
		}
	}
	return d.String()
}
