// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// Print writes a Spec as a file: the same Spec gives the same bytes, and Parse of them gives the
// Spec again. Defaults are left out, so that what stands there was meant.
func Print(spec model.Spec) []byte {
	var b bytes.Buffer
	dumper, err := yaml.NewDumper(&b, yaml.WithLineWidth(-1), yaml.WithCompactSeqIndent(false), yaml.WithQuotePreference(yaml.QuoteDouble))
	if err == nil {
		err = dumper.Dump(mapNode(specPairs(spec)...))
	}
	if err == nil {
		err = dumper.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("print %+v: %v", spec, err)) // a tree that we made is YAML
	}
	return b.Bytes()
}

// pair is a key with its value.
type pair struct {
	key   string
	value *yaml.Node
}

func specPairs(spec model.Spec) []pair {
	var out []pair
	if len(spec.Interfaces) > 0 {
		out = append(out, pair{"interfaces", listNode(spec.Interfaces, interfaceNode)})
	}
	names := serviceNames(spec.Services)
	out = append(out, pair{"services", listNode(spec.Services, func(s model.Service) *yaml.Node { return serviceNode(s, names) })})
	if size := spec.Connections.Size; size != model.DefaultConnections {
		out = append(out, pair{"connections", mapNode(pair{"size", numberNode(size)})})
	}
	if spec.MaintenanceDir != "" {
		out = append(out, pair{"maintenance_dir", textNode(spec.MaintenanceDir)})
	}
	if spec.API.Unix != "" {
		out = append(out, pair{"api", mapNode(pair{"unix", textNode(spec.API.Unix)})})
	}
	if len(spec.Notify) > 0 {
		out = append(out, pair{"notify", notifyNode(spec.Notify)})
	}
	if ranges := spec.Aliases.Written(); len(ranges) > 0 {
		out = append(out, pair{"check_aliases", listNode(ranges, func(p netip.Prefix) *yaml.Node { return textNode(p.String()) })})
	}
	if len(spec.BFD) > 0 {
		out = append(out, pair{"bfd", listNode(spec.BFD, sessionNode)})
	}
	if len(spec.VirtualRouters) > 0 {
		out = append(out, pair{"vrrp", listNode(spec.VirtualRouters, routerNode)})
	}
	if len(spec.Sync.Peers) > 0 || spec.Sync.IPVS.Interface != "" {
		out = append(out, pair{"sync", syncNode(spec.Sync)})
	}
	return out
}

func interfaceNode(i model.Interface) *yaml.Node {
	if i.XDP == model.XDPAuto {
		return textNode(i.Name)
	}
	return mapNode(pair{"name", textNode(i.Name)}, pair{"xdp", textNode(i.XDP.String())})
}

// serviceNames are those by which services name each other.
func serviceNames(services []model.Service) map[model.ServiceKey]string {
	out := map[model.ServiceKey]string{}
	for _, s := range services {
		out[s.Key] = s.Name
	}
	return out
}

func serviceNode(s model.Service, names map[model.ServiceKey]string) *yaml.Node {
	var pairs []pair
	if s.Name != defaultName(s.Key) {
		pairs = append(pairs, pair{"name", textNode(s.Name)})
	}
	if len(s.Also) > 0 {
		pairs = append(pairs, pair{"addresses", listNode(s.Keys(), func(k model.ServiceKey) *yaml.Node {
			return textNode(keyText(k, s.Key.Protocol))
		})})
	} else {
		pairs = append(pairs, pair{"address", textNode(s.Key.Where())})
	}
	if s.Key.Protocol != model.TCP {
		pairs = append(pairs, pair{"protocol", textNode(s.Key.Protocol.String())})
	}
	pairs = append(pairs, pair{"scheduler", textNode(s.Scheduler.String())})
	if flags := flagNodes(s.Scheduler, s.Flags); len(flags) > 0 {
		pairs = append(pairs, pair{"flags", listNode(flags, func(n *yaml.Node) *yaml.Node { return n })})
	}
	if s.MSS != 0 {
		pairs = append(pairs, pair{"mss", numberNode(s.MSS)})
	}
	if timeouts := timeoutPairs(s.Timeouts); len(timeouts) > 0 {
		pairs = append(pairs, pair{"timeouts", mapNode(timeouts...)})
	}
	if leaving := leavingNode(s.Leaving); leaving != nil {
		pairs = append(pairs, pair{"leaving", leaving})
	}
	if s.Down != 0 {
		pairs = append(pairs, pair{"down", textNode(s.Down.String())})
	}
	pairs = append(pairs, policyPairs(s)...)
	if persistence := persistenceNode(s.Persistence); persistence != nil {
		pairs = append(pairs, pair{"persistence", persistence})
	}
	if s.Reuse != 0 {
		pairs = append(pairs, pair{"reuse", textNode(s.Reuse.String())})
	}
	if s.OnePacket {
		pairs = append(pairs, pair{"one_packet", trueNode()})
	}
	if s.Unknown != 0 {
		pairs = append(pairs, pair{"unknown", textNode(s.Unknown.String())})
	}
	if s.HalfOpen != 0 {
		pairs = append(pairs, pair{"half_open", numberNode(s.HalfOpen)})
	}
	servers, sorry := apart(s.Servers)
	common := common(servers)
	if common.Forwarding != model.DR {
		pairs = append(pairs, pair{"forwarding", textNode(common.Forwarding.String())})
	}
	if common.Tunnel != (model.Tunnel{}) {
		pairs = append(pairs, pair{"tunnel", tunnelNode(common.Tunnel)})
	}
	if len(servers) > 0 && !sameChecks(common.Checks, standardChecks(s)) {
		pairs = append(pairs, pair{"check", checksNode(common.Checks)})
	}
	if len(sorry) > 0 {
		pairs = append(pairs, pair{"sorry", sorryNode(sorry[0], common, names)})
	}
	if len(servers) > 0 {
		pairs = append(pairs, pair{"servers", listNode(servers, func(server model.Server) *yaml.Node {
			return serverNode(server, common)
		})})
	}
	return mapNode(pairs...)
}

// keyText names the protocol where it is not that of the service.
func keyText(k model.ServiceKey, standard model.Protocol) string {
	if k.Protocol == standard {
		return k.Where()
	}
	return k.Where() + "/" + k.Protocol.String()
}

// common is what most servers have, which is written once at their service.
func common(servers []model.Server) model.Server {
	forwarding := map[model.Forwarding]int{}
	tunnel := map[model.Tunnel]int{}
	out := model.Server{Forwarding: model.DR, Checks: commonChecks(servers)}
	for _, s := range servers {
		forwarding[s.Forwarding]++
		if s.Forwarding == model.TUN {
			tunnel[s.Tunnel]++
		}
	}
	for _, f := range model.Forwardings() {
		if forwarding[f] > forwarding[out.Forwarding] {
			out.Forwarding = f
		}
	}
	for _, s := range servers {
		if tunnel[s.Tunnel] > tunnel[out.Tunnel] {
			out.Tunnel = s.Tunnel
		}
	}
	return out
}

func serverNode(s, common model.Server) *yaml.Node {
	pairs := []pair{{"address", textNode(serverAddress(s.Key))}}
	if s.Weight != 1 {
		pairs = append(pairs, pair{"weight", numberNode(s.Weight)})
	}
	if s.Forwarding != common.Forwarding {
		pairs = append(pairs, pair{"forwarding", textNode(s.Forwarding.String())})
	}
	if s.Forwarding == model.TUN && s.Tunnel != common.Tunnel {
		pairs = append(pairs, pair{"tunnel", tunnelNode(s.Tunnel)})
	}
	if thresholds := thresholdsNode(s.Thresholds); thresholds != nil {
		pairs = append(pairs, pair{"thresholds", thresholds})
	}
	if !sameChecks(s.Checks, common.Checks) {
		pairs = append(pairs, pair{"check", checksNode(s.Checks)})
	}
	if n := maintenanceNode(s.Maintenance); n != nil {
		pairs = append(pairs, pair{"maintenance", n})
	}
	if len(pairs) == 1 {
		return pairs[0].value
	}
	return mapNode(pairs...)
}

// tunnelNode is the name of the type where that says it all.
func tunnelNode(t model.Tunnel) *yaml.Node {
	pairs := []pair{{"type", textNode(t.Type.String())}}
	if t.Type == model.GUE && t.Port != guePort {
		pairs = append(pairs, pair{"port", numberNode(t.Port)})
	}
	if t.Checksum {
		pairs = append(pairs, pair{"checksum", trueNode()})
	}
	if t.Source.IsValid() {
		pairs = append(pairs, pair{"source", textNode(t.Source.String())})
	}
	if len(pairs) == 1 {
		return pairs[0].value
	}
	return mapNode(pairs...)
}

func serverAddress(k model.ServerKey) string {
	if k.Port == model.AnyPort {
		return k.Address.String()
	}
	return k.String()
}

func mapNode(pairs ...pair) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range pairs {
		n.Content = append(n.Content, textNode(p.key), p.value)
	}
	return n
}

func listNode[T any](items []T, node func(T) *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, item := range items {
		n.Content = append(n.Content, node(item))
	}
	return n
}

// textNode says that it is text, so the dumper quotes what YAML would take for something else.
func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func numberNode[T uint16 | int](n T) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(n)}
}

func trueNode() *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"}
}

func falseNode() *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"}
}
