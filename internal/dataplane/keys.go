// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// keys is by what packets find their services. A range of ports is cut into parts, each of which has its
// first bits in common. Of each the value of its service is kept, as it lies in the maps.
type keys struct {
	single map[pathServiceKey]pathService
	parts  map[pathRangeKey]pathService
}

// rangeBits are those of a range's key without those of its port.
const rangeBits = 8 * (16 + 1 + 1)

// toKeys are a key of a service as the maps have it: a single one, or parts.
func toKeys(k model.ServiceKey) (single []pathServiceKey, parts []pathRangeKey) {
	if !k.IsRange() {
		return []pathServiceKey{toServiceKey(k)}, nil
	}
	for first, last := uint32(k.Port), uint32(k.Last); first <= last; {
		free := min(bits.TrailingZeros32(first|1<<16), bits.Len32(last-first+1)-1)
		parts = append(parts, pathRangeKey{
			Bits: rangeBits + 16 - uint32(free), Address: toAddr(k.Address), Protocol: uint8(k.Protocol), Port: toPort(uint16(first)),
		})
		first += 1 << free
	}
	return nil, parts
}

func (d *Dataplane) readKeys() (out keys, err error) {
	if out.single, err = readMap[pathServiceKey, pathService](d.path.Services); err != nil {
		return out, fmt.Errorf("read services: %w", err)
	}
	if out.parts, err = readMap[pathRangeKey, pathService](d.path.Ranges); err != nil {
		return out, fmt.Errorf("read ranges: %w", err)
	}
	return out, nil
}

// readMap reads a hash, or a trie.
func readMap[K comparable, V any](m *ebpf.Map) (map[K]V, error) {
	out := map[K]V{}
	var key K
	var value V
	each := m.Iterate()
	for each.Next(&key, &value) {
		out[key] = value
	}
	return out, each.Err()
}

// services are those that have a key. Of one whose change was cut short keys differ in their values.
func (k keys) services() map[serviceID]pathService {
	out := map[serviceID]pathService{}
	for _, value := range k.parts {
		out[serviceID{value.Id, value.Generation}] = value
	}
	for _, value := range k.single {
		out[serviceID{value.Id, value.Generation}] = value
	}
	return out
}

// putKeys has the packets of each key find the service.
func (d *Dataplane) putKeys(wants []model.ServiceKey, value pathService) error {
	for _, want := range wants {
		single, parts := toKeys(want)
		if err := putUnder(d.path.Services, d.tables.keys.single, single, value); err != nil {
			return fmt.Errorf("%s: %w", want, err)
		}
		if err := putUnder(d.path.Ranges, d.tables.keys.parts, parts, value); err != nil {
			return fmt.Errorf("%s: %w", want, err)
		}
	}
	return nil
}

func putUnder[K comparable](m *ebpf.Map, have map[K]pathService, keys []K, value pathService) error {
	for _, key := range keys {
		if have[key] == value {
			continue
		}
		err := m.Put(&key, &value)
		if errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) { // of a hash, of a trie
			return fmt.Errorf("%w: %d addresses, and parts of ranges, of all services are the most", ErrFull, m.MaxEntries())
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		have[key] = value
	}
	return nil
}

// removeKeys takes away those that no service has.
func (d *Dataplane) removeKeys(wants []model.ServiceWant) error {
	single, parts := map[pathServiceKey]bool{}, map[pathRangeKey]bool{}
	for _, want := range wants {
		for _, key := range want.Keys() {
			s, p := toKeys(key)
			for _, k := range s {
				single[k] = true
			}
			for _, k := range p {
				parts[k] = true
			}
		}
	}
	return errors.Join(
		removeUnder(d.path.Services, d.tables.keys.single, func(k pathServiceKey, _ pathService) bool { return !single[k] }),
		removeUnder(d.path.Ranges, d.tables.keys.parts, func(k pathRangeKey, _ pathService) bool { return !parts[k] }),
	)
}

// removeKeysOf takes away all those of a service.
func (d *Dataplane) removeKeysOf(service pathService) error {
	isIts := func(value pathService) bool {
		return value.Id == service.Id && value.Generation == service.Generation
	}
	return errors.Join(
		removeUnder(d.path.Services, d.tables.keys.single, func(_ pathServiceKey, v pathService) bool { return isIts(v) }),
		removeUnder(d.path.Ranges, d.tables.keys.parts, func(_ pathRangeKey, v pathService) bool { return isIts(v) }),
	)
}

func removeUnder[K comparable](m *ebpf.Map, have map[K]pathService, gone func(K, pathService) bool) error {
	for key, value := range have {
		if !gone(key, value) {
			continue
		}
		if err := ignoreMissing(m.Delete(&key)); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
		delete(have, key)
	}
	return nil
}
