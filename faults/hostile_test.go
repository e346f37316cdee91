// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 33.
const (
	hostileBytes  = "bytes"    // of the longest answer that the director took
	hostileBody   = "body"     // of the longest that is a body to be searched
	hostileTook   = "took"     // the longest that a check had to do with one answer
	hostileGrowth = "growth"   // of the daemon's memory
	hostileLeft   = "left"     // processes of programs that are there later
	believed      = "believed" // liars that take new connections
	unclear       = "unclear"  // liars of whom not one short line is said
)

// hostileServer: servers answer checks in every bad way.
func hostileServer(weir string) faults.Fault {
	return faults.Fault{
		Number: 33,
		Long:   true,
		Beside: "keepalived had heap overflows by what a checked server says: CVE-2018-19115, and in its regular expressions in 2026",
		Parts: []faults.Part{
			{Name: hostileBytes, Unit: "KiB", Bar: 64 + unread},
			{Name: hostileBody, Unit: "KiB", Bar: 1024 + 2*unread}, // and its head and its chunks
			{Name: hostileTook, Unit: faults.Seconds, Bar: hostileEnd.Seconds()},
			{Name: hostileGrowth, Unit: "MiB", Bar: 1, Timely: true},
			{Name: hostileLeft, Unit: "processes"},
			{Name: believed, Unit: "checks"},
			{Name: unclear, Unit: "checks"},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			h := &hostility{asked: newAsked(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Servers: 1, Weir: weir}), log: t.Logf}
			h.first, h.answers, h.looks = size.Of(25, 20_000), size.Of(100, 10_000), size.Of(1, 80)
			h.liars = liars(h.secret(t))
			h.programs = newPrograms(t, h.note)
			go h.stalls.watch(t.Context())
			if err := h.open(t, size.Of(1, 6)); err != nil {
				t.Fatal(err)
			}
			return func() (faults.Measured, error) { return h.run(t.Context()) }
		},
	}
}

// hostileTimeout is what most of these checks have, and hostileEnd when they must have had enough: 0.1 s behind it.
const (
	hostileTimeout = 200 * time.Millisecond
	hostileEnd     = hostileTimeout + 100*time.Millisecond
)

// unread is what the director's kernel takes of an answer although nobody reads it, in KiB.
const unread = 8

// hostility is a server on whose ports liars are.
type hostility struct {
	*asked
	liars    []liar
	programs *programs
	first    int // answers, by which the daemon has the memory that it needs
	answers  int // that a run wants
	looks    int // at the daemon's memory
	log      func(string, ...any)
	stalls   stalls

	mu    sync.Mutex
	heard map[string]extent // by the liar's name
}

// extent is how large answers were.
type extent struct {
	answers int
	most    uint64        // bytes that the director took
	longest time.Duration // from the connection to its end, as if all had the same timeout
	ours    time.Duration // the same, less what the machine stood still meanwhile
}

const hostilePort = 20_000

// open has each liar on some ports, unless it is alone: the machine has to say all that, too. Little memory for what comes in lets the kernel take little that nobody reads.
func (h *hostility) open(t *testing.T, copies int) error {
	if err := h.director.Sysctl("ipv4/tcp_rmem", fmt.Sprintf("4096 %[1]d %[1]d", unread<<10)); err != nil {
		return err
	}
	h.heard = map[string]extent{}
	var text strings.Builder
	text.WriteString("services:\n")
	for i, l := range h.liars {
		for j := range copies {
			if l.alone && j > 0 {
				break
			}
			port := uint16(hostilePort + 100*i + j)
			if err := l.lie.open(t, h, l, port); err != nil {
				return err
			}
			text.WriteString(h.service(int(port), l.asked(h, port)))
		}
	}
	return errors.Join(h.director.Start(text.String()), h.director.WaitReady(t.Context()))
}

// note takes in what came of an answer.
func (h *hostility) note(l liar, heard extent, began, ended time.Time) {
	longer := l.timeout - hostileTimeout // than others have
	took := ended.Sub(began) - longer
	ours := took - h.stalls.within(began, ended)
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.heard[l.name]
	e.answers += heard.answers
	e.most, e.longest, e.ours = max(e.most, heard.most), max(e.longest, took), max(e.ours, ours)
	h.heard[l.name] = e
}

// secret is in a file that nobody else can read.
func (h *hostility) secret(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (h *hostility) run(ctx context.Context) (faults.Measured, error) {
	if err := h.hear(ctx, h.first); err != nil {
		return faults.Measured{}, err
	}
	h.first = h.answers / 4 // of the next run
	before, err := h.resident()
	if err != nil {
		return faults.Measured{}, err
	}
	if err := h.hear(ctx, h.answers); err != nil {
		return faults.Measured{}, err
	}
	after, err := h.resident()
	if err != nil {
		return faults.Measured{}, err
	}
	h.log("the daemon had %d KiB, and has %d KiB", before, after)
	figures := map[string]float64{hostileGrowth: float64(after-before) / 1024, hostileLeft: float64(h.programs.left(ctx))}
	if err := h.believed(ctx, figures); err != nil {
		return faults.Measured{}, err
	}
	return faults.Measured{Figures: figures, Disturbed: h.judge(figures)}, nil
}

// hear waits for so many answers, of all liars together.
func (h *hostility) hear(ctx context.Context, answers int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("the checks ask too little"))
	defer cancel()
	h.mu.Lock()
	h.heard = map[string]extent{}
	h.mu.Unlock()
	err := eachMoment(ctx, func() (bool, error) {
		all, silent := h.count()
		return all >= answers && len(silent) == 0, nil
	})
	if all, silent := h.count(); err != nil {
		return fmt.Errorf("%w: %d times, and never %q", err, all, silent)
	}
	return nil
}

// count is how many answers there were, and of whom none.
func (h *hostility) count() (answers int, silent []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.liars {
		n := h.heard[l.name].answers
		answers += n
		if n == 0 {
			silent = append(silent, l.name)
		}
	}
	return answers, silent
}

// resident is the daemon's memory, in KiB: the median of some looks, between which its garbage comes and goes.
func (h *hostility) resident() (int, error) {
	var all []int
	for range h.looks {
		kib, err := h.residentNow()
		if err != nil {
			return 0, err
		}
		all = append(all, kib)
		time.Sleep(100 * time.Millisecond)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

func (h *hostility) residentNow() (kib int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.director.PID()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(text, []byte("VmRSS:"))
	_, err = fmt.Sscan(string(rest), &kib)
	return kib, err
}

func (h *hostility) believed(ctx context.Context, figures map[string]float64) error {
	servers, err := h.daemon.Servers(ctx)
	figures[believed], figures[unclear] = 0, 0
	for _, s := range servers {
		if s.State != "down" && s.State != "waiting" { // who is asked seldom is judged late
			h.log("%s is %s", s.Service, s.State)
			figures[believed]++
		}
		if !isShortLine(s.Reason) {
			h.log("%s: %q", s.Service, s.Reason)
			figures[unclear]++
		}
	}
	return err
}

// isShortLine is for people, and terminals.
func isShortLine(text string) bool {
	const most = 240 // bytes: two reasons of 120 characters, what was and what is now
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	return text != "" && len(text) <= most && !strings.ContainsFunc(text, odd)
}

// judge tells, too, whether the machine was too busy: no answer would have taken too long if the machine had not stood
// still, by the test's own timers.
func (h *hostility) judge(figures map[string]float64) (disturbed string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	figures[hostileBytes], figures[hostileBody], figures[hostileTook] = 0, 0, 0
	var longest, ours time.Duration
	for _, l := range h.liars {
		e, part := h.heard[l.name], hostileBytes
		if l.body {
			part = hostileBody
		}
		h.log("%-32s %5d answers, at most %7.1f KiB and %v", l.name, e.answers, float64(e.most)/1024, e.longest.Round(time.Millisecond))
		figures[part] = max(figures[part], float64(e.most)/1024)
		longest, ours = max(longest, e.longest), max(ours, e.ours)
	}
	figures[hostileTook] = longest.Seconds()
	if longest > hostileEnd && ours <= hostileEnd {
		disturbed = fmt.Sprintf("the machine stood still: of %v a check had %v", longest, ours)
	}
	return disturbed
}
