// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/lab"
)

// throughVIP is the kind of checks that go through the virtual address by DR, where the first server is all of the
// servers, and holds that address. What many services ask one address is asked at many ports. There are no more
// servers on the LAN than a kernel has room for among its neighbours.
const (
	throughVIP      = "http-vip"
	throughServices = 40
	throughPort     = 7001 // of the first one
)

// servicesThrough have all servers each.
func (w *watch) servicesThrough(checks int) string {
	var servers []string
	for i := range checks / throughServices {
		servers = append(servers, throughServer(i).String())
	}
	var out strings.Builder
	out.WriteString("services:\n" + w.pickedService())
	for i := range throughServices {
		fmt.Fprintf(&out, "  - {name: s%d, address: \"%s:%d\", scheduler: rr, forwarding: dr, check: {http: /health, via: vip, interval: %s}, servers: [%s]}\n",
			i, w.lab.VIP.IPv4, throughPort+i, askedEvery, strings.Join(servers, ", "))
	}
	return out.String()
}

func throughServer(i int) netip.Addr {
	address := asked.Addr().As4()
	address[2], address[3] = byte(1+i/250), byte(1+i%250)
	return netip.AddrFrom4(address)
}

// serveThrough has the first server be all of them, on the director's LAN.
func (w *watch) serveThrough(t *testing.T, checks int) error {
	var errs []error
	for i := range throughServices {
		errs = append(errs, w.serve(t, uint16(throughPort+i)))
	}
	var add strings.Builder
	for i := range checks / throughServices {
		fmt.Fprintf(&add, "ip address add %s/32 dev %s\n", throughServer(i), lab.FirstLink)
	}
	_, err := w.lab.Servers[0].Output(t.Context(), "/bin/sh", "-ec", add.String())
	errs = append(errs, err)
	_, err = w.director.Output(t.Context(), "ip", "route", "replace", asked.String(), "dev", lab.FirstLink)
	return errors.Join(append(errs, err)...)
}
