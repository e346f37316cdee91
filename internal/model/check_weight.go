// SPDX-License-Identifier: Apache-2.0

package model

import "slices"

// The kinds of checks that may say what weight their server has.

// AskExec runs a program, as keepalived's MISC_CHECK does.
type AskExec struct {
	Path    string
	Args    string // see JoinArguments
	User    string // who it runs as; "": as weir does
	Dynamic bool   // an exit code from 2 to 255 is good, and the weight is two less
}

func (AskExec) Kind() string { return "exec" }

// Arguments are those that the config names.
func (a AskExec) Arguments() []string { return SplitArguments(a.Args) }

// AskFile reads a file on this host, which says of the server what an agent would, or the very weight.
type AskFile struct {
	Path string // with a slash at its end: a directory with a file for each server
}

func (AskFile) Kind() string { return "file" }

// AskAgent asks a program on the server, as HAProxy's agent-check does.
type AskAgent struct {
	Send string // "": it speaks first
}

func (AskAgent) Kind() string { return "agent" }

// AreBlind tells whether a server may die unseen: agents and files only say what they know.
func (c Checks) AreBlind() bool {
	isBlind := func(c Check) bool {
		switch c.Ask.(type) {
		case AskAgent, AskFile:
			return true
		}
		return false
	}
	if c.Any {
		return slices.ContainsFunc(c.Of, isBlind)
	}
	return len(c.Of) > 0 && !slices.ContainsFunc(c.Of, func(c Check) bool { return !isBlind(c) })
}
