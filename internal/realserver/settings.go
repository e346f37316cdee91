// SPDX-License-Identifier: Apache-2.0

package realserver

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// setting is a sysctl and the least value that a real server needs. Of all three the kernel takes
// the larger of conf/all and conf/INTERFACE, and a larger value does more of the same.
type setting struct {
	path  string
	least int
}

// silence keeps the host from answering ARP for addresses of another interface than the one that was
// asked (the VIPs are on lo), and from naming them as its own when it asks. On `all` it is so on
// every interface, those that come later too. IPv6 needs neither: NDP answers only for addresses of
// the interface that was asked.
var silence = []setting{
	{"net/ipv4/conf/all/arp_ignore", 1},
	{"net/ipv4/conf/all/arp_announce", 2},
}

// settings are what the VIPs need. Where packets are filtered by their source, the filter must be a
// loose one (2, RFC 3704 section 2.4): a client's packet comes from the director's side, the way to
// the client may be another. A filter that is off stays off.
func settings(want Want, in []model.Link) ([]setting, error) {
	if !slices.ContainsFunc(want.VIPs, netip.Addr.Is4) {
		return nil, nil
	}
	out := slices.Clone(silence)
	for _, link := range in {
		own := path.Join("net/ipv4/conf", link.Name, "rp_filter")
		filtered, err := isOn(own, "net/ipv4/conf/all/rp_filter")
		if err != nil {
			return nil, err
		}
		if filtered {
			out = append(out, setting{own, 2})
		}
	}
	return out, nil
}

func isOn(paths ...string) (bool, error) {
	for _, p := range paths {
		value, err := read(p)
		if err != nil || value > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

func read(path string) (int, error) {
	text, err := address.Sysctl(path)
	if err != nil {
		return 0, err
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("sysctl %s: %w", path, err)
	}
	return value, nil
}

// applySettings sets what is wanted, and puts back what was set for an earlier want.
func applySettings(journal *address.Journal, want Want, in []model.Link) error {
	wanted, err := settings(want, in)
	if err != nil {
		return err
	}
	for _, s := range wanted {
		value, err := read(s.path)
		if err != nil {
			return err
		}
		if value >= s.least {
			continue
		}
		if err := journal.SetSysctl(s.path, strconv.Itoa(s.least)); err != nil {
			return err
		}
	}
	return journal.RestoreSysctls(func(path string) bool {
		return !slices.ContainsFunc(wanted, func(s setting) bool { return s.path == path })
	})
}
