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
	GUEPorts   []uint16     // UDP ports on which GUE comes in
}

// Decap is what is attached and pinned for it. It needs no process to go on working.
type Decap struct {
	Interfaces []DecapInterface // by index
	Tunnels    []netip.Addr
	VIPs       []netip.Addr
	GUEPorts   []uint16
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
	if err := errors.Join(tellDecap(objects, want), decapLinks{p, objects.Decap}.replace(want.Interfaces)); err != nil {
		return fmt.Errorf("decapsulation: %w", err)
	}
	return nil
}

// tellDecap tells the program what is to be taken apart.
func tellDecap(objects *decapObjects, want DecapWant) error {
	return errors.Join(
		replaceSet(objects.Tunnels, want.Tunnels, toAddr, fromAddr),
		replaceSet(objects.Vips, want.VIPs, toAddr, fromAddr),
		replaceSet(objects.GuePorts, want.GUEPorts, asItIs, asItIs),
	)
}

func asItIs(port uint16) uint16 { return port }

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
	for name, m := range spec.Maps {
		if keepOf(name) == forever {
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

// replaceSet makes the keys of a map those that are wanted, adding first.
func replaceSet[T comparable, K any](m *ebpf.Map, want []T, to func(T) K, from func(K) T) error {
	for _, member := range want {
		if err := m.Put(to(member), uint8(1)); err != nil {
			return fmt.Errorf("add %v: %w", member, err)
		}
	}
	have, err := readSet(m, from)
	if err != nil {
		return err
	}
	for _, member := range have {
		if slices.Contains(want, member) {
			continue
		}
		if err := m.Delete(to(member)); err != nil {
			return fmt.Errorf("remove %v: %w", member, err)
		}
	}
	return nil
}

// readSet reads the keys of a map, in no order.
func readSet[T, K any](m *ebpf.Map, from func(K) T) ([]T, error) {
	var out []T
	var key K
	var value uint8
	each := m.Iterate()
	for each.Next(&key, &value) {
		out = append(out, from(key))
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", m, err)
	}
	return out, nil
}

func readDecap(p pins) (out Decap, err error) {
	var maps decapMaps
	defer func() { maps.Close() }()
	if err := openDecapMaps(p, &maps); err != nil {
		return Decap{}, err
	}
	var errs [4]error
	out.Tunnels, errs[0] = readSet(maps.Tunnels, fromAddr)
	out.VIPs, errs[1] = readSet(maps.Vips, fromAddr)
	out.GUEPorts, errs[2] = readSet(maps.GuePorts, asItIs)
	out.Verdicts, errs[3] = readDecapVerdicts(maps.DecapVerdicts)
	if err := errors.Join(errs[:]...); err != nil {
		return Decap{}, err
	}
	slices.SortFunc(out.Tunnels, netip.Addr.Compare)
	slices.SortFunc(out.VIPs, netip.Addr.Compare)
	slices.Sort(out.GUEPorts)
	out.Interfaces, err = decapLinks{pins: p}.read()
	return out, err
}

// openDecapMaps opens what is pinned. Another version of weir may have pinned it.
func openDecapMaps(p pins, maps *decapMaps) (err error) {
	for name, m := range map[string]**ebpf.Map{
		decapMapTunnels: &maps.Tunnels, decapMapVips: &maps.Vips, decapMapGuePorts: &maps.GuePorts,
		decapMapDecapVerdicts: &maps.DecapVerdicts,
	} {
		if *m, err = ebpf.LoadPinnedMap(filepath.Join(p.maps(), name), nil); errors.Is(err, os.ErrNotExist) {
			return errOtherDecap
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if maps.DecapVerdicts.MaxEntries() != uint32(decapDecapVerdictDECAP_VERDICTS) {
		return errOtherDecap
	}
	return nil
}

// errOtherDecap: what is attached goes on working until then.
var errOtherDecap = errors.New("another version of weir attached it: run `weir realserver up` again, as before")

// decapTexts says of every exit of bpf/decap.bpf.c what it is called and what it means.
var decapTexts = map[decapDecapVerdict]verdictText{
	decapDecapVerdictDECAP_PASSED:       {"passed", "not a tunnelled packet for this host"},
	decapDecapVerdictDECAP_DECAPSULATED: {"decapsulated", "the outer headers were taken off"},
	decapDecapVerdictDECAP_REFUSED:      {"refused", "tunnelled to this host, but the inner destination is none of its VIPs"},
	decapDecapVerdictDECAP_FRAGMENT:     {"fragment", "a fragment of a tunnelled packet: the director sends none"},
	decapDecapVerdictDECAP_MALFORMED:    {"malformed", "tunnelled to this host, but its headers lie about their lengths"},
	decapDecapVerdictDECAP_UNSUPPORTED:  {"unsupported", "a GRE or GUE header with more than the director's: key, flags, control, variant 1"},
	decapDecapVerdictDECAP_BAD_CHECKSUM: {"bad_checksum", "the checksum of GRE, or of GUE's UDP header, is wrong"},
	decapDecapVerdictDECAP_CONGESTED:    {"congested", "marked by a congested router, and the ends know no ECN: RFC 6040 section 4.2"},
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
