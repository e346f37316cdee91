// SPDX-License-Identifier: Apache-2.0

package api

// RealServer is what `weir realserver status` finds on a real server. No daemon is asked for it.
type RealServer struct {
	VIPs          []VIP          `json:"vips" nullable:"false" doc:"Virtual addresses that this host shall hold on lo."`
	Settings      []Setting      `json:"settings" nullable:"false" doc:"Kernel settings that this host needs for them."`
	Decapsulation *Decapsulation `json:"decapsulation,omitempty" doc:"How packets come out of tunnels; absent without a tunnel."`
	Routes        []MSSRoute     `json:"routes,omitempty" doc:"Routes to clients, where the size of their segments is limited."`
	Problems      []Problem      `json:"problems" nullable:"false" doc:"What is not as it should be; empty when all is well."`
}

// VIP is a virtual address of a real server.
type VIP struct {
	Address string `json:"address" doc:"The address."`
	Held    bool   `json:"held" doc:"Whether lo has it."`
}

// Setting is a sysctl.
type Setting struct {
	Path  string `json:"path" doc:"Its path below /proc/sys."`
	Value int    `json:"value" doc:"What it is."`
	Least int    `json:"least" doc:"What it shall be at least."`
}

// MSSRoute is a route to clients.
type MSSRoute struct {
	Destination string `json:"destination" doc:"Its prefix."`
	Interface   string `json:"interface" doc:"Name of the interface."`
	MSS         int    `json:"mss" doc:"The TCP segment size that clients behind it are offered."`
	Most        int    `json:"most" doc:"What it shall be at most."`
}

// Decapsulation is where packets are taken out of tunnels, and what became of them.
type Decapsulation struct {
	Interfaces []Interface `json:"interfaces" nullable:"false" doc:"Where tunnelled packets come in."`
	Tunnels    []string    `json:"tunnels" nullable:"false" doc:"Addresses of this host to which a director may tunnel."`
	GUEPorts   []int       `json:"gue_ports,omitempty" doc:"UDP ports on which GUE comes in."`
	Counters   Counters    `json:"counters" doc:"What became of the packets on those interfaces."`
}
