// SPDX-License-Identifier: Apache-2.0

package report

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// leaving makes the lines of the servers that a service has no more, as long as they are not forgotten.
func leaving(in Input, service model.Service, wants map[model.ServiceServer]model.ServerWant) []Server {
	var out []Server
	for _, left := range in.Seen.Left {
		want := wants[model.ServiceServer{Service: service.Key, Server: left.Server.Key}]
		if left.Service != service.Key || want.Leaving == 0 {
			continue // or it is not planned yet
		}
		line := line(in, service, left.Server, want)
		line.Weight = 0
		line.State = Leaving
		line.Reason = "removed, " + fate(want.Leaving, line.Reading.Active+line.Reading.Inactive)
		if want.Leaving == model.Drain && service.Leaving.For != 0 {
			line.Reason += ", until " + left.Since.Add(service.Leaving.For).UTC().Format(time.RFC3339)
		}
		out = append(out, line)
	}
	return out
}

// fate is what becomes of connections.
func fate(policy model.Leaving, connections uint64) string {
	words := map[model.Leaving][2]string{
		model.Drain: {"connection lives on", "connections live on"},
		model.Reset: {"connection is reset at its next packet", "connections are reset at their next packet"},
		model.Drop:  {"connection waits for it", "connections wait for it"},
	}[policy]
	if connections == 1 {
		return "1 " + words[0]
	}
	return model.Grouped(connections) + " " + words[1]
}
