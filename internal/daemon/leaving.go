// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// leftEvery is how often servers that have left are looked at.
const leftEvery = time.Second

// watchLeft has the owner forget the servers that have left as soon as no connection is left on them.
func (d *daemon) watchLeft(ctx context.Context, remaining func() (map[model.ServiceServer]dataplane.Remaining, error)) error {
	tick := time.NewTicker(leftEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s := d.state.Load(); s == nil || len(s.seen.Left) == 0 {
			continue
		}
		now := time.Now()
		servers, err := remaining()
		if err != nil {
			d.log.Error("servers that have left are not forgotten", "err", err)
			continue
		}
		d.tell(func(seen *model.Seen) { d.forget(seen, servers, now) })
	}
}

// forget takes out those that had no connection at a moment.
func (d *daemon) forget(seen *model.Seen, servers map[model.ServiceServer]dataplane.Remaining, at time.Time) {
	before := len(seen.Left)
	seen.Left = plan.Forget(seen.Left, func(l model.Left) bool {
		server, ok := servers[model.ServiceServer{Service: l.Service, Server: l.Server.Key}]
		if !ok {
			return seen.Applied.Revision == d.spec.Revision // the maps never had it
		}
		return isIdle(server) && l.Since.Before(at)
	})
	if len(seen.Left) != before {
		d.follow()
	}
}

// isIdle: a server that the maps still have as one that stays may get a connection yet.
func isIdle(server dataplane.Remaining) bool { return server.Leaving && server.Connections == 0 }
