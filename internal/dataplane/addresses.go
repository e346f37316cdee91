// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// addressCounts is what a map of addresses holds: how many services or servers have each.
type addressCounts map[pathAddr]uint32

func readAddresses(m *ebpf.Map) (addressCounts, error) {
	out := addressCounts{}
	var key pathAddr
	var value uint32
	each := m.Iterate()
	for each.Next(&key, &value) {
		out[key] = value
	}
	return out, each.Err()
}

// applyAddresses makes a map of addresses equal to want; have is what it is known to hold.
func applyAddresses(m *ebpf.Map, have, want addressCounts) error {
	for address, count := range want {
		if have[address] == count {
			continue
		}
		if err := m.Put(&address, count); err != nil {
			return fmt.Errorf("%s: %w", fromAddr(address), err)
		}
		have[address] = count
	}
	for address := range have {
		if want[address] > 0 {
			continue
		}
		if err := ignoreMissing(m.Delete(&address)); err != nil {
			return fmt.Errorf("%s: %w", fromAddr(address), err)
		}
		delete(have, address)
	}
	return nil
}

func countVIPs(wants []model.ServiceWant) addressCounts {
	counts := addressCounts{}
	for _, want := range wants {
		counts[toAddr(want.Key.Address)]++
	}
	return counts
}

func countNATServers(wants []model.ServiceWant) addressCounts {
	counts := addressCounts{}
	for _, want := range wants {
		for _, server := range want.Servers {
			if server.Forwarding == model.NAT {
				counts[toAddr(server.Key.Address)]++
			}
		}
	}
	return counts
}
