// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// addressCounts is what a map of addresses holds: how many keys or servers have each, or what each is.
type addressCounts map[pathAddr]uint32

func readAddresses(m *ebpf.Map) (addressCounts, error) {
	return readMap[pathAddr, uint32](m)
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
		for _, key := range want.Keys() {
			counts[toAddr(key.Address)]++
		}
	}
	return counts
}

// hosts are the addresses that services of any destination leave alone; none where there is no such service.
func hosts(wants []model.ServiceWant, own []model.Addr) addressCounts {
	out := addressCounts{}
	for _, address := range own {
		out[toAddr(address)] |= uint32(pathHostHOST_OURS)
	}
	for _, want := range wants {
		for _, server := range want.Servers {
			if len(own) > 0 {
				out[toAddr(server.Key.Address)] |= uint32(pathHostHOST_SERVER)
			}
		}
	}
	return out
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
