// SPDX-License-Identifier: Apache-2.0

package api

// Connection is one entry of the connection table: GET /v1/connections, in no order.
type Connection struct {
	Protocol string `json:"protocol" enum:"tcp,udp,sctp" doc:"Transport protocol."`
	Client   string `json:"client" doc:"Address and port of the client."`
	Virtual  string `json:"virtual" doc:"Address and port that the client asked for."`
	Server   string `json:"server" doc:"Address and port of the server that has it."`
	State    string `json:"state" doc:"State in LVS's words: ESTABLISHED, SYN_RECV, UDP, …; TEMPLATE: no connection, but where those of a persistent service's client go; KEPT, only where it is asked for: perhaps it was a stranger who closed it."`
	ExpiresS int64  `json:"expires_s" doc:"Seconds until it is forgotten, if no packet comes."`
}

// ConnectionTotals are connections by what they have in common: GET /v1/connections/count.
type ConnectionTotals struct {
	Connections uint64            `json:"connections" doc:"How many there are in all."`
	Groups      []ConnectionGroup `json:"groups" nullable:"false" doc:"By protocol, state and server, in this order."`
}

// Killed answers DELETE /v1/connections when what was meant is gone.
type Killed struct {
	Killed uint64 `json:"killed" doc:"How many connections were ended."`
}

// ConnectionGroup is how many connections have protocol, state and server in common.
type ConnectionGroup struct {
	Protocol    string `json:"protocol" enum:"tcp,udp,sctp" doc:"Transport protocol."`
	State       string `json:"state" doc:"State in LVS's words."`
	Server      string `json:"server" doc:"Address and port of the server; port * is any, of a service of all ports or a range, or one that is gone."`
	Connections uint64 `json:"connections" doc:"How many there are."`
}
