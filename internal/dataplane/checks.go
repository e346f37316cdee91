// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// checks is the program by which checks leave that go through services' addresses, and where it reads where
// they lead. Neither is pinned: the filters that internal/address makes of it keep it, and checks begin anew
// with the daemon.
type checks struct {
	program *ebpf.Program
	ways    *ebpf.Map
	have    map[pathAddr]checksCheckWay // what ways is known to hold
}

func (d *Dataplane) loadChecks() error {
	spec, err := loadChecks()
	if err != nil {
		return fmt.Errorf("checks: %w", err)
	}
	var objects struct {
		Check *ebpf.Program `ebpf:"check"`
		Ways  *ebpf.Map     `ebpf:"check_ways"`
	}
	if err := spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{MapReplacements: d.share(spec)}); err != nil {
		return loadError("checks", err)
	}
	d.checks = checks{program: objects.Check, ways: objects.Ways, have: map[pathAddr]checksCheckWay{}}
	return nil
}

// Close may be called of one that was never loaded.
func (c *checks) Close() error { return errors.Join(c.program.Close(), c.ways.Close()) }

// CheckProgram is what must see packets that leave towards servers. The descriptor is the dataplane's.
func (d *Dataplane) CheckProgram() (model.Program, error) {
	info, err := d.checks.program.Info()
	if err != nil {
		return model.Program{}, fmt.Errorf("checks: %w", err)
	}
	id, _ := info.ID()
	return model.Program{FD: d.checks.program.FD(), ID: int(id)}, nil
}

// applyDetours tells the program of checks of the detours that are wanted.
func (d *Dataplane) applyDetours(wants []model.DetourWant) error {
	err := d.checks.apply(wants)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.detourTrouble = ""
	if err != nil {
		d.detourTrouble = err.Error()
	}
	return err
}

// DetourTrouble says why the program does not know all detours of the last Apply; "": it does.
func (d *Dataplane) DetourTrouble() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.detourTrouble
}

// apply makes the ways of checks those that are wanted.
func (c *checks) apply(wants []model.DetourWant) error {
	wanted := map[pathAddr]checksCheckWay{}
	for _, want := range wants {
		if want.Alias.IsValid() {
			wanted[toAddr(want.Alias)] = toCheckWay(want)
		}
	}
	for alias := range c.have {
		if _, ok := wanted[alias]; ok {
			continue
		}
		if err := ignoreMissing(c.ways.Delete(&alias)); err != nil {
			return fmt.Errorf("check by way of %s: %w", fromAddr(alias), err)
		}
		delete(c.have, alias)
	}
	for alias, way := range wanted {
		if c.have[alias] == way {
			continue
		}
		if err := c.ways.Put(&alias, &way); err != nil {
			return fmt.Errorf("check by way of %s: %w", fromAddr(alias), err)
		}
		c.have[alias] = way
	}
	return nil
}

func toCheckWay(w model.DetourWant) checksCheckWay {
	out := checksCheckWay{Service: checksAddr(toAddr(w.Virtual)), Ifindex: uint32(w.Link)}
	if w.Forwarding != model.TUN {
		return out
	}
	out.Server, out.Source = checksAddr(toAddr(w.Server)), checksAddr(toAddr(w.Source))
	out.Tunnel = uint8(toTunnelType[w.Tunnel.Type])
	out.TunnelPort = toPort(w.Tunnel.Port)
	out.Overhead = uint16(w.Tunnel.Overhead(w.Server))
	if w.Tunnel.Source.IsValid() {
		out.Source = checksAddr(toAddr(w.Tunnel.Source.Masked().Addr()))
	}
	return out
}
