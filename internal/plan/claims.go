// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// claimProblems are virtual addresses of this host that another one on the link says it has.
func claimProblems(spec model.Spec, claims map[model.Addr]model.Claim) (out []model.Problem) {
	for _, address := range slices.SortedFunc(maps.Keys(claims), model.Addr.Compare) {
		claim := claims[address]
		out = append(out, model.Problem{
			What: fmt.Sprintf("address %s", address),
			Why: fmt.Sprintf("another host on %s says that it has it, at %s: clients may be sent there",
				claim.Interface, net.HardwareAddr(claim.MAC[:])),
			Fix: claimFix(spec, address),
		})
	}
	return out
}

// claimFix: a second master is one who does not hear this one, or was not heard.
func claimFix(spec model.Spec, address model.Addr) string {
	fix := "take the address away there; a real server keeps it to itself after `weir realserver up`"
	if routerOf(spec, address) != nil {
		fix += "; if that is another director, see there why it is master too (`weir vrrp`)"
	}
	return fix
}
