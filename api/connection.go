// SPDX-License-Identifier: Apache-2.0

package api

// Connection is one entry of the connection table: GET /v1/connections, in no order.
type Connection struct {
	Protocol string `json:"protocol" enum:"tcp,udp,sctp" doc:"Transport protocol."`
	Client   string `json:"client" doc:"Address and port of the client."`
	Virtual  string `json:"virtual" doc:"Address and port that the client asked for."`
	Server   string `json:"server" doc:"Address and port of the server that has it."`
	State    string `json:"state" doc:"State in LVS's words: ESTABLISHED, SYN_RECV, UDP, …"`
	ExpiresS int64  `json:"expires_s" doc:"Seconds until it is forgotten, if no packet comes."`
}
