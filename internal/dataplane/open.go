// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Open loads the path, takes over what is pinned, and swaps the new program in on every interface
// that has an old one. No packet is lost by it.
func Open(o Options) (*Dataplane, error) {
	if err := checkHost(); err != nil {
		return nil, err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	d := &Dataplane{log: o.Log, pins: pins{o.BPFFS}, links: map[string]*attached{}, inUse: map[serviceID]inUse{}, waiting: newWaiting(cpus), tracing: make(chan struct{}, 1)}
	d.syncer.applied = make(chan struct{}, 1)
	if err := d.open(o); err != nil {
		return nil, fmt.Errorf("dataplane: %w", errors.Join(err, d.Discard()))
	}
	return d, nil
}

func (d *Dataplane) open(o Options) error {
	spec, err := pathSpec()
	if err != nil {
		return err
	}
	if err := d.pins.make(); err != nil {
		return err
	}
	if d.lock, err = takeLock(d.pins); err != nil {
		return err
	}
	conns := cmp.Or(o.MaxConns, defaultConns)
	if d.about, err = openAbout(d.pins, layoutHash(spec), o.Config, conns); err != nil {
		return err
	}
	if err := d.pins.dropTables(d.table(), d.tableOf(cmp.Or(d.about.note.Next, d.about.note.Conns))); err != nil {
		return err
	}
	if err := d.load(spec); err != nil {
		return err
	}
	if err := d.takeOver(); err != nil {
		return err
	}
	return d.resize(conns)
}

// pathSpec is the path as this version has it. All that loads it, or compares it with pins, begins here.
func pathSpec() (*ebpf.CollectionSpec, error) {
	spec, err := loadPath()
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	revise(spec)
	return spec, nil
}

// load brings maps, path, sweep, end and checks into the kernel, the maps from their pins where there are any.
func (d *Dataplane) load(spec *ebpf.CollectionSpec) error {
	pinByName(spec)
	if err := d.table().set(spec); err != nil {
		return err
	}
	hz, err := setClock(spec)
	if err != nil {
		return err
	}
	d.inner = spec.Maps["slots"].InnerMap
	pinning := ebpf.MapOptions{PinPath: d.pins.maps()}
	if err := spec.LoadAndAssign(&d.path, &ebpf.CollectionOptions{Maps: pinning}); err != nil {
		return loadError("path", err)
	}
	d.shown = d.path.Weir
	if err := d.bind(d.path.Weir); err != nil {
		return err
	}
	if err := d.loadBeside(hz); err != nil {
		return err
	}
	if err := d.loadChecks(); err != nil {
		return err
	}
	if d.events, err = ringbuf.NewReader(d.path.Events); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if d.held, err = ringbuf.NewReader(d.path.HeldFrames); err != nil {
		return fmt.Errorf("held fragments: %w", err)
	}
	return nil
}

// loadBeside loads what works on the table of connections beside the path, and counts what is in there.
func (d *Dataplane) loadBeside(hz uint32) error {
	if err := d.loadSweeper(hz); err != nil {
		return err
	}
	if err := d.loadEnder(); err != nil {
		return err
	}
	_, err := d.Sweep()
	return err
}

// bind makes a program point at the note, so that whoever finds it on an interface can name its daemon.
func (d *Dataplane) bind(p *ebpf.Program) error {
	if err := p.BindMap(d.about.m); err != nil {
		return fmt.Errorf("bind %s: %w", aboutName, err)
	}
	return nil
}

func pinByName(spec *ebpf.CollectionSpec) {
	for name, m := range spec.Maps {
		switch keepOf(name) {
		case forever:
			m.Pinning = ebpf.PinByName
		case byItsLayout:
			m.Pinning, m.Name = ebpf.PinByName, layoutName(name, m)
		}
	}
}

func (d *Dataplane) loadSweeper(hz uint32) error {
	spec, err := loadSweeper()
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if err := spec.Variables["jiffies_per_second"].Set(hz); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	d.hz = hz
	if err := d.table().set(spec); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if err := d.putTimeouts(defaultTimeouts, orphanTimeouts()); err != nil {
		return err
	}
	if err := spec.LoadAndAssign(&d.sweeper, &ebpf.CollectionOptions{MapReplacements: d.share(spec)}); err != nil {
		return loadError("sweep", err)
	}
	return nil
}

// shared are the path's maps by their names, but for the table that connections leave while they move.
func (d *Dataplane) shared() map[string]*ebpf.Map {
	p := d.path.pathMaps
	return map[string]*ebpf.Map{
		"interfaces": p.Interfaces, "services": p.Services, "vips": p.Vips, "servers": p.Servers, "records": p.Records,
		"slots": p.Slots, "positions": p.Positions, "conns": p.Conns, "loads": p.Loads, "half_open": p.HalfOpen,
		"counters": p.Counters, "signs": p.Signs, "verdicts": p.Verdicts, "events": p.Events,
		"vlans": p.Vlans, "nat_servers": p.NatServers, "fragments": p.Fragments, "held_frames": p.HeldFrames,
		"tellings": p.Tellings, "scratch": p.Scratch, "timeouts": p.Timeouts,
		"nearest": p.Nearest, "near_sets": p.NearSets, "ranges": p.Ranges, "hosts": p.Hosts, "templates": p.Templates,
		"questions": p.Questions, "asking": p.Asking, "leased": p.Leased, "leases": p.Leases, "check_answers": p.CheckAnswers,
		"directors": p.Directors,
	}
}

// share gives another program the path's maps, as far as it knows them.
func (d *Dataplane) share(spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	out := map[string]*ebpf.Map{}
	for name, m := range d.shared() {
		if s := spec.Maps[name]; s != nil {
			out[name] = m
			s.MaxEntries = m.MaxEntries() // the path's sizes are set before load
		}
	}
	return out
}

func setClock(spec *ebpf.CollectionSpec) (uint32, error) {
	hz, err := jiffiesPerSecond()
	if err != nil {
		return 0, err
	}
	if err := spec.Variables["jiffies_per_second"].Set(hz); err != nil {
		return 0, fmt.Errorf("jiffies_per_second: %w", err)
	}
	return hz, nil
}

// loadError keeps the verifier's whole log: without it nobody can help. What the log does not tell
// stands before it.
func loadError(what string, err error) error {
	hint := perfmonHint(err)
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		return fmt.Errorf("load %s: the kernel's verifier refused it%s: %+v", what, hint, refused)
	}
	return fmt.Errorf("load %s%s: %w", what, hint, err)
}

// perfmonHint names the capability that a caller who was refused may lack.
func perfmonHint(err error) string {
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		return ""
	}
	const enough = 1<<unix.CAP_PERFMON | 1<<unix.CAP_SYS_ADMIN
	if have, err := capabilities(); err != nil || have&enough != 0 {
		return ""
	}
	return " (there is no CAP_PERFMON, and Linux before 6.12.5 wants it too: run it as root, or give it CAP_PERFMON)"
}
