// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"github.com/vishvananda/netlink"

	"github.com/weir-lb/weir/internal/model"
)

// device is what has a virtual MAC: a macvlan upon an interface, which is there as long as one of its addresses is.
// It is of the bridge's kind. Upon a private one the interface would hear no advert of another director that holds
// itself for master: it comes from the same MAC, and such frames a private one keeps for itself.
type device struct {
	link string // the interface that it is upon
	on   int    // its index
	mac  model.MAC
}

func deviceOn(link model.Link, mac model.MAC) device { return device{link.Name, link.Index, mac} }

// ofIPv6 tells whether the MAC is that of a virtual router of IPv6 (RFC 9568 section 7.3).
func (d device) ofIPv6() bool { return d.mac[4] == 2 }

// name is weir4-51-2: that of IPv4's virtual router 51 on interface 2. It has room for an index of five digits.
func (d device) name() string {
	family := 4
	if d.ofIPv6() {
		family = 6
	}
	return fmt.Sprintf("weir%d-%d-%d", family, d.mac[5], d.on)
}

func (d device) change() change {
	return change{Kind: deviceChange, Path: d.name(), Link: d.link, Index: d.on, MAC: d.mac}
}

// devicesOf are those that VIPs need. Interfaces that are missing are named elsewhere.
func devicesOf(links []model.Link, vips []model.VIP) map[device]bool {
	out := map[device]bool{}
	for _, vip := range vips {
		if link, err := linkNamed(links, vip.Interface); err == nil && vip.MAC != (model.MAC{}) {
			out[deviceOn(link, vip.MAC)] = true
		}
	}
	return out
}

// addDevices makes those that are wanted, and returns the links with them.
func (t *Target) addDevices(handle *netlink.Handle, links []model.Link, wanted map[device]bool) ([]model.Link, error) {
	if len(wanted) == 0 {
		return links, nil
	}
	var changes []change
	for d := range wanted {
		changes = append(changes, d.change())
	}
	if err := t.journal.record(changes...); err != nil {
		return links, err
	}
	var errs []error
	for d := range wanted {
		if err := d.make(handle); err != nil {
			errs = append(errs, fmt.Errorf("virtual MAC %x on %s: %w", d.mac, d.link, err))
		}
	}
	links, err := readLinks(handle)
	return links, errors.Join(append(errs, err)...)
}

// removeDevices removes those that weir made and nobody wants any more.
func (t *Target) removeDevices(wanted map[device]bool) error {
	names := map[string]bool{}
	for d := range wanted {
		names[d.name()] = true
	}
	return t.journal.restore(func(c change) bool { return c.Kind == deviceChange && !names[c.Path] })
}

// make makes it, unless it is there, and has it be as it must.
func (d device) make(handle *netlink.Handle) error {
	link, err := d.find(handle)
	if err == nil && link == nil {
		err = d.add(handle)
	}
	if err != nil {
		return err
	}
	if err := d.set(); err != nil {
		return err
	}
	if link == nil || !isUp(link.Attrs()) {
		return d.up(handle)
	}
	return nil
}

// find returns nil if it is not there. What somebody else has made by its name is left alone.
func (d device) find(handle *netlink.Handle) (netlink.Link, error) {
	link, err := handle.LinkByName(d.name())
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)):
		return nil, nil
	case err != nil:
		return nil, err
	case !isDevice(link, d.on, d.mac):
		return nil, fmt.Errorf("interface %s is there, and is another one: remove it, or give it another name", d.name())
	}
	return link, nil
}

// isDevice tells whether a link is the macvlan of a MAC upon an interface.
func isDevice(link netlink.Link, parent int, mac model.MAC) bool {
	_, ok := link.(*netlink.Macvlan)
	return ok && link.Attrs().ParentIndex == parent && toMAC(link.Attrs().HardwareAddr) == mac
}

func (d device) add(handle *netlink.Handle) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr = d.name(), d.on, d.mac[:]
	if err := handle.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
		return fmt.Errorf("make macvlan %s (is the kernel's module macvlan there?): %w", d.name(), err)
	}
	return nil
}

func (d device) up(handle *netlink.Handle) error {
	link, err := handle.LinkByName(d.name())
	if err == nil {
		err = handle.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", d.name(), err)
	}
	return nil
}

// set makes its settings. They go with it, so the journal need not know them.
func (d device) set() error {
	settings := []setting{
		{ipv4Setting(d.name(), "arp_ignore"), "1"}, // it answers for its own addresses alone
		{ipv4Setting(d.name(), "rp_filter"), "2"},  // the ways to clients lead by the interface below
	}
	if d.ofIPv6() {
		settings = append(settings,
			setting{ipv6Setting(d.name(), "addr_gen_mode"), "1"}, // no link-local address of its own
			setting{ipv6Setting(d.name(), "accept_ra"), "0"},
			setting{ipv6Setting(d.name(), "disable_ipv6"), "0"}, // by default a host may have it off
		)
	} else {
		settings = append(settings, setting{ipv6Setting(d.name(), "disable_ipv6"), "1"}) // nor does it say anything
	}
	var errs []error
	for _, s := range append(settings, d.forwarding()...) {
		if err := writeSysctl(s.path, s.value); !errors.Is(err, fs.ErrNotExist) { // a host may have no IPv6
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// forwarding is as on the interface: what comes to its MAC and is for somebody else goes on as before.
func (d device) forwarding() (out []setting) {
	of := ipv4Setting
	if d.ofIPv6() {
		of = ipv6Setting
	}
	if value, err := Sysctl(of(d.link, "forwarding")); err == nil {
		out = append(out, setting{of(d.name(), "forwarding"), value})
	}
	return out
}

func ipv4Setting(link, name string) string { return path.Join("net/ipv4/conf", link, name) }
func ipv6Setting(link, name string) string { return path.Join("net/ipv6/conf", link, name) }

// undoDevice removes a device, unless somebody else has made another one of its name meanwhile.
func (c change) undoDevice(handle *netlink.Handle) error {
	link, err := handle.LinkByName(c.Path)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil || !isDevice(link, c.Index, c.MAC) {
		return err
	}
	return handle.LinkDel(link)
}

const (
	arpIgnore   = "arp_ignore"
	arpAnnounce = "arp_announce"
)

// ownARP keeps interfaces from answering ARP for addresses that are at another MAC of this host, and from asking as one
// of these: whoever is asked would believe that it is at the interface's MAC.
func ownARP(names []string) (out []setting, err error) {
	var errs []error
	for _, name := range names {
		for _, s := range []setting{{ipv4Setting(name, arpIgnore), "1"}, {ipv4Setting(name, arpAnnounce), "2"}} {
			s, err := orStricter(s)
			out, errs = append(out, s), append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

// isOwnARP tells whether a setting of the journal is one of ownARP's: a real server has those of all interfaces.
func isOwnARP(p string) bool {
	dir, name := path.Split(p)
	return (name == arpIgnore || name == arpAnnounce) && path.Base(dir) != "all"
}

// orStricter leaves a setting as it is that is stricter already.
func orStricter(s setting) (setting, error) {
	have, err := Sysctl(s.path)
	if err != nil {
		return s, err
	}
	is, err := strconv.Atoi(have)
	if err != nil {
		return s, fmt.Errorf("sysctl %s: %w", s.path, err)
	}
	if least, _ := strconv.Atoi(s.value); is > least {
		s.value = have
	}
	return s, nil
}
