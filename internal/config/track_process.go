// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// Bounds of what is said of processes.
const (
	maxProcessName  = 15 // TASK_COMM_LEN of linux/sched.h less the final zero
	maxCommandLine  = 4095
	maxProcesses    = 10_000
	maxProcessDelay = time.Hour
)

// trackProcess is a name, or a map.
func (s scope) trackProcess(n *yaml.Node) model.Tracked {
	if isNull(n) {
		s.complain(n, mistake{"no name", `write "process: haproxy"`})
		return nil
	}
	values := map[string]*yaml.Node{"name": n}
	if n.Kind != yaml.ScalarNode {
		values = s.mapping(n, "it", trackProcessKeys)
	}
	if values == nil {
		return nil
	}
	out, ok := model.TrackProcess{Quorum: 1}, false
	out.Name, out.Command, ok = s.whichProcess(n, values["name"], values["command"])
	if quorum := values["quorum"]; quorum != nil {
		out.Quorum, _ = s.number(quorum, "quorum", 1, maxProcesses)
	}
	if delay := values["fork_delay"]; delay != nil {
		out.ForkDelay = s.duration(delay, "fork_delay", 0, maxProcessDelay)
	}
	if delay := values["terminate_delay"]; delay != nil {
		out.TerminateDelay = s.duration(delay, "terminate_delay", 0, maxProcessDelay)
	}
	if !ok {
		return nil
	}
	return out
}

// whichProcess says it by its name, or else by the beginning of its command line.
func (s scope) whichProcess(n, byName, byCommand *yaml.Node) (name, command string, ok bool) {
	switch {
	case byName != nil && byCommand != nil:
		s.complain(byCommand, mistake{"name and command", "keep one: the command line says more"})
	case byCommand != nil:
		command, ok = s.commandLine(byCommand)
	case byName != nil:
		name, ok = s.processName(byName)
	case !namesOther(n, trackProcessKeys):
		s.complain(n, mistake{"neither name nor command", `write "name: haproxy", or "command: [/usr/sbin/haproxy, -f, /etc/haproxy/b.cfg]"`})
	}
	return name, command, ok
}

// processName takes what the kernel has as one: /proc/PID/comm.
func (s scope) processName(n *yaml.Node) (string, bool) {
	name, ok := s.text(n, "name")
	if !ok {
		return "", false
	}
	program := name[strings.LastIndex(name, "/")+1:]
	switch {
	case strings.Contains(name, " -"):
		s.complain(n, mistake{quote(name) + " is more than a name",
			fmt.Sprintf(`write "{command: [%s]}": the first words of its command line`, strings.Join(strings.Fields(name), ", "))})
	case program != name:
		s.complain(n, mistake{quote(name) + " is a path, not a name",
			fmt.Sprintf(`write "%s", or "{command: [%s]}" if its command line begins so`, firstBytes(program, maxProcessName), name)})
	case len(name) > maxProcessName:
		s.complain(n, mistake{fmt.Sprintf("the kernel knows %d bytes of a name, and %s has more", maxProcessName, quote(name)),
			fmt.Sprintf(`write "%s", or "{command: [...]}" with the first words of its command line`, firstBytes(name, maxProcessName))})
	default:
		return name, true
	}
	return "", false
}

func firstBytes(text string, most int) string { return text[:min(most, len(text))] }

// commandLine takes its first words.
func (s scope) commandLine(n *yaml.Node) (string, bool) {
	items := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode || isNull(n) {
		items = s.list(n, "command")
		s.complainIf(n, emptyList(n, "command", `write "command: [/usr/sbin/haproxy, -f, /etc/haproxy/b.cfg]"`))
	}
	var words []string
	for _, item := range items {
		word, ok := s.text(item, "word")
		if !ok {
			return "", false
		}
		if item == n && strings.ContainsAny(word, " \t") {
			s.complain(n, mistake{"no shell takes this apart", fmt.Sprintf(`write "command: [%s]"`, strings.Join(strings.Fields(word), ", "))})
			return "", false
		}
		words = append(words, word)
	}
	command := model.JoinArguments(words)
	if len(command) > maxCommandLine {
		s.complain(n, mistake{fmt.Sprintf("more than %d bytes", maxCommandLine), "write fewer of its first words"})
		return "", false
	}
	return command, len(words) > 0
}

// trackProcessNode is short for a name alone.
func trackProcessNode(t model.TrackProcess) *yaml.Node {
	pairs := []pair{{"name", lineNode(t.Name)}}
	if t.Name == "" {
		pairs = []pair{{"command", listNode(model.SplitArguments(t.Command), lineNode)}}
	}
	if t.Quorum != 1 {
		pairs = append(pairs, pair{"quorum", numberNode(t.Quorum)})
	}
	if t.ForkDelay != 0 {
		pairs = append(pairs, pair{"fork_delay", textNode(printDuration(t.ForkDelay))})
	}
	if t.TerminateDelay != 0 {
		pairs = append(pairs, pair{"terminate_delay", textNode(printDuration(t.TerminateDelay))})
	}
	if t.Name != "" && len(pairs) == 1 {
		return pairs[0].value
	}
	return mapNode(pairs...)
}
