// SPDX-License-Identifier: Apache-2.0

package api

// Explanation is what becomes of the packets of a client to a service: GET /v1/explain. Asking changes
// nothing. It is of one moment: what others begin and end afterwards may make a difference.
type Explanation struct {
	Client     string               `json:"client" doc:"Address and port of the client."`
	Virtual    string               `json:"virtual" doc:"Address and port that it asks for."`
	Protocol   string               `json:"protocol" enum:"tcp,udp,sctp" doc:"Transport protocol."`
	Service    *ExplainedService    `json:"service,omitempty" doc:"The service that has them; absent where none has: then new says why."`
	Template   *ExplainedTemplate   `json:"template,omitempty" doc:"What the service, which is persistent, remembers of the client; absent where that is nothing."`
	Connection *ExplainedConnection `json:"connection,omitempty" doc:"The connection that exists; absent where none does."`
	New        *Way                 `json:"new,omitempty" doc:"What becomes of a packet that begins a connection; absent where all go on with the one that exists."`
	Unknown    *Way                 `json:"unknown,omitempty" doc:"What becomes of a packet that belongs to no connection and begins none; absent where there is no such packet."`
	Servers    []Candidate          `json:"servers" nullable:"false" doc:"Servers of the service, in the order of the configuration; those last that are leaving."`
}

// ExplainedService is the service that has a client's packets.
type ExplainedService struct {
	Name      string `json:"name" doc:"Name from the configuration."`
	Address   string `json:"address" doc:"Address and port that clients use; port * is all ports of the address."`
	Protocol  string `json:"protocol" enum:"tcp,udp,sctp" doc:"Transport protocol."`
	Scheduler string `json:"scheduler" doc:"The rule by which a server is picked for a new connection."`
}

// ExplainedTemplate says where a persistent service sends a client.
type ExplainedTemplate struct {
	Server   string `json:"server,omitempty" doc:"Address and port of the server; port * is the one that the client asked for. Absent when it is gone."`
	ExpiresS int64  `json:"expires_s" doc:"Seconds until it is forgotten, if no connection begins."`
}

// ExplainedConnection is a connection, and what becomes of its packets.
type ExplainedConnection struct {
	Server   string `json:"server,omitempty" doc:"Address and port of the server that has it. Absent where that is forgotten."`
	State    string `json:"state" doc:"State in LVS's words: ESTABLISHED, SYN_RECV, UDP, …"`
	ExpiresS int64  `json:"expires_s" doc:"Seconds until it is forgotten, if no packet comes."`
	Packet   Way    `json:"packet" doc:"What becomes of the client's next packet."`
}

// Way is what becomes of a packet, if nothing is the matter with itself, such as its checksums.
type Way struct {
	Verdict    string   `json:"verdict,omitempty" doc:"How it ends, as in the counters. Absent where lots decide."`
	Means      string   `json:"means,omitempty" doc:"What the verdict means."`
	Reason     string   `json:"reason,omitempty" doc:"Why this server, or why none, in words for people."`
	Server     string   `json:"server,omitempty" doc:"Address and port of the server; port * is the one that the client asked for. Absent where no server is meant, and where lots decide."`
	Hashed     bool     `json:"hashed,omitempty" doc:"true: the hash of the flow names the server, and no connection is remembered. Absent: not so."`
	Forwarding string   `json:"forwarding,omitempty" enum:"nat,tun,dr,local" doc:"How the packet reaches the server."`
	NextHop    *NextHop `json:"next_hop,omitempty" doc:"Who gets its frame. Absent where there is no way to the server, and where it is the director itself."`
}

// NextHop is the neighbour to which a server's frames go.
type NextHop struct {
	Interface string `json:"interface" doc:"Network interface by which they leave."`
	Address   string `json:"address" doc:"The server itself, or a router."`
	Resolved  bool   `json:"resolved" doc:"Whether its MAC is known; no packet is sent before."`
	MAC       string `json:"mac,omitempty" doc:"Its MAC. Absent while it is not known."`
}

// Candidate is a server, as the scheduler sees it. A connection that ends when the next one begins is not
// counted any more.
type Candidate struct {
	Address    string   `json:"address" doc:"Address and port of the server."`
	Weight     uint16   `json:"weight" doc:"Its share of new connections, in the maps: 0 while it is passed over as unreachable, down, waiting or standby."`
	Active     uint64   `json:"active" doc:"Connections that are established."`
	Inactive   uint64   `json:"inactive" doc:"All other connections that live, UDP too."`
	Compared   string   `json:"compared,omitempty" doc:"What the scheduler compares of it. Absent where it compares nothing."`
	Share      *float64 `json:"share,omitempty" doc:"How likely it is, from 0 to 1, where lots are drawn; else absent."`
	PassedOver string   `json:"passed_over,omitempty" doc:"Why it gets no new connections; absent where it can."`
}
