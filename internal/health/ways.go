// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"net/netip"
	"sync"

	"github.com/weir-lb/weir/internal/model"
)

// ways are the detours that can be gone, or cannot. One that is not among them is being made.
type ways struct {
	mu      sync.Mutex // guards what follows
	known   map[model.Detour]model.DetourWay
	changed chan struct{} // closed with the next change
}

func newWays() *ways { return &ways{changed: make(chan struct{})} }

// set replaces all of them.
func (w *ways) set(known map[model.Detour]model.DetourWay) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = known
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *ways) find(detour model.Detour) (way model.DetourWay, known bool, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	way, known = w.known[detour]
	return way, known, w.changed
}

// await waits until it is known how a detour is gone; false: ctx ended before.
func (w *ways) await(ctx context.Context, detour model.Detour) (model.DetourWay, bool) {
	if detour == (model.Detour{}) {
		return model.DetourWay{}, true
	}
	for {
		way, known, changed := w.find(detour)
		if known {
			return way, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return model.DetourWay{}, false
		}
	}
}

// wayKey is that of a context's value: the address that is dialled in place of the target's. So kinds of checks,
// and libraries that they use, know the name of whom they ask only.
type wayKey struct{}

func withWay(ctx context.Context, to model.Addr) context.Context {
	return context.WithValue(ctx, wayKey{}, to)
}

// dialled is what is dialled for a target, and whether that is an alias of it.
func dialled(ctx context.Context, to netip.AddrPort) (_ netip.AddrPort, alias bool) {
	way, _ := ctx.Value(wayKey{}).(model.Addr)
	if !way.IsValid() {
		return to, false
	}
	return netip.AddrPortFrom(way, to.Port()), true
}
