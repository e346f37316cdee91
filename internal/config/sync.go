// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/connsync"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/trust"
)

// maxSyncPeers is what each change of a connection may be sent to, one after the other.
const maxSyncPeers = 16

// syncing is what the file says of connection sync, and where.
type syncing struct {
	model.Sync
	peers  []placedAddress
	source placedAddress
	from   []placedAddress
}

// sync is nobody where the key is left out.
func (s scope) sync(n *yaml.Node) (out syncing) {
	if n == nil {
		return out
	}
	s = s.in("sync")
	values := s.mapping(n, "it", syncKeys)
	if values == nil {
		return out
	}
	if len(values) == 0 && len(n.Content) == 0 {
		s.complain(n, mistake{"with nobody", `write "{interface: eth0, peers: [192.0.2.3], key_file: /etc/weir/sync.key}", or leave it out`})
		return out
	}
	if values["peers"] != nil {
		s.syncPeers(n, values, &out)
	} else {
		s.refuseWithoutPeers(values)
	}
	if ipvs := values["ipvs"]; ipvs != nil {
		out.IPVS, out.from = s.in("ipvs").ipvsSync(ipvs)
	}
	return out
}

// refuseWithoutPeers complains about what says how peers are spoken with, where there are none.
func (s scope) refuseWithoutPeers(values map[string]*yaml.Node) {
	for _, key := range []string{"interface", "source", "port", "key_file"} {
		if n := values[key]; n != nil {
			s.complain(n, mistake{key + " without peers", `write "peers: [192.0.2.3]", the other directors, or leave it out`})
			return
		}
	}
}

func (s scope) syncPeers(n *yaml.Node, values map[string]*yaml.Node, out *syncing) {
	out.Interface = s.routerInterface(n, values["interface"])
	if source := values["source"]; source != nil {
		if out.source = s.in("source").addressOnLink(source, "source"); out.source.node != nil {
			out.Source = out.source.Addr()
		}
	}
	out.peers = s.others(values["peers"], "peers", "peer", out.source)
	for _, peer := range out.peers {
		out.Peers = append(out.Peers, peer.Addr())
	}
	out.Port = connsync.DefaultPort
	if port := values["port"]; port != nil {
		number, _ := s.number(port, "port", 1, 65535)
		out.Port = uint16(number)
	}
	if file := values["key_file"]; file != nil {
		out.KeyFile = s.keyFile(file, func(path string) error { _, err := connsync.LoadKeys(path); return err })
		return
	}
	s.complain(n, mistake{"no key_file", `write "key_file: /etc/weir/sync.key"; ` + makeKey("/etc/weir/sync.key")})
}

// addressOnLink has no node after a complaint.
func (s scope) addressOnLink(n *yaml.Node, what string) placedAddress {
	text, ok := s.text(n, what)
	if !ok {
		return placedAddress{}
	}
	address, m := parseOneOnLink(text)
	if m != nil {
		s.complain(n, *m)
		return placedAddress{}
	}
	return placedAddress{netip.PrefixFrom(address, address.BitLen()), n}
}

// others is a list of other directors' addresses, all of one family.
func (s scope) others(n *yaml.Node, list, what string, source placedAddress) (out []placedAddress) {
	items := s.list(n, list)
	if len(items) == 0 && (n.Kind == yaml.SequenceNode || isNull(n)) {
		s.complain(n, mistake{"no " + what, fmt.Sprintf(`write "%s: [192.0.2.3]", or leave the key out`, list)})
	}
	for i, item := range items {
		if i == maxSyncPeers {
			s.in(list).complain(item, mistake{fmt.Sprintf("more than %d addresses", maxSyncPeers), "each of them is a director: is this the right list?"})
			break
		}
		one := s.in(list).addressOnLink(item, what)
		if one.node == nil {
			continue
		}
		m := unfitOther(one.Addr(), source, out)
		s.in(list).complainIf(item, m)
		if m == nil {
			out = append(out, one)
		}
	}
	return out
}

func unfitOther(a netip.Addr, source placedAddress, before []placedAddress) *mistake {
	twice := slices.IndexFunc(before, func(b placedAddress) bool { return b.Addr() == a })
	switch {
	case a == source.Addr():
		return &mistake{fmt.Sprintf("%s is the source", a), "peers are the other directors: leave this one out"}
	case source.node != nil && source.Addr().Is4() != a.Is4():
		return &mistake{fmt.Sprintf("%s, but the source is %s", familyName(a), familyName(source.Addr())), "write the peer's address of the source's family"}
	case twice >= 0:
		return &mistake{fmt.Sprintf("%s stands twice", a), fmt.Sprintf("the first is in line %d: keep one", before[twice].node.Line)}
	case len(before) > 0 && before[0].Addr().Is4() != a.Is4():
		return &mistake{fmt.Sprintf("%s beside %s ones", familyName(a), familyName(before[0].Addr())),
			"write addresses of one family: connections of both go to each of them"}
	}
	return nil
}

// makeKey is the way to a key file.
func makeKey(path string) string {
	return fmt.Sprintf("make it on one director, and copy it to the others: (umask 077; head -c 32 /dev/urandom | base64 > %s)", path)
}

// keyFile is looked at now, and read again whenever the configuration is. Who looks need not be who may read it.
func (s scope) keyFile(n *yaml.Node, load func(path string) error) string {
	path, ok := s.text(n, "key_file")
	if !ok {
		return ""
	}
	s = s.in("key_file")
	m := untrusted(trust.SecretFile(path))
	if _, err := os.Stat(path); m != nil && len(path) > 0 && path[0] == '/' && errors.Is(err, fs.ErrNotExist) {
		m.hint = makeKey(path)
	}
	if m == nil && isReadable(path) {
		if err := load(path); err != nil {
			m = &mistake{err.Error(), ""}
		}
	}
	s.complainIf(n, m)
	return path
}

func isReadable(path string) bool {
	f, err := trust.Open(path)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// checkSync refuses other directors at addresses that move, or that services have.
func (f *file) checkSync(of syncing, routers []router, services []service) {
	owners, served := ownersOf(routers), map[netip.Addr]service{}
	for _, s := range services {
		for _, key := range s.Keys() {
			served[key.Address] = s
		}
	}
	refuse := func(place string, a placedAddress, hint string) {
		what := ""
		if owner := owners[a.Addr()]; owner != nil && !owner.IsOwner() {
			what = "moves with " + owner.label
		} else if s, ok := served[a.Addr()]; ok && owner == nil {
			what = "is the address of " + s.label
		}
		if what != "" {
			f.complain(at(a.node), mistake{fmt.Sprintf("sync: %s: %s %s", place, a.Addr(), what), hint})
		}
	}
	for _, peer := range of.peers {
		refuse("peers", peer, "write an address that the peer always has")
	}
	for _, other := range of.from {
		refuse("ipvs: from", other, "write an address that the other director always has")
	}
	if of.source.node != nil {
		refuse("source", of.source, "write an address that this host always has, or leave it out")
	}
}

func syncNode(s model.Sync) *yaml.Node {
	var pairs []pair
	if len(s.Peers) > 0 {
		pairs = append(pairs, pair{"interface", textNode(s.Interface)}, pair{"peers", listNode(s.Peers, addressNode)})
		if s.Source.IsValid() {
			pairs = append(pairs, pair{"source", addressNode(s.Source)})
		}
		if s.Port != connsync.DefaultPort {
			pairs = append(pairs, pair{"port", numberNode(s.Port)})
		}
		pairs = append(pairs, pair{"key_file", textNode(s.KeyFile)})
	}
	if s.IPVS.Interface != "" {
		pairs = append(pairs, pair{"ipvs", ipvsSyncNode(s.IPVS)})
	}
	return mapNode(pairs...)
}

func addressNode(a model.Addr) *yaml.Node { return textNode(a.String()) }
