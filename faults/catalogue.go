// SPDX-License-Identifier: Apache-2.0

package faults

// catalogue names every fault that is measured, in whichever package. Numbers are kept: they are
// what faults.json and people call a fault by.
var catalogue = map[int]string{
	1:  "daemon killed",
	2:  "killed and started at once",
	3:  "binary replaced",
	4:  "data plane of another version",
	5:  "daemon hangs",
	6:  "power loss",
	7:  "planned switchover",
	8:  "link flaps",
	18: "address or interface taken away",
	24: "server killed",
	25: "server unplugged",
	26: "server hung",
	27: "server slow",
	28: "server flaps",
	29: "all servers down",
	30: "server removed",
	31: "weight 0",
	32: "thundering herd",
	33: "hostile server",
	42: "second daemon, foreign program",
	43: "hostile notify script",
	44: "connection table full",
	45: "SYN flood",
	46: "flood on one service",
	47: "UDP flood",
	48: "blind RST, FIN and SYN",
	49: "fragments",
	50: "ICMP errors",
	51: "wrong checksums",
	52: "broken headers",
	53: "options and extension headers",
	54: "VLAN tags",
	55: "martians and loops",
	56: "too large for a tunnel",
	57: "port reuse",
	58: "concurrent changes",
}
