// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/program"
)

// script runs a program for each event. No shell is between, and nothing of weir's own environment goes along.
//
// keepalived appends what happened to the arguments of a notify script, and so does this: kind, service and server.
// Its notify_up and notify_down are kinds here, and without more words a script that knows no arguments is right
// for one of them. Its notify scripts of instances get four: INSTANCE, the name, the state and the priority; those of
// groups GROUP, the name, the state and 0. Where an event is of both the program runs twice, the instance first.
type script struct{ how model.ByExec }

// open looks whether the program could be run now.
func (s script) open() error { return program.Program{Path: s.how.Path, User: s.how.User}.Usable() }

func (script) close() {}

// send returns the first of several errors: the others are mostly the same.
func (s script) send(ctx context.Context, m message) error {
	var first error
	for _, e := range m.events {
		for _, args := range arguments(e) {
			if err := s.run(ctx, args, environment(m, e)); first == nil {
				first = err
			}
		}
	}
	return first
}

// run says of one that took too long how long that was.
func (s script) run(ctx context.Context, args, env []string) error {
	own, cancel := context.WithTimeout(ctx, s.how.Timeout)
	defer cancel()
	err := program.Program{Path: s.how.Path, Args: append(s.how.Arguments(), args...), Env: env, User: s.how.User}.Run(own)
	failed, ok := errors.AsType[*program.Failure](err)
	switch {
	case !ok:
		return err
	case errors.Is(failed.Err, context.DeadlineExceeded):
		failed.Err = fmt.Errorf("%s: no end after %s: it was killed", s.how.Path, s.how.Timeout)
	default:
		failed.Err = fmt.Errorf("%s: %w", s.how.Path, failed.Err)
	}
	return failed
}

// arguments are those that say what happened, of each run.
func arguments(e model.Event) [][]string {
	switch state := instanceState(e.Kind); {
	case state != "":
		runs := [][]string{{"INSTANCE", e.Router, state, strconv.Itoa(int(e.Priority))}}
		if e.Group != "" {
			runs = append(runs, []string{"GROUP", e.Group, state, "0"})
		}
		return runs
	case e.Router != "":
		return [][]string{{string(e.Kind), e.Router, ""}}
	case e.Peer.IsValid():
		return [][]string{{string(e.Kind), e.Peer.String(), ""}}
	}
	return [][]string{{string(e.Kind), e.Service, serverOf(e)}}
}

// instanceState is what keepalived calls the state of an instance; "": it is about something else.
func instanceState(kind model.EventKind) string {
	switch kind {
	case model.VRRPToMaster:
		return "MASTER"
	case model.VRRPToBackup:
		return "BACKUP"
	case model.VRRPToFault:
		return "FAULT"
	case model.VRRPToStop:
		return "STOP"
	}
	return ""
}

// environment says all that is known. A variable is there even where it is empty; those of flags are 1 or not there.
func environment(m message, e model.Event) []string {
	out := []string{
		"WEIR_KIND=" + string(e.Kind),
		"WEIR_SERVICE=" + e.Service,
		"WEIR_ADDRESS=" + addressOf(e),
		"WEIR_PROTOCOL=" + protocolOf(e),
		"WEIR_SERVER=" + serverOf(e),
		"WEIR_REASON=" + model.OneLine(e.Reason),
		"WEIR_SEVERITY=" + e.Severity().String(),
		"WEIR_TIME=" + e.Time.Format(time.RFC3339),
		"WEIR_SINCE=" + timeOrNothing(e.Since),
		"WEIR_LOST=" + strconv.Itoa(m.lost),
		"WEIR_ROUTER=" + e.Router,
		"WEIR_PRIORITY=" + priorityOf(e),
		"WEIR_WAS=" + wasOf(e),
		"WEIR_GROUP=" + e.Group,
		"WEIR_PEER=" + peerOf(e),
	}
	if m.repeat {
		out = append(out, "WEIR_REPEAT=1")
	}
	if m.test {
		out = append(out, "WEIR_TEST=1")
	}
	return out
}

func timeOrNothing(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// addressOf and protocolOf are empty where an event is about no service.
func addressOf(e model.Event) string {
	if !e.IsOfService() {
		return ""
	}
	return e.ServiceKey.Where()
}

func protocolOf(e model.Event) string {
	if !e.IsOfService() {
		return ""
	}
	return e.ServiceKey.Protocol.String()
}

// priorityOf is empty where an event is about no virtual router.
func priorityOf(e model.Event) string {
	if e.Router == "" {
		return ""
	}
	return strconv.Itoa(int(e.Priority))
}

// wasOf is the state of a virtual router before; empty: it has just begun, or the event is not about that.
func wasOf(e model.Event) string {
	if e.Was == model.VRRPInit {
		return ""
	}
	return e.Was.String()
}

// peerOf is empty where an event is about no other director.
func peerOf(e model.Event) string {
	if !e.Peer.IsValid() {
		return ""
	}
	return e.Peer.String()
}

// serverOf is empty where an event is not about a server.
func serverOf(e model.Event) string {
	if e.Server == (model.ServerKey{}) {
		return ""
	}
	return e.Server.String()
}
