// SPDX-License-Identifier: Apache-2.0

package api

// Service is a virtual service: an address in front of its servers, or several. GET /v1/services lists them
// in the order of the configuration.
type Service struct {
	Name      string   `json:"name" doc:"Name from the configuration."`
	Address   string   `json:"address" doc:"Address and port that clients use, the first of several. Port * is all ports of the address, 3000-3999 a range; 0.0.0.0/0 and ::/0 are any destination."`
	Addresses []string `json:"addresses,omitempty" doc:"All addresses with their ports and protocols, as in 192.0.2.10:80/tcp. Absent where there is only one."`
	Protocol  string   `json:"protocol" enum:"tcp,udp,sctp" doc:"Transport protocol."`
	Scheduler string   `json:"scheduler" doc:"The rule by which a server is picked for a new connection."`
	MSS       uint16   `json:"mss,omitempty" doc:"Largest TCP segment size (MSS) that a SYN is let offer. Absent where it is not limited."`
	Servers   int      `json:"servers" doc:"How many servers it has, without a sorry server and those of a sorry service."`
	Up        int      `json:"up" doc:"How many of them take new connections."`
	Sorry     string   `json:"sorry_service,omitempty" doc:"Name of the service whose servers take its new connections while none of its own does. Absent where it has none."`
	Active    uint64   `json:"active" doc:"Established connections of all its servers."`
	Inactive  uint64   `json:"inactive" doc:"All other connections of its servers that live, UDP too."`
	Traffic
}

// Traffic counts from the moment at which a service or server was added.
type Traffic struct {
	Connections uint64  `json:"connections" doc:"Connections that were begun."`
	PacketsIn   uint64  `json:"packets_in" doc:"Packets from clients."`
	BytesIn     uint64  `json:"bytes_in" doc:"Bytes of IP packets from clients."`
	PacketsOut  *uint64 `json:"packets_out,omitempty" doc:"Packets to clients. Absent where answers do not pass here: DR, TUN, local."`
	BytesOut    *uint64 `json:"bytes_out,omitempty" doc:"Bytes of IP packets to clients. Absent as packets_out is."`
	Rates       *Rates  `json:"rates,omitempty" doc:"The same a second, by IPVS's estimator. Absent in the first seconds."`
}

// Rates are counts a second, of the last ten seconds or so: every two seconds a quarter of what was counted in
// these takes the place of a quarter of the rate before.
type Rates struct {
	Connections uint64  `json:"connections" doc:"Connections that were begun."`
	PacketsIn   uint64  `json:"packets_in" doc:"Packets from clients."`
	BytesIn     uint64  `json:"bytes_in" doc:"Bytes of IP packets from clients."`
	PacketsOut  *uint64 `json:"packets_out,omitempty" doc:"Packets to clients. Absent where answers do not pass here: DR, TUN, local."`
	BytesOut    *uint64 `json:"bytes_out,omitempty" doc:"Bytes of IP packets to clients. Absent as packets_out is."`
}
