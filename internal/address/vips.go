// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// holding is a virtual address on a link.
type holding struct {
	link    int
	address model.Addr
}

// applyVIPs adds addresses first and removes afterwards, so that one that moves is never away.
func (t *Target) applyVIPs(handle *netlink.Handle, links []model.Link, vips []model.VIP) error {
	wanted, err := holdings(links, vips)
	return errors.Join(
		err,
		t.addVIPs(handle, links, wanted),
		t.removeVIPs(wanted),
		t.beginAnnouncing(handle, wanted, time.Now()),
	)
}

// holdings finds the links of the VIPs. The error names those whose interface is missing.
func holdings(links []model.Link, vips []model.VIP) (map[holding]model.Link, error) {
	out := map[holding]model.Link{}
	var errs []error
	for _, vip := range vips {
		link, err := linkNamed(links, vip.Interface)
		if err != nil {
			errs = append(errs, fmt.Errorf("put %s on an interface: %w", vip.Address, err))
			continue
		}
		out[holding{link.Index, vip.Address}] = link
	}
	return out, errors.Join(errs...)
}

func (t *Target) addVIPs(handle *netlink.Handle, links []model.Link, wanted map[holding]model.Link) error {
	missing := maps.Clone(wanted)
	for _, link := range links {
		for _, prefix := range link.Prefixes { // whatever the length: somebody else may have put it there
			delete(missing, holding{link.Index, prefix.Addr()})
		}
	}
	var changes []change
	for h, link := range missing {
		changes = append(changes, addressOn(h, link.Name))
	}
	if err := t.journal.record(changes...); err != nil {
		return err
	}
	var errs []error
	for _, c := range changes {
		if err := addVIP(handle, c.Index, c.Prefix); err != nil {
			errs = append(errs, fmt.Errorf("put %s on %s: %w", c.Prefix.Addr(), c.Link, err))
		}
	}
	return errors.Join(errs...)
}

// addVIP puts an address on a link. An IPv6 one is never preferred: as a /128 it would match a
// server's address longest, and the host would speak to its servers as the VIP (RFC 6724, section 5,
// rules 3 and 8). It needs no duplicate detection, which would keep it silent for a second.
func addVIP(handle *netlink.Handle, link int, prefix netip.Prefix) error {
	address := &netlink.Addr{IPNet: toIPNet(prefix)}
	if prefix.Addr().Is6() {
		address.Flags = unix.IFA_F_NODAD
		address.PreferedLft = 0
		address.ValidLft = math.MaxUint32 // for ever
	}
	err := handle.AddrAdd(linkOf(link), address)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// removeVIPs removes what weir added, in this life or an earlier one, and nobody wants any more.
func (t *Target) removeVIPs(wanted map[holding]model.Link) error {
	return t.journal.restore(func(c change) bool {
		_, ok := wanted[holding{c.Index, c.Prefix.Addr()}]
		return c.Kind == addressChange && !ok
	})
}

func addressOn(h holding, link string) change {
	return change{
		Kind:   addressChange,
		Link:   link,
		Index:  h.link,
		Prefix: netip.PrefixFrom(h.address, h.address.BitLen()),
	}
}
