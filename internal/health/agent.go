// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// adviseAgent reads a line from an agent (agent-check in chapter 5.2 of HAProxy's configuration manual). One that
// cannot be reached, or understood, is mute: that its server works is for another check to find out.
func adviseAgent(ask model.AskAgent) adviser {
	return func(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
		line, err := agentLine(ctx, to, ask.Send)
		if err != nil {
			return model.Advice{}, mute{fmt.Errorf("agent: %w", err)}
		}
		word := parseWord(line)
		if !word.known {
			return model.Advice{}, mute{fmt.Errorf("agent: no word that is known in %s", shown(line))}
		}
		return word.advice("agent")
	}
}

func agentLine(ctx context.Context, to netip.AddrPort, send string) (line string, err error) {
	err = conversation(func(t *talk) error {
		if send != "" {
			if err := t.say("the question", send); err != nil {
				return err
			}
		}
		line, err = untilEnd(t.in)
		return err
	})(ctx, to)
	return line, err
}

// untilEnd reads to the first CR or LF. A line without an end may be half of one.
func untilEnd(from *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < maxLine {
		c, err := from.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && len(line) > 0:
			return "", fmt.Errorf("closed within a line: %s", shown(string(line)))
		case errors.Is(err, io.EOF):
			return "", errors.New("closed without a line")
		case err != nil:
			return "", plainly(err)
		case c == '\r', c == '\n':
			return string(line), nil
		}
		line = append(line, c)
	}
	return "", errLongLine
}

// word is what a line says of a server: that it is up unless it is down, and what its weight is.
type word struct {
	known  bool
	down   string // which word took it out
	why    string // what stands behind a #
	drain  string // which word
	weight *weight
}

// weight is what was written, and what that is.
type weight struct {
	text  string
	value int // percent
}

// mostPercent is more than anybody means.
const mostPercent = 10000

// parseWord takes words apart as HAProxy does (tcpcheck_agent_expect_reply in its tcpcheck.c): by spaces, tabs and
// commas, in any case, unknown ones are overlooked, and of several weights the last counts. It begins anew with
// each line, where HAProxy remembers what was said before.
func parseWord(line string) (w word) {
	said, why, _ := strings.Cut(line, "#")
	w.why = strings.TrimSpace(why)
	for _, text := range strings.FieldsFunc(said, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		text = strings.ToLower(text)
		known := true
		switch text {
		case "up":
			w.down = ""
		case "down", "failed", "fail", "stopped":
			w.down = text
		case "ready":
			w.drain = ""
		case "drain", "maint":
			w.drain = text
		default:
			known = w.measure(text)
		}
		w.known = w.known || known
	}
	return w
}

// measure takes in a weight in percent. How many connections a server takes is in weir's own config (thresholds).
func (w *word) measure(text string) (known bool) {
	if strings.HasPrefix(text, "maxconn:") {
		return true
	}
	digits, percent := strings.CutSuffix(text, "%")
	value, ok := parseCount(digits, mostPercent)
	if !percent || !ok {
		return false
	}
	w.weight = &weight{text, value}
	return true
}

// parseCount takes digits alone: no sign, no space.
func parseCount(digits string, most int) (int, bool) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	value, err := strconv.Atoi(digits)
	return value, err == nil && value <= most
}

// advice is what a word means; by says it.
func (w word) advice(by string) (model.Advice, error) {
	switch {
	case w.down != "" && w.why != "":
		return model.Advice{}, fmt.Errorf("%s: %s: %s", by, w.down, shown(w.why))
	case w.down != "":
		return model.Advice{}, fmt.Errorf("%s: %s", by, w.down)
	case w.drain != "":
		return model.Advice{Given: true, Says: by + " says " + w.drain}, nil
	case w.weight != nil:
		return model.Advice{Given: true, Percent: true, Weight: w.weight.value, Says: by + " says " + w.weight.text}, nil
	}
	return model.Advice{}, nil
}
