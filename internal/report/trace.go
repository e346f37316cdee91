// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Trace is a packet's way through the path, with the names of things.
type Trace struct {
	model.Traced
	Interface string // that it came in by
	Packet    string // its headers
	Stages    []Stage
	Sent      string // its headers as it was sent on; "": it was not
}

// Stage is something that was asked on the way, and the answer.
type Stage struct{ Name, Result string }

// MakeTrace adds to what the path tells of a packet what only the configuration and the network know.
func MakeTrace(spec model.Spec, network model.Network, t model.Traced) Trace {
	out := Trace{Traced: t, Interface: linkName(network, t.Link), Packet: headers(t.In)}
	out.Stages = stages(spec, network, t)
	if t.Sent != nil {
		out.Sent = headers(*t.Sent)
	}
	return out
}

// stages are in the order of the path (bpf/weir.bpf.c).
func stages(spec model.Spec, network model.Network, t model.Traced) (out []Stage) {
	add := func(name, result string) { out = append(out, Stage{name, result}) }
	if t.Part != model.TracedWhole {
		add("parse", string(t.Part))
	}
	switch {
	case t.Connection != "" && !t.Fresh:
		add("connection", knownConnection(t))
	case t.Ended:
		add("connection", "over, "+flow(t))
	case t.Service != nil:
		add("connection", "none")
	}
	if t.Service != nil {
		add("service", fmt.Sprintf("%s, %s", tracedService(spec, *t.Service), t.Scheduler))
	}
	if t.Template != model.NoTemplate {
		add("template", string(t.Template))
	}
	if t.Server != nil {
		add("server", fmt.Sprintf("%s, %s", tracedServer(t), whyServer(t)))
	}
	if t.Fresh {
		add("connection", "begun, "+t.Connection)
	}
	if t.Sent != nil {
		add("forward", tracedForward(network, t))
	}
	return out
}

func knownConnection(t model.Traced) string {
	text := t.Connection + ", " + flow(t)
	if t.Back {
		text += ", from its server"
	}
	return text
}

func flow(t model.Traced) string { return fmt.Sprintf("%s to %s", t.Flow.Client, t.Flow.Virtual) }

func tracedService(spec model.Spec, key model.ServiceKey) string {
	for _, service := range spec.Services {
		if service.Key == key {
			return fmt.Sprintf("%s (%s)", service.Name, key)
		}
	}
	return key.String() // it was just removed
}

func tracedServer(t model.Traced) string {
	key := *t.Server
	if key.Port == model.AnyPort {
		key.Port = t.Flow.Virtual.Port()
	}
	return key.String()
}

func whyServer(t model.Traced) string {
	switch {
	case t.Hashed:
		return "by the hash of its flow"
	case t.Service == nil:
		return "as its connection has it"
	case t.Template == model.TemplateFollowed:
		return "as the template has it"
	}
	return fmt.Sprintf("picked by %s", t.Scheduler)
}

func tracedForward(network model.Network, t model.Traced) string {
	way := t.Forwarding.String()
	switch {
	case t.Told:
		way = "its sender is told"
	case t.Back:
		way = "nat, back to the client"
	}
	return fmt.Sprintf("%s, out by %s", way, linkName(network, t.Egress))
}

func linkName(network model.Network, index int) string {
	if link, known := linkByIndex(network, index); known {
		return link.Name
	}
	return fmt.Sprintf("interface %d", index)
}

// headers says of a frame what can be read; one that is cut short has an error, too.
func headers(f model.Frame) string {
	layers, err := packet.Parse(f.Bytes)
	text := layers.String()
	if err != nil && len(f.Bytes) == f.Length {
		text += fmt.Sprintf(" (%v)", err)
	}
	return text
}
