// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"

	"github.com/weir-lb/weir/internal/model"
)

// devices are VLAN devices: they have no program of their own, the one on their parent takes their
// frames by the tag.
func devices(wants []model.InterfaceWant) (out []model.InterfaceWant) {
	for _, want := range wants {
		if want.Parent != 0 {
			out = append(out, want)
		}
	}
	return out
}

// carriers are the interfaces that a program goes on.
func carriers(wants []model.InterfaceWant) (out []model.InterfaceWant) {
	for _, want := range wants {
		if want.Parent == 0 {
			out = append(out, want)
		}
	}
	return out
}

func toVLANKey(want model.InterfaceWant) pathVlanKey {
	return pathVlanKey{Ifindex: uint32(want.Parent), Vlan: uint32(want.VLAN)}
}

// applyVLANs tells the path which tags are ours: first the device, then the tag that leads to it,
// the reverse on removal.
func (d *Dataplane) applyVLANs(wants []model.InterfaceWant) error {
	have, err := d.readVLANs()
	if err != nil {
		return err
	}
	var errs []error
	for _, want := range wants {
		key := toVLANKey(want)
		if err := d.putVLAN(want, have[key]); err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %w", want.Name, err))
		}
		delete(have, key)
	}
	for key, device := range have {
		errs = append(errs, d.removeVLAN(key, device))
	}
	return errors.Join(errs...)
}

func (d *Dataplane) readVLANs() (map[pathVlanKey]uint32, error) {
	have := map[pathVlanKey]uint32{}
	var key pathVlanKey
	var device uint32
	each := d.path.Vlans.Iterate()
	for each.Next(&key, &device) {
		have[key] = device
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read vlans: %w", err)
	}
	return have, nil
}

func (d *Dataplane) putVLAN(want model.InterfaceWant, have uint32) error {
	if err := d.putInterface(want, nil); err != nil {
		return err
	}
	if have == uint32(want.Index) {
		return nil
	}
	key := toVLANKey(want)
	if err := d.path.Vlans.Put(&key, uint32(want.Index)); err != nil {
		return fmt.Errorf("write its tag: %w", err)
	}
	if have == 0 {
		return nil
	}
	return d.forgetInterface(int(have)) // the device was made anew
}

func (d *Dataplane) removeVLAN(key pathVlanKey, device uint32) error {
	if err := ignoreMissing(d.path.Vlans.Delete(&key)); err != nil {
		return fmt.Errorf("remove tag %d: %w", key.Vlan, err)
	}
	return d.forgetInterface(int(device))
}
