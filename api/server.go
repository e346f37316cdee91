// SPDX-License-Identifier: Apache-2.0

package api

// Server is a real server of one service. GET /v1/servers lists them service by service, in the
// order of the configuration; a server of two services is listed twice.
type Server struct {
	Service    string  `json:"service" doc:"Name of its service."`
	LentBy     string  `json:"lent_by,omitempty" doc:"Name of the sorry service that it belongs to, whose checks say how it does. Absent where it is the service's own."`
	Address    string  `json:"address" doc:"Address and port of the server; port * is the one that the client asked for."`
	Forwarding string  `json:"forwarding" enum:"nat,tun,dr,local" doc:"How packets reach it; local: the address is the director's own."`
	Tunnel     *Tunnel `json:"tunnel,omitempty" doc:"What its packets travel in. Absent with another forwarding than tun."`
	Weight     uint16  `json:"weight" doc:"Its share of new connections, relative to the service's other servers; 0 is none."`
	Effective  *uint16 `json:"effective_weight,omitempty" doc:"The weight in use, which its checks have chosen. Absent: it is weight."`
	Active     uint64  `json:"active" doc:"Connections that are established."`
	Inactive   uint64  `json:"inactive" doc:"All other connections that live, UDP too."`
	HalfOpen   uint64  `json:"half_open" doc:"Those of inactive whose handshake is not done; approximate."`
	Persistent uint64  `json:"persistent" doc:"Clients of a persistent service whose connections go to it: its templates, which are no connections."`
	State      string  `json:"state" enum:"up,quiesced,full,unreachable,down,waiting,standby,panic,leaving" doc:"up takes new connections; quiesced has weight 0, or is in maintenance; full has reached its upper threshold; unreachable has no way to it; down fails its checks; waiting has no good answer to its checks yet; standby is a sorry server, or one of a sorry service, while others take connections, or another one while the quorum is lost and these take them; panic fails its checks and is kept, since too few others are healthy; leaving was removed and has connections."`
	Reason     string  `json:"reason" doc:"Why it is not up, or what its checks said of its weight, or a router of the way to it; else empty."`
	Traffic
}

// Tunnel is what packets travel in to a server of forwarding tun.
type Tunnel struct {
	Type     string `json:"type" enum:"ipip,gre,gue" doc:"What is put around a packet."`
	Port     uint16 `json:"port,omitempty" doc:"UDP port to which it goes. Absent without UDP: ipip, gre."`
	Checksum bool   `json:"checksum,omitempty" doc:"true: with a checksum over the packet inside. Absent: without."`
	Source   string `json:"source,omitempty" doc:"Network within which the outer source varies by flow. Absent: it is the director's own address."`
}
