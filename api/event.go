// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// Event is something that people may want to know: GET /v1/events lists the last 1,000 since the daemon began, the
// oldest first. It is what a notice tells.
type Event struct {
	Time     time.Time `json:"time" doc:"When it happened."`
	Kind     string    `json:"kind" doc:"What happened: server_down, server_up, service_down, service_up, …"`
	Severity string    `json:"severity" enum:"info,warning,critical" doc:"How much it matters."`
	Service  string    `json:"service" doc:"Name of the service."`
	Address  string    `json:"address" doc:"Its address and port."`
	Protocol string    `json:"protocol" doc:"tcp, udp or sctp."`
	Server   string    `json:"server,omitempty" doc:"Address and port of the server; absent: it is about the service."`
	Reason   string    `json:"reason,omitempty" doc:"Why, on one line; absent: it is plain."`
	Since    time.Time `json:"since,omitzero" doc:"When what is over now began; absent: nothing is over, or that is not known."`
}
