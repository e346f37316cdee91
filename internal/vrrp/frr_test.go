// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// What FRR 8.4 has in common with weir: it knows no unicast, and of checksums RFC 5798's alone.
var (
	fastFRR = fast[:2]
	slowFRR = slow[:1]
)

// routersOfFRR are they as FRR's vrrpd has them.
func routersOfFRR(s shared, priority uint8) string {
	var b strings.Builder
	b.WriteString("interface eth0\n")
	for _, router := range s {
		vrrp := fmt.Sprintf(" vrrp %d ", router.ID)
		fmt.Fprintf(&b, "%sversion %d\n%spriority %d\n%sadvertisement-interval %d\n", vrrp, router.Version, vrrp, priority, vrrp, router.Advertise.Milliseconds())
		for _, address := range router.Addresses {
			family := "ip"
			if address.Addr().Is6() {
				family = "ipv6"
			}
			fmt.Fprintf(&b, "%s%s %s\n", vrrp, family, address.Addr())
		}
	}
	return b.String()
}

// frr is vrrpd.
type frr struct {
	*netlab.FRR
	shared shared
}

// fe80::2 is eth0's; FRR sends adverts of IPv6 from an address of the interface that has the virtual MAC.
var sourceOfFRR = map[bool]netip.Addr{true: netip.MustParseAddr("fe80::102"), false: netip.MustParseAddr("192.0.2.2")}

func (s shared) isV6(i int) bool { return s[i].Addresses[0].Addr().Is6() }

// macvlans are the interfaces that FRR wants to find: one for each virtual router, with its MAC.
func (n namespace) macvlans(s shared) {
	n.T.Helper()
	for i, router := range s {
		name, family := fmt.Sprintf("vrrp%d", router.ID), 1
		if s.isV6(i) {
			family = 2
		}
		n.Run(fmt.Sprintf("ip link add %s link eth0 address 00:00:5e:00:%02x:%02x type macvlan mode bridge", name, family, router.ID))
		n.Run(fmt.Sprintf("ip link set %s addrgenmode none", name))
		if s.isV6(i) {
			n.Run(fmt.Sprintf("ip addr add %s/64 dev %s", sourceOfFRR[true], name))
		}
		n.Run("ip link set " + name + " up")
	}
}

func (n namespace) frr(s shared, priority uint8) *frr {
	n.T.Helper()
	f := &frr{FRR: n.NewFRR("vrrpd", deadline), shared: s}
	f.Begin(routersOfFRR(s, priority))
	return f
}

// stop ends it as a service's stop does; vrrpd says priority 0.
func (f *frr) stop() { f.End(syscall.SIGTERM) }

// kill ends it without a word.
func (f *frr) kill() { f.End(syscall.SIGKILL) }

// said is what vrrpd has logged of a virtual router.
func (f *frr) said(id uint8) (lines []string) {
	text, _ := os.ReadFile(f.At("vrrpd.log"))
	for line := range strings.Lines(string(text)) {
		if _, what, ok := strings.Cut(line, fmt.Sprintf("[VRID %d] ", id)); ok {
			lines = append(lines, strings.TrimSpace(what))
		}
	}
	return lines
}

// state is what it says of a virtual router.
func (f *frr) state(id uint8) (state string) {
	for _, line := range f.said(id) {
		if _, to, ok := strings.Cut(line, " -> "); ok {
			state = to
		}
	}
	return state
}

func (f *frr) becomes(state string) {
	f.T.Helper()
	for _, router := range f.shared {
		if !waits(func() bool { return f.state(router.ID) == state }) {
			text, _ := os.ReadFile(f.At("vrrpd.log"))
			f.T.Fatalf("FRR's %s is not %s within %s, but %s:\n%s", router.Name, state, deadline, f.state(router.ID), text)
		}
	}
}

// followsFRR waits until it is backup of FRR.
func (d *director) followsFRR(peer *frr) {
	d.t.Helper()
	for i, router := range peer.shared {
		want := sourceOfFRR[peer.shared.isV6(i)]
		if !waits(func() bool {
			seen := d.seen(router.Name)
			return seen.State == model.VRRPBackup && seen.Master == want && seen.Priority == 150
		}) {
			d.t.Fatalf("%s does not follow FRR: %+v, %+v\n%q", router.Name, d.seen(router.Name), d.order("counts").Counts[router.Name], peer.said(router.ID))
		}
	}
}

// takesOverFrom waits until it is master, for a reason that ends so.
func (d *director) takesOverFrom(s shared, has func(why string) bool) {
	d.t.Helper()
	d.becomes(model.VRRPMaster, s.names()...)
	for _, name := range s.names() {
		if why := d.seen(name).Why; !has(why) {
			d.t.Errorf("%s: %q", name, why)
		}
	}
}

func hasGone(why string) bool        { return strings.HasPrefix(why, "no advert of ") }
func hasSteppedDown(why string) bool { return strings.HasSuffix(why, "2 has stepped down") }

func TestFRRIsBackupOfWeir(t *testing.T) {
	t.Parallel()
	netlab.NeedFRR(t, "vrrpd")
	left, right := newLAN(t)
	right.macvlans(fastFRR)
	peer := right.frr(fastFRR, 100)
	weir := left.direct(left.ours(fastFRR, 150)...)
	weir.becomes(model.VRRPMaster, fastFRR.names()...)
	peer.becomes("Backup")

	weir.kill()
	peer.becomes("Master")

	again := left.direct(left.ours(fastFRR, 150)...)
	again.becomes(model.VRRPMaster, fastFRR.names()...)
	peer.becomes("Backup")
	again.isUnderstood()
	again.signal(syscall.SIGTERM)
	peer.becomes("Master")
}

func TestWeirIsBackupOfFRR(t *testing.T) {
	t.Parallel()
	netlab.NeedFRR(t, "vrrpd")
	left, right := newLAN(t)
	right.macvlans(fastFRR)
	peer := right.frr(fastFRR, 150)
	weir := left.direct(left.ours(fastFRR, 100)...)
	weir.followsFRR(peer)
	peer.stop()
	weir.takesOverFrom(fastFRR, hasSteppedDown)

	again := right.frr(fastFRR, 150)
	again.becomes("Master")
	weir.followsFRR(again)
	again.kill()
	weir.takesOverFrom(fastFRR, hasGone)
	weir.isUnderstood()
}

func TestVersion2WithFRR(t *testing.T) {
	t.Parallel()
	netlab.NeedFRR(t, "vrrpd")
	left, right := newLAN(t)
	right.macvlans(slowFRR)
	peer := right.frr(slowFRR, 150)
	weir := left.direct(left.ours(slowFRR, 100)...)
	weir.followsFRR(peer)
	peer.stop()
	weir.takesOverFrom(slowFRR, hasSteppedDown)

	below := right.frr(slowFRR, 50)
	below.becomes("Backup")
	weir.isUnderstood()
	weir.signal(syscall.SIGTERM)
	below.becomes("Master")
}
