// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 43.
const (
	scriptEnd    = "end"     // of a script that hangs, from its beginning to the end of its last process
	scriptLeft   = "left"    // processes of scripts that are there later
	scriptAtOnce = "at_once" // runs of one script that began while another one went on
	scriptLogged = "logged"  // of what a script says
	scriptUnsafe = "unsafe"  // scripts that others can write, and that were accepted or run
	scriptUntold = "untold"  // events that another notice was not told of
)

// hostileScript: the scripts of notices hang and fork, flood, and can be written by others, while servers die.
func hostileScript(weir string) faults.Fault {
	return faults.Fault{
		Number: 43,
		Long:   true,
		Beside: "keepalived warns of a script that others can write, and runs it, unless enable_script_security is set",
		Parts: []faults.Part{
			{Name: removedIn, Unit: faults.Seconds, Bar: 3.5}, // 3 as in 24, and a flood has one of two CPUs
			{Name: failedAfter, Unit: "connections"},
			{Name: scriptEnd, Unit: faults.Seconds, Bar: 11},
			{Name: scriptLeft, Unit: "processes"},
			{Name: scriptAtOnce, Unit: "runs"},
			{Name: scriptLogged, Unit: "bytes", Bar: 4096},
			{Name: scriptUnsafe, Unit: "scripts"},
			{Name: scriptUntold, Unit: "events"},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := &scripts{dir: publicDir(t), requests: size.Of(30, 300), timeout: size.Of(1, 10)}
			s.mark = fmt.Sprintf("8%07d", os.Getpid()) // seconds of sleep that nobody else wants
			if err := s.write(); err != nil {
				t.Fatal(err)
			}
			s.check = fmt.Sprintf("{http: /health, port: 80, interval: %dms}", size.Of(200, 1000))
			s.ward = newWard(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: weir}, s.check, s.notices("hang", "flood", "turned", "good"))
			return func() (faults.Measured, error) { return s.run(t.Context()) }
		},
	}
}

// scripts are what notices run.
type scripts struct {
	*ward
	dir      string
	mark     string
	check    string
	requests int
	timeout  int // of each script, in seconds
}

// texts are the scripts. Each notes that it runs, and whether another run of it goes on.
func (s *scripts) texts() map[string]string {
	const note = `#!/bin/sh
D=%[1]s/%[2]s
if [ -e $D.pid ] && kill -0 $(cat $D.pid) 2>/dev/null; then echo >>$D.overlaps; fi
echo $$ >$D.pid
echo $1 $3 >>$D.runs
`
	out := map[string]string{}
	for name, text := range map[string]string{
		"hang":   "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep " + s.mark + "; :) & done\ntrap '' TERM INT HUP\nsleep " + s.mark + "\n:\n",
		"flood":  "exec tr '\\0' x </dev/zero\n",
		"turned": "",
		"good":   "",
	} {
		out[name] = fmt.Sprintf(note, s.dir, name) + text
	}
	return out
}

func (s *scripts) write() error {
	for name, text := range s.texts() {
		if err := os.Mkdir(s.home(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(s.path(name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (s *scripts) home(name string) string { return filepath.Join(s.dir, "of-"+name) }
func (s *scripts) path(name string) string { return filepath.Join(s.home(name), "script") }

// notices are of the servers of one service that die.
func (s *scripts) notices(names ...string) string {
	var out strings.Builder
	out.WriteString("notify:\n")
	for _, name := range names {
		fmt.Fprintf(&out, "  - exec: {path: %s, timeout: %ds}\n    services: [web-ipv4]\n    events: [server_down]\n", s.path(name), s.timeout)
	}
	return out.String()
}

func (s *scripts) run(ctx context.Context) (faults.Measured, error) {
	figures := map[string]float64{}
	if err := s.until(ctx, func(out map[string]bool) bool { return len(out) == 0 }); err != nil {
		return faults.Measured{}, err
	}
	for _, step := range []func(context.Context, map[string]float64) error{s.reset, s.refuse, s.die, s.end, s.judge, s.heal} {
		if err := step(ctx, figures); err != nil {
			return faults.Measured{}, err
		}
	}
	return faults.Measured{Figures: figures}, nil
}

// reset forgets what scripts noted, and lets others write one whose turn has come after the daemon accepted it.
func (s *scripts) reset(context.Context, map[string]float64) error {
	notes, err := filepath.Glob(filepath.Join(s.dir, "*.*"))
	for _, note := range notes {
		err = errors.Join(err, os.Remove(note))
	}
	return errors.Join(err, os.Chmod(s.path("turned"), 0o757))
}

// refuse counts configurations with a script that others can write, and that are accepted all the same.
func (s *scripts) refuse(ctx context.Context, figures map[string]float64) error {
	director := s.lab.Directors[0]
	figures[scriptUnsafe] = 0
	for _, spoil := range []struct {
		path  string
		mode  os.FileMode
		owner int
		group int
	}{
		{s.path("good"), 0o757, 0, 0},
		{s.path("good"), 0o775, 0, lab.UserID},
		{s.path("good"), 0o755, lab.UserID, 0},
		{s.home("good"), 0o757, 0, 0},
		{s.home("good"), 0o775, 0, lab.UserID},
		{s.home("good"), 0o755, lab.UserID, 0},
	} {
		if err := errors.Join(os.Chown(spoil.path, spoil.owner, spoil.group), os.Chmod(spoil.path, spoil.mode)); err != nil {
			return err
		}
		if err := director.Configure(s.checked(s.check) + s.notices("hang", "good")); err != nil {
			return err
		}
		switch _, err := s.daemon.Reload(ctx); {
		case err == nil:
			figures[scriptUnsafe]++
		case !strings.Contains(err.Error(), spoil.path):
			return fmt.Errorf("%s has mode %o, and the refusal is of something else: %w", spoil.path, spoil.mode, err)
		}
		if err := errors.Join(os.Chown(spoil.path, 0, 0), os.Chmod(spoil.path, 0o755)); err != nil {
			return err
		}
	}
	return nil
}

// die lets a server die, and another one while the scripts of the first one hang.
func (s *scripts) die(ctx context.Context, figures map[string]float64) error {
	first, second := s.lab.Servers[0], s.lab.Servers[1]
	if err := first.KillWeb(); err != nil {
		return err
	}
	if err := s.began(ctx, 1); err != nil {
		return err
	}
	began := time.Now()
	if err := second.KillWeb(); err != nil {
		return err
	}
	if err := s.until(ctx, func(out map[string]bool) bool { return out[second.Name+"/ipv4"] && out[second.Name+"/ipv6"] }); err != nil {
		return err
	}
	figures[removedIn] = time.Since(began).Seconds()
	_, failed := s.ask(ctx, s.requests, second.Name)
	figures[failedAfter] = float64(failed)
	return nil
}

// began waits until those that hang have begun so often.
func (s *scripts) began(ctx context.Context, times int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the scripts do not run"))
	defer cancel()
	return eachMoment(ctx, func() (bool, error) {
		return s.count("hang.runs") >= times && s.count("flood.runs") >= times, nil
	})
}

// count is lines of a note.
func (s *scripts) count(note string) int {
	text, _ := os.ReadFile(filepath.Join(s.dir, note)) // one that is not there has none
	return bytes.Count(text, []byte("\n"))
}

// end waits for the last run of those that hang, and from there until nothing of it is left.
func (s *scripts) end(ctx context.Context, figures map[string]float64) error {
	if err := s.began(ctx, 2); err != nil {
		return err
	}
	began, longest := time.Now(), time.Duration(s.timeout+5)*time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	err := eachMoment(ctx, func() (bool, error) { return s.left() == 0, nil })
	if err != nil && ctx.Err() == nil {
		return err
	}
	figures[scriptEnd] = time.Since(began).Seconds()
	return nil
}

// left is how many processes of scripts there are.
func (s *scripts) left() (n int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		text, _ := os.ReadFile(line) // it may be gone
		if bytes.Contains(text, []byte("sleep\x00"+s.mark)) || bytes.Contains(text, []byte(s.dir)) {
			n++
		}
	}
	return n
}

func (s *scripts) judge(ctx context.Context, figures map[string]float64) error {
	log, err := os.ReadFile(s.lab.Directors[0].Log)
	if err != nil {
		return err
	}
	figures[scriptLeft] = float64(s.left())
	figures[scriptAtOnce] = float64(s.count("hang.overlaps") + s.count("flood.overlaps") + s.count("good.overlaps"))
	figures[scriptLogged] = float64(longestRun(log, 'x'))
	figures[scriptUnsafe] += float64(s.count("turned.runs"))
	figures[scriptUntold] = float64(2 - s.count("good.runs"))
	if figures[scriptLogged] == 0 {
		return errors.New("nothing of what a script says is in the log: it did not flood")
	}
	return nil
}

// longestRun of a letter in a text.
func longestRun(text []byte, letter byte) (longest int) {
	run := 0
	for _, b := range text {
		if b != letter {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

func (s *scripts) heal(ctx context.Context, _ map[string]float64) error {
	for _, server := range s.lab.Servers[:2] {
		if err := server.StartWeb(ctx); err != nil {
			return err
		}
	}
	return os.Chmod(s.path("turned"), 0o755)
}
