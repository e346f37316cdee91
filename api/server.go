// SPDX-License-Identifier: Apache-2.0

package api

// Server is a real server of one service. GET /v1/servers lists them service by service, in the
// order of the configuration; a server of two services is listed twice.
type Server struct {
	Service    string `json:"service" doc:"Name of its service."`
	Address    string `json:"address" doc:"Address and port of the server; port * is the one that the client asked for."`
	Forwarding string `json:"forwarding" enum:"nat,tun,dr,local" doc:"How packets reach it; local: the address is the director's own."`
	Weight     uint16 `json:"weight" doc:"Its share of new connections, relative to the service's other servers; 0 is none."`
	Active     uint64 `json:"active" doc:"Connections that are established."`
	Inactive   uint64 `json:"inactive" doc:"All other connections that live, UDP too."`
	HalfOpen   uint64 `json:"half_open" doc:"Those of inactive whose handshake is not done; approximate."`
	State      string `json:"state" enum:"up,quiesced,unreachable" doc:"up takes new connections; quiesced has weight 0; unreachable has no way to it."`
	Reason     string `json:"reason" doc:"Why it is not up; empty when it is."`
	Traffic
}
