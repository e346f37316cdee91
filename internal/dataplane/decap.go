// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// DecapWant is what a real server takes out of tunnels.
type DecapWant struct {
	Interfaces []model.Link // where tunnelled packets come in
	Tunnels    []netip.Addr // the host's own addresses, to which they are tunnelled
	VIPs       []netip.Addr // for which the packets inside must be
}

// Decap is what is attached and pinned for it. It needs no process to go on working.
type Decap struct {
	Interfaces []DecapInterface // by index
	Tunnels    []netip.Addr
	VIPs       []netip.Addr
	Verdicts   []Verdict
}

// DecapInterface is an interface on which tunnelled packets are taken apart.
type DecapInterface struct {
	Index int
	Mode  model.XDPMode
}

// decapPins are the places of the program's pins under --bpffs, beside those of a director.
func decapPins(bpffs string) pins { return pins{filepath.Join(bpffs, "decap")} }

// AttachDecap makes tunnels be taken apart as wanted, and no others. What is attached already is
// updated without losing a packet.
func AttachDecap(bpffs string, want DecapWant) error {
	if err := checkHost(); err != nil {
		return err
	}
	p := decapPins(bpffs)
	objects, err := openDecap(p)
	if err != nil {
		return fmt.Errorf("decapsulation: %w", err)
	}
	defer objects.Close()
	err = errors.Join(
		replaceAddresses(objects.Tunnels, want.Tunnels),
		replaceAddresses(objects.Vips, want.VIPs),
		decapLinks{p, objects.Decap}.replace(want.Interfaces),
	)
	if err != nil {
		return fmt.Errorf("decapsulation: %w", err)
	}
	return nil
}

// DetachDecap removes all of it, and the bpffs if AttachDecap mounted it.
func DetachDecap(bpffs string) error {
	if err := removeDecap(decapPins(bpffs)); err != nil {
		return fmt.Errorf("decapsulation: %w", err)
	}
	return UnmountBPFFS(bpffs)
}

func removeDecap(p pins) error {
	if err := (decapLinks{pins: p}).dropAll(); err != nil {
		return err
	}
	if err := p.remove(); err != nil {
		return err
	}
	return ignoreMissingFile(os.Remove(p.dir))
}

// ReadDecap reads what is there. Nothing attached is no error: the answer is empty.
func ReadDecap(bpffs string) (Decap, error) {
	p := decapPins(bpffs)
	if _, err := os.Stat(p.maps()); errors.Is(err, os.ErrNotExist) {
		return Decap{}, nil
	}
	out, err := readDecap(p)
	if err != nil {
		return Decap{}, fmt.Errorf("decapsulation: %w", err)
	}
	return out, nil
}

// openDecap loads the program with the maps that are pinned. Those of a version with other maps are
// made anew: they hold nothing but counters that Go does not write again.
func openDecap(p pins) (*decapObjects, error) {
	objects, err := loadPinnedDecap(p)
	if !errors.Is(err, ebpf.ErrMapIncompatible) {
		return objects, err
	}
	if err := removeDecap(p); err != nil {
		return nil, err
	}
	return loadPinnedDecap(p)
}

func loadPinnedDecap(p pins) (*decapObjects, error) {
	if err := MountBPFFS(filepath.Dir(p.dir)); err != nil { // not on p.dir, lest a director mounts over it
		return nil, err
	}
	if err := p.make(); err != nil {
		return nil, err
	}
	spec, err := loadDecap()
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	for _, m := range spec.Maps {
		if pinned(m) {
			m.Pinning = ebpf.PinByName
		}
	}
	var objects decapObjects
	options := &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: p.maps()}}
	if err := spec.LoadAndAssign(&objects, options); err != nil {
		return nil, loadError("decap", err)
	}
	return &objects, nil
}

// replaceAddresses makes a set of addresses hold those that are wanted, adding first.
func replaceAddresses(m *ebpf.Map, want []netip.Addr) error {
	for _, a := range want {
		if err := m.Put(toAddr(a), uint8(1)); err != nil {
			return fmt.Errorf("add %s: %w", a, err)
		}
	}
	have, err := readAddresses(m)
	if err != nil {
		return err
	}
	for _, a := range have {
		if slices.Contains(want, a) {
			continue
		}
		if err := m.Delete(toAddr(a)); err != nil {
			return fmt.Errorf("remove %s: %w", a, err)
		}
	}
	return nil
}

func readAddresses(m *ebpf.Map) ([]netip.Addr, error) {
	var out []netip.Addr
	var key pathAddr
	var value uint8
	each := m.Iterate()
	for each.Next(&key, &value) {
		out = append(out, fromAddr(key))
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out, nil
}

func readDecap(p pins) (out Decap, err error) {
	var maps decapMaps
	defer func() { maps.Close() }()
	for name, m := range map[string]**ebpf.Map{
		decapMapTunnels: &maps.Tunnels, decapMapVips: &maps.Vips, decapMapDecapVerdicts: &maps.DecapVerdicts,
	} {
		if *m, err = ebpf.LoadPinnedMap(filepath.Join(p.maps(), name), nil); err != nil {
			return Decap{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if out.Tunnels, err = readAddresses(maps.Tunnels); err != nil {
		return Decap{}, err
	}
	if out.VIPs, err = readAddresses(maps.Vips); err != nil {
		return Decap{}, err
	}
	if out.Verdicts, err = readDecapVerdicts(maps.DecapVerdicts); err != nil {
		return Decap{}, err
	}
	out.Interfaces, err = decapLinks{pins: p}.read()
	return out, err
}

// decapTexts says of every exit of bpf/decap.bpf.c what it is called and what it means.
var decapTexts = map[decapDecapVerdict]verdictText{
	decapDecapVerdictDECAP_PASSED:       {"passed", "not a tunnelled packet for this host"},
	decapDecapVerdictDECAP_DECAPSULATED: {"decapsulated", "the outer header was taken off"},
	decapDecapVerdictDECAP_REFUSED:      {"refused", "tunnelled to this host, but the inner destination is none of its VIPs"},
	decapDecapVerdictDECAP_FRAGMENT:     {"fragment", "a fragment of a tunnelled packet: the director sends none"},
	decapDecapVerdictDECAP_MALFORMED:    {"malformed", "tunnelled to this host, but its headers lie about their lengths"},
}

func readDecapVerdicts(m *ebpf.Map) ([]Verdict, error) {
	var out []Verdict
	for v := decapDecapVerdictDECAP_CONTINUE + 1; v < decapDecapVerdictDECAP_VERDICTS; v++ {
		var cpus []uint64
		if err := m.Lookup(uint32(v), &cpus); err != nil {
			return nil, fmt.Errorf("read verdicts: %w", err)
		}
		text := decapTexts[v]
		sum := Verdict{Name: text.name, Help: text.help}
		for _, n := range cpus {
			sum.Count += n
		}
		out = append(out, sum)
	}
	return out, nil
}
