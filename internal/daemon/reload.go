// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// Reload reads the daemon's own file again. A file with mistakes changes nothing.
func (d *daemon) Reload(ctx context.Context) (uint64, error) {
	d.reload.Lock()
	defer d.reload.Unlock()
	defer d.systemd.reloading()()
	spec, err := config.Load(d.options.Config)
	if err != nil {
		return 0, err
	}
	if err := d.checkReload(spec); err != nil {
		return 0, fmt.Errorf("%s: %w", d.options.Config, err)
	}
	accepted, planned := make(chan uint64, 1), make(chan struct{})
	files := d.maintenanceNow(spec.MaintenanceDir, d.state.Load().seen.Maintenance)
	select {
	case d.edits <- edit{spec, files, accepted, planned}:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-d.running.Done():
		return 0, d.running.Err()
	}
	revision := <-accepted
	d.awaitPlan(ctx, planned)
	return revision, nil
}

// awaitPlan lets who asks behind a reload what there is read of its revision, not of the one before, which is applied.
// What was accepted is so all the same where the network cannot be looked at for that long.
func (d *daemon) awaitPlan(ctx context.Context, planned <-chan struct{}) {
	const enough = 2 * time.Second
	select {
	case <-planned:
	case <-ctx.Done():
	case <-d.running.Done():
	case <-time.After(enough):
	}
}

// checkReload refuses what only a restart can change, and interfaces that are not there: balancing
// would end on those that are.
func (d *daemon) checkReload(spec model.Spec) error {
	s := d.state.Load()
	if s == nil {
		return ErrStarting
	}
	network, err := address.Look(nil) // what was seen is older than a link that was made just now
	if err != nil {
		return err
	}
	if err := checkInterfaces(added(spec, s.spec), network); err != nil {
		return err
	}
	before := plan.Aliases(s.spec)
	fresh := slices.DeleteFunc(plan.Aliases(spec), func(p netip.Prefix) bool { return slices.Contains(before, p) })
	if err := address.CheckAliases(fresh); err != nil {
		return err
	}
	if now, then := d.options.socket(s.spec), d.options.socket(spec); now != then {
		return fmt.Errorf("api: unix: the socket cannot move from %s to %s while the daemon runs: restart it, no packet is lost by that", now, then)
	}
	return nil
}

// added is spec with those interfaces only that were not named before: one that vanished meanwhile
// is a problem in `weir status`, and no reason to turn another change down.
func added(spec, before model.Spec) model.Spec {
	known := map[string]bool{}
	for _, i := range before.Interfaces {
		known[i.Name] = true
	}
	spec.Interfaces = slices.DeleteFunc(slices.Clone(spec.Interfaces), func(i model.Interface) bool { return known[i.Name] })
	return spec
}

// hear reloads at SIGHUP, as daemons do.
func (d *daemon) hear(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.hangup:
		}
		revision, err := d.Reload(ctx)
		if err != nil {
			d.log.Error("not reloaded, the old configuration stays", "err", err)
			continue
		}
		d.log.Info("reloaded", "rev", revision)
	}
}
