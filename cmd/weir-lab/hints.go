// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/weir-lb/weir/internal/lab"
)

// hints tells a person what there is and what to try.
func hints(l *lab.Lab, webServer string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "A network of shape %s, for %s. Servers run %s.\n\n", l.Shape, l.Forwarding, webServer)
	line := func(name, what string, p lab.Pair) {
		fmt.Fprintf(&out, "  %-10s %-16s %-20s %s\n", name, p.IPv4, p.IPv6, what)
	}
	line("VIP", "the service: web on port 80, UDP echo on port 7", l.VIP)
	for _, n := range l.Nodes() {
		line(n.Name, about[strings.TrimRight(n.Name, "0123456789")], n.Address)
	}
	d := l.Directors[0]
	fmt.Fprintf(&out, `
This shell is on the client. Each name above is a command that runs another one there. Try:

  curl http://%[1]s/
      several times: another server each time. Each tells its name, whom it saw, and on which address
  curl --interface %[2]s http://%[1]s/ ; curl 'http://[%[3]s]/'
      as another client, and over IPv6
  weir status ; weir servers ; weir connections ; weir counters
      what the director thinks of it
  real1 ip addr ; router tcpdump -ni eth1
      what a real server holds, and the LAN as the router sees it
  ${EDITOR:-vi} %[4]s && weir reload
      other services; the daemon's log is %[5]s

exit ends all of it.
`, l.VIP.IPv4, l.Client.Addresses(lab.IPv4)[9], l.VIP.IPv6, d.Config, d.Log)
	return out.String()
}

// about says what a node is, by its name without the number.
var about = map[string]string{
	"client":   "many clients: this address and those after it",
	"router":   "between the clients and the LAN",
	"inner":    "the router between the LAN and the servers",
	"director": "a balancer",
	"real":     "a real server",
}
