// SPDX-License-Identifier: Apache-2.0

// Package dataplane puts the packets' path (bpf/) into the kernel and keeps its maps equal to what
// is wanted. Maps, program links and a note about their owner are pinned under one directory of a
// bpffs, so a stopped or killed daemon drops no packet and the next one goes on with its state.
//
// It decides nothing: what the maps shall hold is plan's business. It is the one importer of
// cilium/ebpf. Read this file first, then open.go, apply.go, attach.go, dump.go and explain.go.
package dataplane

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/weir-lb/weir/internal/model"
)

// Options say where the dataplane lives.
type Options struct {
	BPFFS    string // directory for pins; a bpffs is mounted where there is none
	Config   string // path of the daemon's config, named to whoever else wants the same place
	MaxConns uint32 // connections that the table shall have room for, a NAT connection being two; 0: the default
	Log      *slog.Logger
}

// Dataplane is the loaded path. Apply and Adopted belong to one goroutine; all else is safe from any.
type Dataplane struct {
	log   *slog.Logger
	pins  pins
	lock  *lock
	about *about

	path    pathObjects
	inner   *ebpf.MapSpec // of a table of slots
	hz      uint32        // jiffies per second
	sweeper sweeper
	ender   ender
	syncer  syncer
	checks  checks
	events  *ringbuf.Reader
	held    *ringbuf.Reader
	waiting *waiting

	kept struct { // the size that the table did not get
		size uint32
		why  string
	}

	tables  *tables       // what the maps are known to hold; nil: read them first
	applied atomic.Uint64 // how often the maps of services and servers may have changed

	// linksMu guards what is on the interfaces: another program is, while somebody traces.
	linksMu sync.Mutex
	links   map[string]*attached // by interface index
	shown   *ebpf.Program        // on all of them: path.Weir, or the one of a trace
	tracing chan struct{}        // full while somebody traces

	// mu guards what other goroutines read.
	mu            sync.Mutex
	attachments   []model.Attachment
	detourTrouble string
	leases        leases
	clock         clock
	used          uint64
	rounds        uint32 // of the sweep
	inUse         map[serviceID]inUse
	endsHeard     func([]model.Identity) // of connections; nil: nobody hears
	holds         bool                   // sync.go
}

// Close lets go of everything and leaves it working: packets go on being balanced.
func (d *Dataplane) Close() error {
	var errs []error
	if d.events != nil {
		errs = append(errs, d.events.Close())
	}
	if d.held != nil {
		errs = append(errs, d.held.Close())
	}
	errs = append(errs, d.closeLinks())
	errs = append(errs, d.sweeper.Close(), d.ender.Close(), d.syncer.Close(), d.checks.Close(), d.path.Close(), d.about.Close(), d.lock.Close())
	return errors.Join(errs...)
}

// closeLinks leaves the path on the interfaces, without a trace.
func (d *Dataplane) closeLinks() error {
	d.linksMu.Lock()
	defer d.linksMu.Unlock()
	var errs []error
	if d.shown != d.path.Weir {
		errs = append(errs, d.swap(d.path.Weir))
	}
	for _, a := range d.links {
		errs = append(errs, a.link.Close())
	}
	d.links = nil // a trace that ends now has nothing to swap back
	return errors.Join(errs...)
}

// Attachments says where the program is, and how.
func (d *Dataplane) Attachments() []model.Attachment {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attachments
}
