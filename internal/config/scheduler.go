// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// scheduler is wlc where the file does not say, as in LVS.
func (s scope) scheduler(value *yaml.Node) model.Scheduler {
	if value == nil {
		return model.DefaultScheduler
	}
	word, _ := s.word(value, "scheduler", schedulers)
	scheduler, _ := model.ParseScheduler(word)
	return scheduler
}

// What flags are called behind the name of their scheduler, as ipvsadm calls them.
const (
	portFlag     = "port"
	fallbackFlag = "fallback"
)

// flags is the name of a flag, or a list of such.
func (s scope) flags(n *yaml.Node, of model.Scheduler) (out model.SchedulerFlags) {
	if n == nil {
		return out
	}
	items := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode {
		items = s.list(n, "flags")
	}
	for _, item := range items {
		word, ok := s.word(item, "flag", schedulerFlags)
		scheduler, flag, _ := strings.Cut(word, "-")
		switch {
		case !ok:
		case of != 0 && scheduler != of.String():
			s.complain(item, mistake{fmt.Sprintf("flag %s for a service with scheduler %s", word, of),
				fmt.Sprintf(`write "scheduler: %s", or leave it out`, scheduler)})
		case flag == portFlag:
			out.Port = true
		case flag == fallbackFlag:
			out.Fallback = true
		}
	}
	return out
}

// flagNodes is nil where there are no flags.
func flagNodes(of model.Scheduler, flags model.SchedulerFlags) (out []*yaml.Node) {
	if flags.Port {
		out = append(out, textNode(of.String()+"-"+portFlag))
	}
	if flags.Fallback {
		out = append(out, textNode(of.String()+"-"+fallbackFlag))
	}
	return out
}
