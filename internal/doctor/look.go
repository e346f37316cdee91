// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// Look gathers the facts about this host, in the network namespace of the calling thread.
func Look(now time.Time, bpffs string, spec *model.Spec, daemon Daemon) (Facts, error) {
	f := Facts{Now: now, Spec: spec, Daemon: daemon}
	var err error
	if f.Host, err = dataplane.LookAtHost(bpffs); err != nil {
		return Facts{}, err
	}
	f.Filter = tryFilter(f.Host)
	if f.Process, err = lookAtProcess(f.Host.Pins.Pid); err != nil {
		return Facts{}, err
	}
	if err := f.lookAtNetwork(); err != nil {
		return Facts{}, err
	}
	return f, nil
}

// tryFilter changes nothing: the namespace in which it tries is gone again.
func tryFilter(h dataplane.Host) error {
	if h.Refused != nil {
		return fmt.Errorf("%w: %w", address.ErrUntried, h.Refused)
	}
	return dataplane.TryChecks(address.TryFilter)
}

func (f *Facts) lookAtNetwork() error {
	var spec model.Spec
	if f.Spec != nil {
		spec = *f.Spec
	}
	var err error
	if f.Network, err = address.Look(spec.ServerAddresses(), spec.TrackedRoutes()...); err != nil {
		return err
	}
	if f.Devices, err = address.Devices(); err != nil {
		return err
	}
	if f.Entries4, f.Entries6, err = address.CountNeighbours(); err != nil {
		return err
	}
	return f.lookAtSettings()
}

// lookAtSettings reads what the checks will look at.
func (f *Facts) lookAtSettings() error {
	h := newHost(*f)
	var err error
	if f.Timers, err = address.Timers(f.Network.Links, h.desired.Address.Neighbours); err != nil {
		return err
	}
	f.Sysctls = map[string]string{}
	for _, path := range h.paths() {
		value, err := address.Sysctl(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		f.Sysctls[path] = value
	}
	return nil
}
