// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/program"
)

// fence is the program that makes a silent master harmless. It runs once for each silence: from when he is missed
// until somebody is heard again.
type fence struct {
	running bool
	outdone bool   // while it ran a master was heard: what it says is of no use any more
	done    bool   // in this silence
	failure string // of that one; "": he is harmless
	shown   bool   // it is seen that it runs
}

// calm is that a master is heard.
func (f *fence) calm() {
	f.outdone = f.running
	f.done, f.failure = false, ""
}

// lets says whether it has run, and the director may take over.
func (f fence) lets(as model.Fence) bool {
	return f.done && (f.failure == "" || as.Failed == model.FenceTakeover)
}

// fences says whether somebody is to be made harmless first: only a master who was heard, and did not say that he is
// none. Of two that were masters and meet, both may step back, and neither shall shoot for that.
func (m *machine) fences() bool {
	justMet := !m.met.IsZero() && m.latest.Sub(m.met) < m.down()
	return m.want.Fence.Path != "" && m.lost.IsValid() && !m.left && !m.outranks && !justMet
}

// takeOver is the way of a backup to master, with all that is to be asked and done first.
func (m *machine) takeOver(now time.Time) []deed {
	if until := m.probing(now); !until.IsZero() {
		m.due = until
		return nil
	}
	if because := m.objection(now); because != "" {
		return m.hold(now, because)
	}
	switch why := m.missing(now); {
	case m.fence.running && !m.left && !m.outranks:
		m.due = time.Time{} // its end wakes this one
		return nil
	case !m.fences():
		return m.rise(now, why+m.unwitnessed(now))
	case !m.fence.done:
		m.fence = fence{running: true, shown: true}
		m.cause, m.due, m.witness.held = why, time.Time{}, time.Time{}
		return append(m.heldBack(fmt.Sprintf("%s: %s makes it harmless first", why, m.want.Fence.Path), ""), deed{kind: fenceOff})
	case m.fence.failure == "":
		return m.rise(now, why+", and it was made harmless")
	case m.want.Fence.Failed == model.FenceTakeover:
		return m.rise(now, why+", although the fence has failed: "+m.fence.failure)
	default:
		m.due = time.Time{} // until somebody is heard
		because := "the fence has failed: " + m.fence.failure
		return m.heldBack(why+", but "+because, because)
	}
}

// fenced is how the program has ended. It looks again whether it may take over: that took a while, in which there may
// have been a fault, after which it waits, or a master who has fallen silent again.
func (m *machine) fenced(now time.Time, failure string) {
	waited := m.seen.State == model.VRRPBackup || m.seen.State == model.VRRPFault
	m.fence = fence{done: waited && !m.fence.outdone && !m.parting(), failure: failure, shown: m.fence.shown}
	if m.seen.State == model.VRRPBackup && m.due.IsZero() && !m.parting() {
		m.due = now
	}
}

// fencing is a program that runs, and whom it is for.
type fencing struct {
	want   model.VRRPWant
	master netip.Addr
	why    string
}

// run returns why it failed; "": it did not.
func (f fencing) run(ctx context.Context) string {
	of := f.want.Fence
	ctx, cancel := context.WithTimeoutCause(ctx, of.Timeout, fmt.Errorf("it did not end within %s", of.Timeout))
	defer cancel()
	p := program.Program{Path: of.Path, Args: model.SplitArguments(of.Args), User: of.User, Env: []string{
		"WEIR_ROUTER=" + f.want.Name,
		"WEIR_INTERFACE=" + f.want.Interface,
		"WEIR_MASTER=" + f.master.String(),
		"WEIR_REASON=" + f.why,
	}}
	err := p.Run(ctx)
	if err == nil {
		return ""
	}
	text := err.Error()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		text = fmt.Sprintf("exit code %d", exit.ExitCode())
	}
	if failed, ok := errors.AsType[*program.Failure](err); ok && failed.Output != "" {
		text += ": " + model.OneLine(failed.Output)
	}
	return text
}
