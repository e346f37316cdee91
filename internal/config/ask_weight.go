// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// askExec is a path, a list of a path and arguments, or a map. No shell takes anything apart.
func (s scope) askExec(n *yaml.Node) model.Ask {
	values := s.commandOf(n)
	if values == nil {
		return nil
	}
	var out model.AskExec
	var ok bool
	if out.Path, out.Args, out.User, ok = s.program(values, "/etc/weir/check-app"); !ok {
		return nil
	}
	if n := values["dynamic"]; n != nil {
		out.Dynamic = s.truth(n, "dynamic")
	}
	return out
}

// commandOf has at least a path; nil after a complaint.
func (s scope) commandOf(n *yaml.Node) map[string]*yaml.Node {
	const hint = `write "exec: /etc/weir/check-app", or "exec: [/etc/weir/check-app, argument]"`
	switch {
	case isNull(n), n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		s.complain(n, mistake{"no program", hint})
		return nil
	case n.Kind == yaml.SequenceNode:
		args := &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Column: n.Column, Content: n.Content[1:]}
		return map[string]*yaml.Node{"path": n.Content[0], "args": args}
	}
	return s.shortOrMap(n, "path", hint, askExecKeys)
}

// askFile is a path, or a map. What is there need not be: no file says nothing.
func (s scope) askFile(n *yaml.Node) model.Ask {
	const hint = `write "file: /run/weir/weights/", or the path of one file`
	if isNull(n) {
		s.complain(n, mistake{"no path", hint})
		return nil
	}
	values := s.shortOrMap(n, "path", hint, askFileKeys)
	if values == nil {
		return nil
	}
	path, ok := s.text(values["path"], "path")
	if !ok {
		return nil
	}
	s.complainIf(values["path"], wrongFile(path))
	return model.AskFile{Path: path}
}

// wrongFile refuses what could never be read.
func wrongFile(path string) *mistake {
	info, err := os.Stat(path)
	switch {
	case !filepath.IsAbs(path):
		return &mistake{quote(path) + " is not a whole path", `begin at the root, such as "/run/weir/weights/"`}
	case err != nil:
		return nil
	case strings.HasSuffix(path, "/"):
		return nil // it is a directory then
	case info.IsDir():
		return &mistake{label(path) + " is a directory", fmt.Sprintf("write %q, if it has a file for each server", path+"/")}
	case !info.Mode().IsRegular():
		return &mistake{label(path) + " is not a file", "name a file with one line"}
	}
	return nil
}

// askAgent has nothing that must be said behind it; the port stands beside it.
func (s scope) askAgent(n *yaml.Node) model.Ask {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		s.complain(n, mistake{quote(n.Value) + " means nothing here", `write "agent: {}", and "port: 9999" beside it`})
		return nil
	}
	return model.AskAgent{Send: s.bytes(s.mayBeNothing(n, agentKeys)["send"], "send")}
}

// misplacedPort is about the port of kinds that do not ask the service's own.
func misplacedPort(ask model.Ask, ownPort bool) *mistake {
	switch ask.(type) {
	case model.AskAgent:
		if !ownPort {
			return &mistake{"which port? An agent listens at one of its own", `write "port: 9999" beside it`}
		}
	case model.AskFile:
		if ownPort {
			return &mistake{"a file has no port", "leave it out"}
		}
	case model.AskPing:
		if ownPort {
			return &mistake{"a ping has no port", "leave it out"}
		}
	}
	return nil
}

// asksElsewhere tells whether a question does not go to the service's own port.
func asksElsewhere(ask model.Ask) bool {
	switch ask.(type) {
	case model.AskExec, model.AskFile, model.AskAgent, model.AskPing:
		return true
	}
	return false
}

func askExecNode(a model.AskExec) *yaml.Node {
	pairs := []pair{{"path", lineNode(a.Path)}}
	if args := a.Arguments(); len(args) > 0 {
		pairs = append(pairs, pair{"args", listNode(args, lineNode)})
	}
	pairs = append(pairs, linePair("user", a.User)...)
	if a.Dynamic {
		pairs = append(pairs, pair{"dynamic", trueNode()})
	}
	return shortNode(pairs)
}

func agentNode(a model.AskAgent) *yaml.Node { return mapNode(linePair("send", escaped(a.Send))...) }
