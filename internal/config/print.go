// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"fmt"

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
	out = append(out, pair{"services", listNode(spec.Services, serviceNode)})
	if spec.API.Unix != "" {
		out = append(out, pair{"api", mapNode(pair{"unix", textNode(spec.API.Unix)})})
	}
	return out
}

func interfaceNode(i model.Interface) *yaml.Node {
	if i.XDP == model.XDPAuto {
		return textNode(i.Name)
	}
	return mapNode(pair{"name", textNode(i.Name)}, pair{"xdp", textNode(i.XDP.String())})
}

func serviceNode(s model.Service) *yaml.Node {
	var pairs []pair
	if s.Name != defaultName(s.Key) {
		pairs = append(pairs, pair{"name", textNode(s.Name)})
	}
	pairs = append(pairs, pair{"address", textNode(model.HostPort(s.Key.Address, s.Key.Port))})
	if s.Key.Protocol != model.TCP {
		pairs = append(pairs, pair{"protocol", textNode(s.Key.Protocol.String())})
	}
	pairs = append(pairs, pair{"scheduler", textNode(s.Scheduler.String())})
	common := commonForwarding(s.Servers)
	if common != model.DR {
		pairs = append(pairs, pair{"forwarding", textNode(common.String())})
	}
	if len(s.Servers) > 0 {
		pairs = append(pairs, pair{"servers", listNode(s.Servers, func(server model.Server) *yaml.Node {
			return serverNode(server, common)
		})})
	}
	return mapNode(pairs...)
}

// commonForwarding is the method of most servers, which is written once at their service.
func commonForwarding(servers []model.Server) model.Forwarding {
	count := map[model.Forwarding]int{}
	for _, s := range servers {
		count[s.Forwarding]++
	}
	common := model.DR
	for _, f := range model.Forwardings() {
		if count[f] > count[common] {
			common = f
		}
	}
	return common
}

func serverNode(s model.Server, common model.Forwarding) *yaml.Node {
	pairs := []pair{{"address", textNode(serverAddress(s.Key))}}
	if s.Weight != 1 {
		pairs = append(pairs, pair{"weight", numberNode(s.Weight)})
	}
	if s.Forwarding != common {
		pairs = append(pairs, pair{"forwarding", textNode(s.Forwarding.String())})
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

func numberNode(n uint16) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(n)}
}
