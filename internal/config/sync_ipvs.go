// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// What ip_vs does where ipvsadm is told no more (IP_VS_SYNC_GROUP, IP_VS_SYNC_PORT).
const (
	ipvsSyncPort = 8848
	ipvsSyncTTL  = 1
)

// ipvsSyncGroup is ip_vs's own.
func ipvsSyncGroup() netip.Addr { return netip.AddrFrom4([4]byte{224, 0, 0, 81}) }

// What a message of ip_vs may have for bytes: a head and the largest entry without options at least, and what UDP takes.
const (
	minIPVSMessage = 80
	maxIPVSMessage = 65507
)

// ipvsSync has no interface after a complaint about it.
func (s scope) ipvsSync(n *yaml.Node) (out model.IPVSSync, from []placedAddress) {
	values := s.mapping(n, "it", ipvsSyncKeys)
	if values == nil {
		return out, nil
	}
	out = model.IPVSSync{Interface: s.routerInterface(n, values["interface"]), Send: true, Receive: true, TTL: ipvsSyncTTL}
	if id := values["id"]; id != nil {
		number, _ := s.number(id, "id", 0, 255)
		out.ID = uint8(number)
	}
	s.ipvsDirections(n, values, &out)
	out.Group = netip.AddrPortFrom(s.ipvsGroup(values["group"]), ipvsSyncPort)
	if port := values["port"]; port != nil {
		number, _ := s.number(port, "port", 1, 65535)
		out.Group = netip.AddrPortFrom(out.Group.Addr(), uint16(number))
	}
	if ttl := values["ttl"]; ttl != nil {
		number, _ := s.number(ttl, "ttl", 1, 255)
		out.TTL = uint8(number)
	}
	if size := values["size"]; size != nil {
		out.Size, _ = s.number(size, "size", minIPVSMessage, maxIPVSMessage)
	}
	if list := values["from"]; list != nil {
		from = s.ipvsFrom(list, out)
	}
	for _, one := range from {
		out.From = append(out.From, one.Addr())
	}
	return out, from
}

// ipvsDirections are both, unless one is taken away.
func (s scope) ipvsDirections(n *yaml.Node, values map[string]*yaml.Node, out *model.IPVSSync) {
	if send := values["send"]; send != nil {
		out.Send = s.truth(send, "send")
	}
	if receive := values["receive"]; receive != nil {
		out.Receive = s.truth(receive, "receive")
	}
	if !out.Send && !out.Receive && isFalse(values["send"]) && isFalse(values["receive"]) {
		s.complain(n, mistake{"it neither sends nor receives", `leave one of the two out, or all of "ipvs:"`})
	}
}

func isFalse(n *yaml.Node) bool { return n != nil && n.Value == "false" }

// ipvsGroup is ip_vs's own where nothing is written, and after a complaint.
func (s scope) ipvsGroup(n *yaml.Node) netip.Addr {
	const hint = "such as 224.0.0.81, or ff02::81"
	if n == nil {
		return ipvsSyncGroup()
	}
	text, ok := s.text(n, "group")
	if !ok {
		return ipvsSyncGroup()
	}
	s = s.in("group")
	group, err := netip.ParseAddr(text)
	switch withPort, wrong := netip.ParseAddrPort(text); {
	case wrong == nil:
		s.complain(n, mistake{"a port behind the address", fmt.Sprintf(`write "group: %s, port: %d"`, withPort.Addr(), withPort.Port())})
	case err != nil && strings.Contains(text, "/"):
		s.complain(n, mistake{fmt.Sprintf("%s is a network, not an address", quote(text)), hint})
	case err != nil:
		s.complain(n, *notAnAddress(text, err))
	case group.Zone() != "":
		s.complain(n, mistake{"zones (%) are not needed", `leave it out: "interface:" says where the group is`})
	case group.Is4In6():
		s.complain(n, *unfit(group))
	case !group.IsMulticast():
		s.complain(n, mistake{fmt.Sprintf("%s is no multicast address", group), hint})
	default:
		return group
	}
	return ipvsSyncGroup()
}

// ipvsFrom is whom to believe, by the family in which the group is.
func (s scope) ipvsFrom(n *yaml.Node, of model.IPVSSync) []placedAddress {
	if !of.Receive {
		s.complain(n, mistake{"from, but nothing is received", "leave it out"})
		return nil
	}
	out := s.others(n, "from", "address", placedAddress{})
	if len(out) > 0 && out[0].Addr().Is4() != of.Group.Addr().Is4() {
		s.in("from").complain(out[0].node, mistake{
			fmt.Sprintf("%s, but the group is %s", familyName(out[0].Addr()), familyName(of.Group.Addr())),
			"write the address by which the other director sends to the group"})
		return nil
	}
	return out
}

func ipvsSyncNode(s model.IPVSSync) *yaml.Node {
	pairs := []pair{{"interface", textNode(s.Interface)}}
	if s.ID != 0 {
		pairs = append(pairs, pair{"id", numberNode(int(s.ID))})
	}
	if !s.Send {
		pairs = append(pairs, pair{"send", falseNode()})
	}
	if !s.Receive {
		pairs = append(pairs, pair{"receive", falseNode()})
	}
	if s.Group.Addr() != ipvsSyncGroup() {
		pairs = append(pairs, pair{"group", addressNode(s.Group.Addr())})
	}
	if s.Group.Port() != ipvsSyncPort {
		pairs = append(pairs, pair{"port", numberNode(s.Group.Port())})
	}
	if s.TTL != ipvsSyncTTL {
		pairs = append(pairs, pair{"ttl", numberNode(int(s.TTL))})
	}
	if s.Size != 0 {
		pairs = append(pairs, pair{"size", numberNode(s.Size)})
	}
	if len(s.From) > 0 {
		pairs = append(pairs, pair{"from", listNode(s.From, addressNode)})
	}
	return mapNode(pairs...)
}
