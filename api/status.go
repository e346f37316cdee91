// SPDX-License-Identifier: Apache-2.0

// Package api holds what goes over the wire: the JSON of the daemon's HTTP API, which is also what
// `weir … -o json` prints. It imports nothing of weir, so that other programs can use it. Names of
// fields are kept: testdata/*.json guards them. What a version cannot know is absent, never 0.
// Times carry their unit in the name (_ms, _s), counts are integers. Read status.go first; the
// requests are in package client.
package api

// Role is what a director is to its services.
type Role string

const (
	Single Role = "single" // it has no second one beside it
	Master Role = "master" // of all virtual routers
	Backup Role = "backup" // master of no virtual router: backup, in fault, or not begun
	Mixed  Role = "mixed"  // master of some virtual routers
)

// Status is the whole director at a glance: GET /v1/status.
type Status struct {
	Version     string      `json:"version" doc:"Version of the daemon."`
	Revision    uint64      `json:"revision" doc:"Revision of the newest configuration."`
	Applied     uint64      `json:"applied" doc:"The newest revision that is in the maps, so that packets follow it."`
	Role        Role        `json:"role" enum:"single,master,backup,mixed" doc:"What this director is to its services: master of all virtual routers, backup where it is master of none (in fault too: problems then say so), or mixed; single where there are none."`
	Interfaces  []Interface `json:"interfaces" nullable:"false" doc:"Network interfaces on which packets are balanced."`
	Connections Usage       `json:"connections" doc:"How full the connection table is."`
	Problems    []Problem   `json:"problems" nullable:"false" doc:"What is not as it should be; empty when all is well."`
}

// Interface is a network interface and the program on it.
type Interface struct {
	Name   string `json:"name" doc:"Name of the interface."`
	XDP    string `json:"xdp" enum:"native,generic,none" doc:"Where the program runs: in the driver, after it, or not at all."`
	Reason string `json:"reason" doc:"Why it is not native, and by whose program a VLAN device is balanced; else empty."`
}

// Usage is how full the connection table is.
type Usage struct {
	Used uint64 `json:"used" doc:"Entries in use. A connection by NAT has two."`
	Size uint64 `json:"size" doc:"Entries that it has room for."`

	MemoryBytes uint64 `json:"memory_bytes" doc:"What it takes of the kernel's memory, however many are in use."`
}

// Problem is something that a person must know, and the way out.
type Problem struct {
	What string `json:"what" doc:"What is not as it should be."`
	Why  string `json:"why" doc:"The cause."`
	Fix  string `json:"fix" doc:"The way out."`
}
