// SPDX-License-Identifier: Apache-2.0

package address

import (
	"cmp"
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

// place is where a holding is: its link, the interface that it is upon or that itself, and the length of the network that
// comes with it.
type place struct {
	link  model.Link
	named string
	bits  int
}

// applyVIPs makes the addresses those that are wanted.
func (t *Target) applyVIPs(handle *netlink.Handle, links []model.Link, vips []model.VIP) error {
	t.vips.mend.replaced()
	return t.putVIPs(handle, links, vips)
}

// putVIPs adds addresses first and removes afterwards, so that one that moves is never away.
func (t *Target) putVIPs(handle *netlink.Handle, links []model.Link, vips []model.VIP) error {
	devices := devicesOf(links, vips)
	links, failed := t.addDevices(handle, links, devices)
	wanted, err := holdings(links, vips)
	missing := t.missing(links, wanted)
	err = errors.Join(
		failed,
		err,
		t.removeVIPs(func(c change) bool { return isOfAnotherLength(c, wanted) }),
		t.addVIPs(handle, missing),
		t.removeVIPs(func(c change) bool {
			_, ok := wanted[c.holding()]
			return !ok
		}),
		t.removeDevices(devices),
		t.beginAnnouncing(handle, wanted, missing, time.Now()),
	)
	t.vips.want, t.vips.held, t.vips.failed = vips, wanted, err != nil
	return err
}

// holdings finds the links of the VIPs. The error names those whose interface is missing.
func holdings(links []model.Link, vips []model.VIP) (map[holding]place, error) {
	out := map[holding]place{}
	var errs []error
	for _, vip := range vips {
		link, err := linkOfVIP(links, vip)
		if err != nil {
			errs = append(errs, fmt.Errorf("put %s on an interface: %w", vip.Address, err))
			continue
		}
		out[holding{link.Index, vip.Address}] = place{link, vip.Interface, cmp.Or(vip.Bits, vip.Address.BitLen())}
	}
	return out, errors.Join(errs...)
}

// linkOfVIP is the interface, or the device of the virtual MAC upon it.
func linkOfVIP(links []model.Link, vip model.VIP) (model.Link, error) {
	link, err := linkNamed(links, vip.Interface)
	if err != nil || vip.MAC == (model.MAC{}) {
		return link, err
	}
	return linkNamed(links, deviceOn(link, vip.MAC).name())
}

// missing are those of the wanted that are not there, whatever their length: somebody else may have put them there.
// What weir put there with another length will be removed.
func (t *Target) missing(links []model.Link, wanted map[holding]place) map[holding]place {
	old := map[change]bool{}
	for _, c := range t.journal.matching(func(c change) bool { return isOfAnotherLength(c, wanted) }) {
		old[c.subject()] = true
	}
	missing := maps.Clone(wanted)
	for _, link := range links {
		for _, prefix := range link.Prefixes {
			h := holding{link.Index, prefix.Addr()}
			if !old[addressOn(h, place{link, link.Name, prefix.Bits()}).subject()] {
				delete(missing, h)
			}
		}
	}
	return missing
}

// isOfAnotherLength tells whether a change is a wanted address with the length of another network.
func isOfAnotherLength(c change, wanted map[holding]place) bool {
	at, ok := wanted[c.holding()]
	return c.Kind == addressChange && ok && at.bits != c.Prefix.Bits()
}

func (t *Target) addVIPs(handle *netlink.Handle, missing map[holding]place) error {
	var changes []change
	for h, at := range missing {
		changes = append(changes, addressOn(h, at))
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
func (t *Target) removeVIPs(unwanted func(change) bool) error {
	return t.journal.restore(func(c change) bool { return c.Kind == addressChange && unwanted(c) })
}

func addressOn(h holding, at place) change {
	return change{
		Kind:   addressChange,
		Link:   at.named,
		Index:  h.link,
		Prefix: netip.PrefixFrom(h.address, at.bits),
	}
}

// holding is what an addressChange is about.
func (c change) holding() holding { return holding{c.Index, c.Prefix.Addr()} }

// keptVIPs are those that are put back where somebody takes them away.
type keptVIPs struct {
	want   []model.VIP
	held   map[holding]place
	failed bool // some are not held
	mend   mend
}

// hasDevice tells whether a link is one that weir has made for addresses.
func (t *Target) hasDevice(link int) bool {
	for h, at := range t.vips.held {
		if h.link == link && at.link.Name != at.named {
			return true
		}
	}
	return false
}

// mendVIPs puts those back that were wanted last.
func (t *Target) mendVIPs(handle *netlink.Handle, now time.Time) error {
	if !t.vips.mend.isDue(now) {
		return nil
	}
	links, err := readLinks(handle)
	if err == nil {
		err = t.putVIPs(handle, links, t.vips.want)
	}
	return t.vips.mend.done(now, err)
}
