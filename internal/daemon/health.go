// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// poolOf says which of the servers that another daemon left in the maps have a weight.
func poolOf(held []model.Service) map[model.ServiceServer]bool {
	out := map[model.ServiceServer]bool{}
	for _, service := range held {
		for _, server := range service.Servers {
			out[model.ServiceServer{Service: service.Key, Server: server.Key}] = server.Weight > 0
		}
	}
	return out
}

// watchHealth leaves nothing unwritten when it ends.
func (d *daemon) watchHealth(ctx context.Context) error {
	err := d.monitor.Run(ctx, d.healthSeen)
	d.kept.finish(time.Now(), d.remember)
	return err
}

// healthSeen writes verdicts down before anything is done about them: who starts after a crash must not know
// less than the maps, but for weights of the last seconds.
func (d *daemon) healthSeen(known map[model.CheckKey]model.Health) {
	tell := d.tell
	if turned(d.kept.keep(known, time.Now(), d.remember), known) {
		tell = d.tellNow // the monitor has gathered them
	}
	tell(func(seen *model.Seen) { seen.Health = known })
}

// turned says whether anything differs by which connections are balanced, or a virtual router has another priority. All
// else people may read a little later: plans that it makes at once would leave no time for others.
func turned(before, known map[model.CheckKey]model.Health) bool {
	for key, h := range known {
		was := before[key]
		a, b := h.Advice, was.Advice
		if h.State != was.State || a.Given != b.Given || a.Percent != b.Percent || a.Weight != b.Weight {
			return true
		}
	}
	return false
}

func (d *daemon) remember(known map[model.CheckKey]model.Health) bool {
	err := health.Remember(d.options.verdicts(), known)
	if err != nil {
		d.log.Error("a daemon that is started now would not know which servers are down", "err", err)
	}
	return err == nil
}

// mostPast is how many events are remembered.
const mostPast = 1000

// news is what has happened by the latest plan.
func (d *daemon) news(desired model.Desired, at time.Time) (events []model.Event) {
	in := report.Input{Spec: d.spec, Seen: d.seen, Desired: desired, Turns: d.turns, Now: at}
	events, d.told = report.News(d.told, in, d.began)
	d.turns = nil
	if len(events) > 0 {
		past := slices.Concat(d.past, events)
		d.past = past[max(0, len(past)-mostPast):]
	}
	return events
}

// announce logs what has happened, and has people told who want to be.
func (d *daemon) announce(events []model.Event) {
	for _, e := range events {
		logEvent(d.log, e)
	}
	d.notifier.Tell(events)
}

func logEvent(log *slog.Logger, e model.Event) {
	if e.Router != "" {
		logRouter(log.With("router", e.Router, "priority", e.Priority), e)
		return
	}
	if e.Peer.IsValid() {
		logPeer(log.With("peer", e.Peer), e)
		return
	}
	log = log.With("service", e.Service)
	if e.Server != (model.ServerKey{}) {
		log = log.With("server", e.Server)
	}
	switch e.Kind {
	case model.ServerDown:
		log.Warn("server is down", "why", e.Reason)
	case model.ServerUp:
		log.Info("server is up again", "after", e.Time.Sub(e.Since).Round(time.Millisecond))
	case model.ServiceDown:
		log.Error("the service is down", "why", e.Reason)
	case model.ServiceUp:
		log.Info("the service has servers again")
	case model.MaintenanceBegin:
		log.Info("maintenance begins", "why", e.Reason)
	case model.MaintenanceEnd:
		log.Info("maintenance is over", "after", e.Time.Sub(e.Since).Round(time.Millisecond))
	case model.CertificateEnds:
		log.Warn("a certificate has to be renewed", "why", e.Reason)
	case model.CertificateRenewed:
		log.Info("the certificate was renewed")
	case model.PanicBegin:
		log.Error("panic: servers that are down are kept", "why", e.Reason)
	case model.PanicEnd:
		log.Info("the panic is over", "after", e.Time.Sub(e.Since).Round(time.Millisecond))
	}
}

func logPeer(log *slog.Logger, e model.Event) {
	if !e.Since.IsZero() {
		log = log.With("after", e.Time.Sub(e.Since).Round(time.Millisecond))
	}
	switch e.Kind {
	case model.SyncReached:
		log.Info("this director and a peer have all connections of each other")
	case model.SyncLost:
		log.Warn("this director and a peer are out of sync", "why", e.Reason)
	}
}

// logRouter says how long a virtual router was in its state before. One that has just begun was in none.
func logRouter(log *slog.Logger, e model.Event) {
	if !e.Since.IsZero() {
		log = log.With("after", e.Time.Sub(e.Since).Round(time.Millisecond))
	}
	if e.Was != model.VRRPInit {
		log = log.With("was", e.Was)
	}
	switch e.Kind {
	case model.VRRPToMaster:
		log.Warn("this director is master", "why", e.Reason)
	case model.VRRPToBackup:
		log.Info("this director is backup", "why", e.Reason)
	case model.VRRPToFault:
		log.Warn("this director can take no part", "why", e.Reason)
	case model.VRRPToStop:
		log.Info("this director takes no part any more", "why", e.Reason)
	case model.ConflictBegin:
		log.Error("somebody else's adverts cannot be right", "why", e.Reason)
	case model.ConflictEnd:
		log.Info("nobody's adverts are wrong any more")
	case model.HeldBegin:
		log.Error("this director does not take over from a master who is silent", "why", e.Reason)
	case model.HeldEnd:
		log.Info("nothing keeps this director from taking over any more")
	case model.SilentBegin:
		log.Warn("a path or a witness is silent", "why", e.Reason)
	case model.SilentEnd:
		log.Info("paths and witnesses say what they should again")
	}
}
