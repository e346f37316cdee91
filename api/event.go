// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// Event is something that people may want to know: GET /v1/events lists the last 1,000 since the daemon began, the
// oldest first. It is what a notice tells.
type Event struct {
	Time     time.Time `json:"time" doc:"When it happened."`
	Kind     string    `json:"kind" doc:"What happened: server_down, server_up, service_down, service_up, …"`
	Severity string    `json:"severity" enum:"info,warning,critical" doc:"How much it matters."`
	Service  string    `json:"service" doc:"Name of the service; empty: it is about a virtual router, or another director."`
	Address  string    `json:"address" doc:"Its address and port; empty with it."`
	Protocol string    `json:"protocol" doc:"tcp, udp or sctp; empty with it."`
	Server   string    `json:"server,omitempty" doc:"Address and port of the server; absent: it is about the service."`
	Reason   string    `json:"reason,omitempty" doc:"Why, on one line; absent: it is plain."`
	Since    time.Time `json:"since,omitzero" doc:"When what is over now began; absent: nothing is over, or that is not known."`
	Router   string    `json:"router,omitempty" doc:"Name of the virtual router; absent: it is about something else."`
	Priority uint8     `json:"priority,omitempty" doc:"This director's in the virtual router; absent with it."`
	Was      string    `json:"was,omitempty" enum:"backup,master,fault" doc:"State of the virtual router before; absent: it has just begun, or that has not changed."`
	Group    string    `json:"group,omitempty" doc:"Group of virtual routers, all of which have become so with this one; absent: that is not so."`
	Peer     string    `json:"peer,omitempty" doc:"Address of the director that connections are shared with; absent: it is about something else."`
}
