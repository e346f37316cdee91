// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// What the time may be from advert to advert. Version 3 has twelve bits of hundredths of a second (RFC 9568
// section 5.2.7), version 2 eight of seconds (RFC 3768 section 5.3.7).
const (
	hundredth         = 10 * time.Millisecond
	maxAdvertise      = 4095 * hundredth
	maxAdvertise2     = 255 * time.Second
	standardAdvertise = time.Second
)

// maxRouterDelay is how long a virtual router may wait, at its start and before it takes over.
const maxRouterDelay = time.Hour

// standardPriority is that of who says nothing (RFC 9568 section 5.2.4).
const standardPriority = 100

// router is a virtual router and where it stands. What could not be read is zero.
type router struct {
	model.VirtualRouter
	label   string // what messages call it
	node    *yaml.Node
	name    *yaml.Node
	id      *yaml.Node
	preempt *yaml.Node
	group   *yaml.Node
	fence   *yaml.Node

	tracks    []placedTrack
	routes    []placedRoute
	addresses []placedAddress
	peers     []placedAddress
	source    placedAddress
	witness   []placedAddress
	steady    []placedAddress // of its paths
}

// plainRouters strips the places off.
func plainRouters(routers []router) []model.VirtualRouter {
	var out []model.VirtualRouter
	for _, r := range routers {
		out = append(out, r.VirtualRouter)
	}
	return out
}

func (s scope) virtualRouters(n *yaml.Node) (out []router) {
	for i, item := range s.list(n, "vrrp") {
		if i == model.MaxVirtualRouters {
			s.complain(item, mistake{fmt.Sprintf("more than %d virtual routers", model.MaxVirtualRouters),
				fmt.Sprintf("one may have %d addresses, which move together", maxRouterAddresses)})
			break
		}
		out = append(out, s.virtualRouter(item, i+1))
	}
	return out
}

func (s scope) virtualRouter(n *yaml.Node, number int) router {
	out := router{label: "virtual router " + s.call(n, number, "name"), node: n}
	s = s.in(out.label)
	values := s.mapping(n, "a virtual router", routerKeys)
	if values == nil {
		return out
	}
	out.name, out.id, out.preempt, out.group = values["name"], values["id"], values["preempt"], values["group"]
	out.Name = s.routerName(n, out.name)
	out.Interface = s.routerInterface(n, values["interface"])
	out.ID = s.routerID(n, out.id)
	out.Version = s.vrrpVersion(values["version"])
	out.Priority = s.priority(values["priority"])
	out.Advertise = s.advertise(values["advertise"], out.Version)
	out.Preempt, out.PreemptDelay = s.preempt(out.preempt)
	if delay := values["start_delay"]; delay != nil {
		out.StartDelay = s.duration(delay, "start_delay", 0, maxRouterDelay)
	}
	out.Closed = s.closed(values["accept"], out)
	s.routerAddresses(n, values, &out)
	out.Checksum = s.vrrpChecksum(values["checksum"], out)
	out.Auth = s.routerAuth(values["auth"])
	out.VirtualMAC = s.virtualMAC(values["mac"], out)
	s.complainIf(out.preempt, ownerPreempts(out))
	s.splitBrain(values, &out)
	out.Group = s.routerGroup(out.group)
	out.tracks = s.tracks(values["track"], out)
	for _, t := range out.tracks {
		out.Track = append(out.Track, t.Track)
	}
	out.routes = s.virtualRoutes(values["routes"], out)
	for _, r := range out.routes {
		out.Routes = append(out.Routes, r.VirtualRoute)
	}
	return out
}

// missing complains about a key that must be written.
func (s scope) missing(n *yaml.Node, key, example string) {
	s.complain(n, mistake{"no " + key, fmt.Sprintf("write %q", key+": "+example)})
}

func (s scope) routerName(n, name *yaml.Node) string {
	if name == nil {
		s.missing(n, "name", "front")
		return ""
	}
	text, ok := s.text(name, "name")
	if ok {
		s.complainIf(name, unfitName(text))
	}
	return text
}

// routerGroup is "" for none, and after a complaint.
func (s scope) routerGroup(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	text, ok := s.text(n, "group")
	if !ok {
		return ""
	}
	if m := unfitName(text); m != nil {
		s.complain(n, *m)
		return ""
	}
	return text
}

func (s scope) routerInterface(n, name *yaml.Node) string {
	if name == nil {
		s.missing(n, "interface", "eth0")
		return ""
	}
	out, _ := s.in("interface").interfaceName(name)
	return out
}

func (s scope) routerID(n, id *yaml.Node) uint8 {
	if id == nil {
		s.missing(n, "id", "51")
		return 0
	}
	out, _ := s.number(id, "id", 1, 255)
	return uint8(out)
}

// vrrpVersion returns 0 after a complaint; what depends on it is not looked at then.
func (s scope) vrrpVersion(n *yaml.Node) model.VRRPVersion {
	if n == nil {
		return model.VRRP3
	}
	version, _ := s.number(n, "version", int(model.VRRP2), int(model.VRRP3))
	return model.VRRPVersion(version)
}

// priority explains the two that are not anybody's to choose.
func (s scope) priority(n *yaml.Node) uint8 {
	if n == nil {
		return standardPriority
	}
	number, err := strconv.Atoi(n.Value)
	if err != nil || !isDecimal(n.Value) || number > 0 && number <= model.OwnerPriority {
		number, _ = s.number(n, "priority", 1, model.OwnerPriority)
		return uint8(number)
	}
	what := fmt.Sprintf("priority %s is out of range", n.Value)
	if number == 0 {
		what = "priority 0 is what a master sends that resigns"
	}
	s.complain(n, mistake{what, "from 1 to 254, the highest is master; 255 is for the host whose own the addresses are"})
	return 0
}

// advertise returns 0 after a complaint.
func (s scope) advertise(n *yaml.Node, version model.VRRPVersion) time.Duration {
	if n == nil {
		return standardAdvertise
	}
	if d, ok := fraction(n.Value); ok {
		s.complain(n, mistake{"advertise must be a whole number with a unit, not " + label(n.Value), "write " + printDuration(d)})
		return 0
	}
	if version == model.VRRP2 {
		return s.advertise2(n)
	}
	d := s.duration(n, "advertise", hundredth, maxAdvertise)
	if low := d.Truncate(hundredth); d != low {
		s.complain(n, mistake{fmt.Sprintf("advertise %s is no multiple of 10ms", n.Value),
			fmt.Sprintf("adverts say it in hundredths of a second: write %s or %s", printDuration(low), printDuration(low+hundredth))})
		return 0
	}
	return d
}

func (s scope) advertise2(n *yaml.Node) time.Duration {
	if d, ok := parseDuration(n.Value); ok && d < maxAdvertise2 && d%time.Second != 0 {
		s.complain(n, mistake{fmt.Sprintf("advertise %s has a fraction of a second, which version 2 cannot say", n.Value),
			"from 1s to 255s; version 3 can, and is the default"})
		return 0
	}
	return s.duration(n, "advertise", time.Second, maxAdvertise2)
}

// fraction reads seconds as keepalived has them, 0.1 or 1.5s.
func fraction(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64)
	if err != nil || !strings.Contains(text, ".") || seconds < 0.01 || seconds > maxAdvertise2.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond), true
}

// preempt is true, false, or a map with a delay.
func (s scope) preempt(n *yaml.Node) (bool, time.Duration) {
	switch {
	case n == nil:
		return true, 0
	case n.Kind != yaml.ScalarNode:
		delay := s.in("preempt").mapping(n, "it", preemptKeys)["delay"]
		if delay == nil {
			return true, 0
		}
		return true, s.in("preempt").duration(delay, "delay", 0, maxRouterDelay)
	}
	if _, ok := parseDuration(n.Value); ok {
		s.complain(n, mistake{"preempt must be true, false or a map, not a time", fmt.Sprintf(`write "preempt: {delay: %s}"`, n.Value)})
		return true, 0
	}
	if n.Value == "off" || n.Value == "no" {
		s.complain(n, mistake{fmt.Sprintf("preempt must be true or false, not %q", n.Value), `write "preempt: false"`})
		return true, 0
	}
	return s.truth(n, "preempt"), 0
}

// ownerPreempts refuses what RFC 9568 section 6.1 has no choice about.
func ownerPreempts(r router) *mistake {
	if !r.IsOwner() || r.Preempt && r.PreemptDelay == 0 {
		return nil
	}
	return &mistake{"who has priority 255 always takes over, and at once",
		"leave it out, or write a priority below 255: 255 is for the host whose own the addresses are"}
}

// closed is the opposite of `accept`. RFC 9568 section 6.1 leaves the choice to who is no owner.
func (s scope) closed(n *yaml.Node, of router) bool {
	if n == nil || s.truth(n, "accept") {
		return false
	}
	if of.IsOwner() {
		s.complain(n, mistake{"who has priority 255 takes what is sent to its own addresses",
			"leave it out, or write a priority below 255: 255 is for the host whose own the addresses are"})
	}
	return true
}

// vrrpChecksum is a choice for version 3 over IPv4 alone: over IPv6 all agree, and version 2 has no pseudo header.
func (s scope) vrrpChecksum(n *yaml.Node, of router) model.VRRPChecksum {
	if n == nil {
		return model.ChecksumPeer
	}
	word, _ := s.word(n, "checksum", vrrpChecksums)
	switch {
	case of.Version == model.VRRP2:
		s.complain(n, mistake{"checksum in version 2, which has one only", "leave it out"})
	case len(of.Addresses) > 0 && of.Addresses[0].Addr().Is6():
		s.complain(n, mistake{"checksum over IPv6, where there is one only", "leave it out"})
	}
	checksum, _ := model.ParseVRRPChecksum(word)
	return checksum
}

// The words of mac.
const (
	interfaceMAC = "interface"
	virtualMAC   = "virtual"
)

// How many IPv6 addresses an advert has room for that is no larger than what every link takes (RFC 8200 section 5),
// behind the headers of IPv6 and of the advert, and before a signature: what comes from a virtual MAC nobody fragments.
const (
	maxVirtualMAC6       = (1280 - 40 - 8) / 16
	maxVirtualMAC6Signed = (1280 - 40 - 8 - 28) / 16
)

// virtualMAC tells whether the addresses are at a MAC of the virtual router's own. An advert to one peer goes by the
// kernel, which knows the way to it, and its own MAC alone.
func (s scope) virtualMAC(n *yaml.Node, of router) bool {
	if n == nil {
		return false
	}
	most := maxVirtualMAC6
	if of.Auth.KeyFile != "" {
		most = maxVirtualMAC6Signed
	}
	word, _ := s.word(n, "mac", routerMACs)
	switch {
	case word != virtualMAC:
		return false
	case of.IsOwner():
		s.complain(n, mistake{"mac: virtual with priority 255, whose addresses are at this host's own MAC", "leave it out, or write a priority below 255"})
	case len(of.Peers) > 0:
		s.complain(n, mistake{"mac: virtual with peers, to whom adverts come from the interface's own MAC", `leave "peers:" out: by adverts to all, switches learn where the virtual MAC is`})
	case len(of.addresses) > most && of.addresses[0].Addr().Is6():
		s.complain(of.addresses[most].node, mistake{fmt.Sprintf("mac: virtual with more than %d IPv6 addresses: one frame has no room for more in an advert", most),
			"write another virtual router, with an id of its own, for this one and those after it"})
	}
	return true
}

func routerNode(r model.VirtualRouter) *yaml.Node {
	pairs := []pair{{"name", textNode(r.Name)}, {"interface", textNode(r.Interface)}, {"id", numberNode(int(r.ID))}}
	if r.Version != model.VRRP3 {
		pairs = append(pairs, pair{"version", numberNode(int(r.Version))})
	}
	if r.Priority != standardPriority {
		pairs = append(pairs, pair{"priority", numberNode(int(r.Priority))})
	}
	if r.Advertise != standardAdvertise {
		pairs = append(pairs, pair{"advertise", textNode(printDuration(r.Advertise))})
	}
	pairs = append(pairs, pair{"addresses", listNode(r.Addresses, func(p netip.Prefix) *yaml.Node { return textNode(prefixText(p)) })})
	if len(r.Peers) > 0 {
		pairs = append(pairs, pair{"peers", listNode(r.Peers, func(a model.Addr) *yaml.Node { return textNode(a.String()) })})
	}
	if r.Source.IsValid() {
		pairs = append(pairs, pair{"source", textNode(r.Source.String())})
	}
	if preempt := preemptNode(r); preempt != nil {
		pairs = append(pairs, pair{"preempt", preempt})
	}
	if r.StartDelay != 0 {
		pairs = append(pairs, pair{"start_delay", textNode(printDuration(r.StartDelay))})
	}
	if r.Closed {
		pairs = append(pairs, pair{"accept", falseNode()})
	}
	if r.Checksum != model.ChecksumPeer {
		pairs = append(pairs, pair{"checksum", textNode(r.Checksum.String())})
	}
	if r.VirtualMAC {
		pairs = append(pairs, pair{"mac", textNode(virtualMAC)})
	}
	if r.Auth.KeyFile != "" {
		pairs = append(pairs, pair{"auth", authNode(r.Auth)})
	}
	pairs = append(pairs, splitBrainPairs(r)...)
	if r.Group != "" {
		pairs = append(pairs, pair{"group", textNode(r.Group)})
	}
	if len(r.Track) > 0 {
		pairs = append(pairs, pair{"track", listNode(r.Track, trackNode)})
	}
	if len(r.Routes) > 0 {
		pairs = append(pairs, pair{"routes", listNode(r.Routes, virtualRouteNode)})
	}
	return mapNode(pairs...)
}

// preemptNode is nil for the default.
func preemptNode(r model.VirtualRouter) *yaml.Node {
	switch {
	case !r.Preempt:
		return falseNode()
	case r.PreemptDelay != 0:
		return mapNode(pair{"delay", textNode(printDuration(r.PreemptDelay))})
	}
	return nil
}

// prefixText leaves the length out that is the default.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
