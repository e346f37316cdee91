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
	return applyMap(m, have, want, func(a pathAddr) string { return fromAddr(a).String() })
}

// applyMap makes a map equal to want, in which no value is 0; have is what it is known to hold.
func applyMap[K comparable, V uint32 | uint64](m *ebpf.Map, have, want map[K]V, text func(K) string) error {
	for key, value := range want {
		if have[key] == value {
			continue
		}
		if err := m.Put(&key, value); err != nil {
			return fmt.Errorf("%s: %w", text(key), err)
		}
		have[key] = value
	}
	for key := range have {
		if want[key] > 0 {
			continue
		}
		if err := ignoreMissing(m.Delete(&key)); err != nil {
			return fmt.Errorf("%s: %w", text(key), err)
		}
		delete(have, key)
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
