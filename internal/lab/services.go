// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// Services is a configuration for weir: the web servers and the UDP echo behind the VIP, in both
// families, in turn, by the lab's method. Nobody asks the servers.
func (l *Lab) Services() string {
	var out strings.Builder
	out.WriteString("services:\n")
	for _, f := range Families() {
		l.writeService(&out, "web", "tcp", f, WebPort)
		l.writeService(&out, "echo", "udp", f, EchoPort)
	}
	return out.String()
}

func (l *Lab) writeService(out *strings.Builder, name, protocol string, f Family, port uint16) {
	fmt.Fprintf(out, `  - name: %s-%s
    address: %q
    protocol: %s
    scheduler: rr
    forwarding: %s
    check: off
    servers:
`, name, f, netip.AddrPortFrom(l.VIP.In(f), port), protocol, l.Forwarding)
	for _, s := range l.Servers {
		fmt.Fprintf(out, "      - {address: %q}\n", netip.AddrPortFrom(s.Address.In(f), port))
	}
}
