// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/config"
)

// Services is weir's configuration of what the rows ask, as it is before or after what was changed
// before their first connection.
func Services(rows []Row, changed bool) string {
	var out strings.Builder
	if len(rows) == 0 {
		return "services: []\n"
	}
	out.WriteString("services:\n")
	for _, r := range rows {
		r.write(&out, changed)
	}
	return out.String()
}

func (r Row) write(out *strings.Builder, changed bool) {
	fmt.Fprintf(out, "  - name: %s\n    address: %q\n    protocol: %s\n    scheduler: %s\n    check: off\n", r.ServiceName(), r.address(), r.Protocol, r.Scheduler)
	if len(r.Flags) > 0 {
		fmt.Fprintf(out, "    flags: [%s]\n", strings.Join(r.Flags, ", "))
	}
	if r.OnePacket {
		out.WriteString("    one_packet: true\n")
	}
	out.WriteString("    forwarding: nat\n    servers:\n")
	for i, weight := range r.Weights {
		if changed && r.Change.Server == i+1 {
			if r.Change.Removed {
				continue
			}
			weight = r.Change.Weight
		}
		fmt.Fprintf(out, "      - {address: %q, weight: %d}\n", r.Server(i+1), weight)
	}
}

// Continued are those whose services the next rows go on with.
func Continued(rows, next []Row) (out []Row) {
	for _, r := range rows {
		goesOn := func(n Row) bool { return n.Continues && n.Protocol == r.Protocol && n.virtual() == r.virtual() }
		if slices.ContainsFunc(next, goesOn) {
			out = append(out, r)
		}
	}
	return out
}

// ServiceName is what the row's service is called in the configuration: after the place of the row, in
// letters that are allowed there.
func (r Row) ServiceName() string {
	const most = 48
	file := odd.ReplaceAllString(r.File, "_")
	return fmt.Sprintf("%s-%d", file[:min(len(file), most)], r.Line)
}

var odd = regexp.MustCompile(`[^A-Za-z0-9._]|^[._]`)

// address is that of the service. weir reads no firewall marks: what had one is any destination.
func (r Row) address() string {
	v := r.virtual()
	if r.Marked {
		return strings.Replace(v.String(), v.Addr().String(), v.Addr().String()+"/0", 1)
	}
	return v.String()
}

// virtual is the service's address and port, unspecified where it is any.
func (r Row) virtual() netip.AddrPort {
	if !r.Marked {
		return r.Service
	}
	to := r.Asks[0].To
	if to.Addr().Is6() {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), to.Port())
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), to.Port())
}

// Later is what this version of weir does not have yet of what the row asks; "": it has all. That is
// what the configuration says, so what comes later is compared by itself.
func (r Row) Later() (string, error) {
	_, err := config.Parse(r.Place(), []byte(Services([]Row{r}, false)))
	if err == nil {
		return "", nil
	}
	wrong, ok := errors.AsType[*config.Error](err)
	if !ok {
		return "", err
	}
	const later = "not in this version yet: "
	var what []string
	for _, c := range wrong.Complaints {
		_, missing, found := strings.Cut(c.Message, later)
		if !found {
			return "", err
		}
		what = append(what, missing)
	}
	return strings.Join(what, ", "), nil
}
