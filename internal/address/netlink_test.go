// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// moveLink moves a link of the calling thread's namespace into another one.
func moveLink(name string, to netns.NsHandle) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetNsFd(link, int(to))
}

// manyRoutes adds and removes routes, to make the kernel talk.
func (n namespace) manyRoutes(count int) {
	n.t.Helper()
	n.do(func() error {
		for i := range count {
			_, dst, _ := net.ParseCIDR(fmt.Sprintf("203.0.113.%d/32", i%256))
			route := &netlink.Route{Dst: dst, Gw: net.ParseIP("192.0.2.2")}
			if err := netlink.RouteReplace(route); err != nil {
				return err
			}
			if err := netlink.RouteDel(route); err != nil {
				return err
			}
		}
		return nil
	})
}

// send puts frames on a link of the namespace.
func (n namespace) send(link string, frames ...[]byte) {
	n.t.Helper()
	index := n.link(link).Index
	n.do(func() error {
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		for _, f := range frames {
			if err := unix.Sendto(socket, f, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
				return err
			}
		}
		return nil
	})
}

func lastWord(s string) string {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}
