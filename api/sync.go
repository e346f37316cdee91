// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// Peer is another director that connections are shared with, and how that goes: GET /v1/sync lists them in the order of
// the configuration, and last all directors of LVS on a link as one. What it counts begins with the daemon, or when the
// director became a peer.
type Peer struct {
	Peer     string            `json:"peer" doc:"Its address; of directors of LVS the group and port that they are told by."`
	Dialect  string            `json:"dialect" enum:"weir,ipvs" doc:"How connections are told: as weirs do it, or as the kernels of directors of LVS do."`
	State    string            `json:"state" enum:"silent,joining,in sync,open,fault" doc:"in sync: each of the two has all that the other serves. Of directors of LVS that cannot be told: open, or fault."`
	Since    time.Time         `json:"since,omitzero" doc:"When it came to that; absent: not known."`
	Why      string            `json:"why" doc:"Why it stands so, on one line; empty: it is plain."`
	Role     string            `json:"role,omitempty" enum:"master,backup,mixed" doc:"What it serves, by its own word; absent: it has not said so."`
	LagMS    int64             `json:"lag_ms" doc:"Milliseconds for which the oldest change has waited that it has not got yet; 0: it has all."`
	Queue    uint64            `json:"queue" doc:"Changes that wait to be sent."`
	Sent     uint64            `json:"sent" doc:"Datagrams sent."`
	Unsent   uint64            `json:"unsent" doc:"Datagrams that the kernel did not take."`
	Received uint64            `json:"received" doc:"Datagrams received that counted."`
	Lost     uint64            `json:"lost" doc:"Datagrams that never came; what they told is told when connections are compared."`
	Refused  map[string]uint64 `json:"refused" nullable:"false" doc:"Datagrams, and of directors of LVS their entries, that did not count, by why. What has not happened may be absent."`
	Dropped  uint64            `json:"dropped" doc:"Changes that found no room in the queue; they are told when connections are compared."`
	Rejected map[string]uint64 `json:"rejected" nullable:"false" doc:"Connections that it told of and that have no place here, by why. What has not happened may be absent."`
}
