// SPDX-License-Identifier: Apache-2.0

// Package daemon owns the state and wires everything else together; it is the only package that
// knows all of them. Packets do not need it: they are balanced while it is stopped, killed or
// upgraded.
//
//	config ─► Spec ─┐                        ┌─► dataplane
//	                ├─► plan.Make ─► Desired ┤
//	events ─► Seen ─┘                        └─► address
//
// Read this file for what is started, owner.go for the one loop that owns Spec and Seen, and
// director.go for what the API reads.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/connsync"
	"github.com/weir-lb/weir/internal/connsync/ipvs"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/notify"
	"github.com/weir-lb/weir/internal/plan"
	"github.com/weir-lb/weir/internal/process"
	"github.com/weir-lb/weir/internal/reconcile"
	"github.com/weir-lb/weir/internal/server"
	"github.com/weir-lb/weir/internal/vrrp"
)

// Options say where the daemon finds and keeps its things.
type Options struct {
	Config   string // its configuration
	BPFFS    string // pinned maps and programs
	RunDir   string // sockets
	StateDir string // what must survive a reboot
	Log      *slog.Logger
	Version  string
}

func (o Options) journal() string { return filepath.Join(o.StateDir, "host.json") }

// verdicts is where those of checks survive the daemon; after a reboot they would be of another time.
func (o Options) verdicts() string { return filepath.Join(o.RunDir, "health.json") }

// socket is where the API listens.
func (o Options) socket(spec model.Spec) string {
	if spec.API.Unix != "" {
		return spec.API.Unix
	}
	return filepath.Join(o.RunDir, "weir.sock")
}

// Run balances until ctx ends, and leaves the packets' path at work when it returns.
func Run(ctx context.Context, o Options) error {
	hangup := make(chan os.Signal, 1) // from the first moment on: unheard, SIGHUP kills
	signal.Notify(hangup, unix.SIGHUP)
	defer signal.Stop(hangup)
	spec, err := config.Load(o.Config)
	if err != nil {
		return err
	}
	path, err := dataplane.Open(dataplane.Options{
		BPFFS: o.BPFFS, Config: o.Config, MaxConns: uint32(spec.Connections.Size), Log: o.Log,
	})
	if err != nil {
		return err
	}
	if err := checkStart(path, spec); err != nil {
		return errors.Join(err, path.Discard())
	}
	held, err := path.Services()
	if err != nil {
		return errors.Join(err, path.Discard())
	}
	defer path.Close()
	listener, err := server.Listen(ctx, o.socket(spec))
	if err != nil {
		return errors.Join(err, path.Discard())
	}
	journal, err := address.OpenJournal(o.journal())
	if err != nil {
		listener.Close()
		return errors.Join(err, path.Discard())
	}
	memory, err := health.Recall(o.verdicts())
	if err != nil {
		o.Log.Warn("checks begin anew, nobody knows which servers were down", "err", err)
	}
	d := wire(o, spec, path, journal, memory)
	d.seen.InPool, d.seen.Health = poolOf(held), memory.Known(plan.Checks(spec))
	d.seen.Maintenance = d.maintenanceNow(spec.MaintenanceDir, model.MaintenanceFiles{})
	d.seen.Left = plan.Depart(nil, held, spec.Services, time.Now())
	if err := errors.Join(path.Recall(spec.Leased()), recall(&d.seen, spec, path, journal.VIPs(), time.Now())); err != nil {
		o.Log.Warn("who was master is not known", "err", err)
	}
	d.vrrp.Resume(slices.Collect(maps.Keys(d.seen.VRRP)), leaseOf(path, spec))
	d.hangup = hangup
	if d.systemd, err = newSystemd(o.Log); err != nil {
		listener.Close()
		return errors.Join(err, path.Discard())
	}
	return d.run(ctx, func(ctx context.Context) error {
		return server.New(d, o.Version, o.Log).Run(ctx, listener)
	})
}

// checkStart finds, before anything is changed on the host, what a person must decide.
func checkStart(path *dataplane.Dataplane, spec model.Spec) error {
	network, err := address.Look(spec.ServerAddresses())
	if err != nil {
		return err
	}
	if err := checkInterfaces(spec, network); err != nil {
		return err
	}
	if err := address.CheckAliases(plan.Aliases(spec)); err != nil {
		return err
	}
	desired, _ := plan.Make(spec, model.Seen{Network: network}, time.Now())
	return path.CheckFree(desired.Dataplane.Interfaces)
}

// checkInterfaces says which interface of the config does not exist.
func checkInterfaces(spec model.Spec, network model.Network) error {
	var errs []error
	for _, want := range spec.Interfaces {
		if !hasLink(network, want.Name) {
			errs = append(errs, fmt.Errorf("interface %s: there is no such interface: correct `interfaces:`, or create it first (ip link)", want.Name))
		}
	}
	return errors.Join(errs...)
}

func hasLink(network model.Network, name string) bool {
	for _, link := range network.Links {
		if link.Name == name {
			return true
		}
	}
	return false
}

// wire makes all parts; nothing runs yet.
func wire(o Options, spec model.Spec, path *dataplane.Dataplane, journal *address.Journal, memory health.Memory) *daemon {
	d := &daemon{
		options:   o,
		log:       o.Log,
		path:      path,
		journal:   journal,
		observer:  address.NewObserver(o.Log),
		routers:   address.NewPathObserver(o.Log),
		claims:    address.NewClaimObserver(o.Log),
		resolver:  address.NewResolver(),
		monitor:   health.NewMonitor(memory, o.Log),
		processes: process.NewWatcher(o.Log),
		notifier:  notify.New(o.Log),
		began:     time.Now(),
		target:    address.NewTarget(journal, path.CheckProgram, o.Log),
		vrrp:      vrrp.NewRunner(renew(path), o.Log),
		bfd:       bfd.NewRunner(o.Log),
		peers:     connsync.New(path, o.Log),
		lvs:       ipvs.NewRunner(path, o.Log),
		events:    make(chan event),
		urgent:    make(chan event),
		refusals:  make(chan struct{}, 1),
		edits:     make(chan edit),
		pulses:    make(chan chan<- pulse),
		parting:   map[string]bool{},
	}
	d.release = d.vrrp.Released
	d.toPath = reconcile.NewLoop("dataplane", &handover{path: path, peers: d.peers, use: d.lvs.Use, log: o.Log}, d.pathDone, o.Log)
	d.toAddress = reconcile.NewLoop("address", d.target, d.addressDone, o.Log)
	d.toPeers = reconcile.NewLoop("sync", &sharer{follow: d.peers.Follow, tellEnds: d.tellEnds}, d.sharingDone(), o.Log)
	d.toRouters = reconcile.NewLoop("vrrp", &keyring{follow: d.vrrp.Follow}, func([]model.VRRPWant, error) {}, o.Log)
	d.spec = spec
	d.spec.Revision = 1
	return d
}

// run starts everything and waits for it; the first to fail ends all.
func (d *daemon) run(ctx context.Context, serve func(context.Context) error) error {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	d.running = running
	return together(ctx, running, end, d.runRouters,
		d.own,
		serve,
		d.toPath.Run,
		d.toAddress.Run,
		d.toPeers.Run,
		d.toRouters.Run,
		func(ctx context.Context) error { return d.target.Run(ctx, d.routesMended) },
		func(ctx context.Context) error { return d.observer.Run(ctx, d.networkSeen) },
		func(ctx context.Context) error { return d.routers.Run(ctx, d.tooBig) },
		func(ctx context.Context) error { return d.claims.Run(ctx, d.claimed) },
		d.watchHealth,
		func(ctx context.Context) error { return d.processes.Run(ctx, d.processesSeen) },
		d.notifier.Run,
		func(ctx context.Context) error { return d.bfd.Run(ctx, d.sessionChanged) },
		func(ctx context.Context) error { return d.peers.Run(ctx, d.peerTurned) },
		func(ctx context.Context) error { return d.lvs.Run(ctx, d.lvsFault) },
		func(ctx context.Context) error {
			return d.path.Run(ctx, dataplane.Hears{Unresolved: d.unresolved, Refused: d.refused})
		},
		func(ctx context.Context) error { return watchTable(ctx, d.path.Usage, d.tableHigh, d.log) },
		func(ctx context.Context) error { return d.watchLeft(ctx, d.path.Remaining) },
		d.watchMaintenance,
		d.estimate,
		d.hear,
		func(ctx context.Context) error { return d.systemd.Run(ctx, d.pulses) },
	)
}

// partingWithin is how long all else waits for virtual routers to end.
const partingWithin = 5 * time.Second

// together runs all parts until ctx ends or one of them fails. The virtual routers end first, while the others run
// still: what they let go of must be taken away yet, and other directors told of it. Where the part that failed keeps
// them from it, all ends without. What ends running is end.
func together(ctx, running context.Context, end func(), routers func(context.Context) error, parts ...func(context.Context) error) error {
	var group errgroup.Group
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(partingWithin, end) })
	group.Go(func() error {
		defer end()
		return routers(ctx)
	})
	for _, part := range parts {
		group.Go(func() error {
			err := part(running)
			if err != nil {
				stop()
			}
			return err
		})
	}
	return group.Wait()
}

// Cleanup removes every trace of a daemon that no longer runs.
func Cleanup(ctx context.Context, o Options) error {
	sockets := o.sockets()
	if err := dataplane.Cleanup(o.BPFFS); err != nil {
		return err
	}
	if err := checkDead(ctx, sockets); err != nil {
		return err
	}
	journal, err := address.OpenJournal(o.journal())
	if err != nil {
		return err
	}
	if err := journal.Restore(); err != nil {
		return err
	}
	return removeFiles(append(sockets, o.verdicts(), health.Unfinished(o.verdicts())))
}

// sockets are where the daemon listened, as far as can be told: in --run, and where the config that
// its pins name wants it.
func (o Options) sockets() []string {
	out := []string{o.socket(model.Spec{})}
	spec, err := config.Load(dataplane.ConfigOf(o.BPFFS))
	if err == nil && o.socket(spec) != out[0] {
		out = append(out, o.socket(spec))
	}
	return out
}

// checkDead: a daemon with pins elsewhere, or where `ip netns exec` hides them, lives on this host's
// addresses and settings all the same.
func checkDead(ctx context.Context, sockets []string) error {
	var dialer net.Dialer
	for _, socket := range sockets {
		conn, err := dialer.DialContext(ctx, "unix", socket)
		if err != nil {
			continue
		}
		return errors.Join(conn.Close(),
			fmt.Errorf("cleanup: %w: it answers at %s: stop it, or name its --bpffs, --run and --state", dataplane.ErrRunning, socket))
	}
	return nil
}

func removeFiles(paths []string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cleanup: %w", err)
		}
	}
	return nil
}
