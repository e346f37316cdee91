// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// spec decodes a whole file. It goes on after a mistake, to find them all.
func (f *file) spec(root *yaml.Node) model.Spec {
	f.refuseMagic(root)
	top := scope{file: f}
	values := top.mapping(root, "the file", fileKeys)
	listed := top.list(values["services"], "services")
	services := make([]service, 0, len(listed))
	for i, n := range listed {
		services = append(services, top.service(n, i+1))
	}
	f.check(services)
	size := top.connections(values["connections"])
	f.checkHalfOpen(services, size)
	aliases := top.aliases(values["check_aliases"])
	f.checkAliases(services, aliases)
	routers := top.virtualRouters(values["vrrp"])
	sessions := top.sessions(values["bfd"])
	f.checkSessions(sessions, routers)
	f.checkRouters(routers, services, sessions)
	sync := top.sync(values["sync"])
	f.checkSync(sync, routers, services)
	return model.Spec{
		Interfaces:     top.interfaces(values["interfaces"]),
		Services:       plain(services),
		Connections:    model.Connections{Size: size},
		MaintenanceDir: top.maintenanceDir(values["maintenance_dir"]),
		API:            model.API{Unix: top.api(values["api"])},
		Notify:         top.notify(values["notify"], services),
		Aliases:        aliases,
		BFD:            plainSessions(sessions),
		VirtualRouters: plainRouters(routers),
		Sync:           sync.Sync,
	}
}

func (s scope) interfaces(n *yaml.Node) []model.Interface {
	var out []model.Interface
	first := map[string]int{}
	for i, item := range s.list(n, "interfaces") {
		label := "interface " + s.call(item, i+1, "name")
		link, ok := s.in(label).networkInterface(item)
		if line, twice := first[link.Name]; ok && twice {
			s.complain(item, mistake{label + " stands twice", fmt.Sprintf("the first is in line %d: keep one", line)})
		}
		first[link.Name] = item.Line
		out = append(out, link)
	}
	return out
}

// networkInterface is a name, or a map with a name.
func (s scope) networkInterface(n *yaml.Node) (out model.Interface, ok bool) {
	name := n
	if n.Kind != yaml.ScalarNode {
		values := s.mapping(n, "an interface", interfaceKeys)
		if values == nil {
			return out, false
		}
		out.XDP = s.xdp(values["xdp"])
		if name = values["name"]; name == nil {
			s.complain(n, mistake{"no name", `write "name: eth0"`})
			return out, false
		}
	}
	out.Name, ok = s.interfaceName(name)
	return out, ok
}

// interfaceName takes what the kernel takes (dev_valid_name).
func (s scope) interfaceName(n *yaml.Node) (string, bool) {
	const most = 15 // IFNAMSIZ less the final zero
	name, ok := s.text(n, "name")
	if !ok {
		return "", false
	}
	if len(name) > most || name == "." || name == ".." || strings.ContainsFunc(name, notInInterfaceName) {
		s.complain(n, mistake{fmt.Sprintf("%s cannot be an interface", quote(name)),
			fmt.Sprintf("at most %d letters, digits and signs, without space, / and :", most)})
		return "", false
	}
	return name, true
}

func notInInterfaceName(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == ':' }

func (s scope) xdp(n *yaml.Node) model.XDPMode {
	if n == nil {
		return model.XDPAuto
	}
	word, _ := s.word(n, "xdp mode", xdpModes)
	mode, _ := model.ParseXDPMode(word)
	return mode
}

// connections returns the size of the table.
func (s scope) connections(n *yaml.Node) int {
	if n == nil {
		return model.DefaultConnections
	}
	size := s.mapping(n, "connections", connectionsKeys)["size"]
	if size == nil {
		return model.DefaultConnections
	}
	number, _ := s.in("connections").number(size, "size", model.MinConnections, model.MaxConnections)
	return number
}

// api returns the path of the socket.
func (s scope) api(n *yaml.Node) string {
	const most = 107 // sun_path less the final zero
	if n == nil {
		return ""
	}
	path := s.mapping(n, "api", apiKeys)["unix"]
	if path == nil {
		return ""
	}
	s = s.in("api")
	text, ok := s.text(path, "unix")
	switch {
	case !ok:
	case !strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/"):
		s.complain(path, mistake{fmt.Sprintf("%s is not the absolute path of a socket", quote(text)),
			`such as "/run/weir/weir.sock"`})
	case len(text) > most:
		s.complain(path, mistake{fmt.Sprintf("the path is longer than %d bytes", most), "the kernel has no room for more"})
	case strings.ContainsFunc(text, isControl):
		s.complain(path, mistake{"control characters in a path", ""})
	}
	return text
}

// call is what messages call an item: by one of its values, else by its number.
func (s scope) call(n *yaml.Node, number int, keys ...string) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return label(n.Value)
	}
	for _, key := range keys {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if value := n.Content[i+1]; n.Content[i].Value == key && value.Kind == yaml.ScalarNode && value.Value != "" {
				return label(value.Value)
			}
		}
	}
	return fmt.Sprint(number)
}
