// SPDX-License-Identifier: Apache-2.0

package config

// The words behind bfd. Those of others are keepalived's, of its bfd_instance, and FRR's.

const (
	bothWays = `write "interval: 100ms": packets are sent in it, and wanted in it`
	oneHop   = "leave it out: a session is with a neighbour on the link, and what a router passed on does not count (RFC 5881 section 5)"
	noEcho   = "leave it out: there is no echo function, and peers are told so"
)

var sessionKeys = vocabulary{
	known: []string{"name", "interface", "peer", "source", "interval", "multiplier"},
	foreign: map[string]string{
		"<<":                "merge keys are not supported: write the keys out",
		"neighbor_ip":       `write "peer: 192.0.2.1"`,
		"neighbour_ip":      `write "peer: 192.0.2.1"`,
		"neighbor":          `write "peer: 192.0.2.1"`,
		"address":           `write "peer: 192.0.2.1"`,
		"source_ip":         `write "source: 192.0.2.2"`,
		"local-address":     `write "source: 192.0.2.2"`,
		"local_address":     `write "source: 192.0.2.2"`,
		"min_rx":            bothWays,
		"min_tx":            bothWays,
		"receive-interval":  bothWays,
		"transmit-interval": bothWays,
		"idle_tx":           "leave it out: a session that is not up sends every second, or every interval that is longer (RFC 5880 section 6.8.3)",
		"detect-multiplier": `write "multiplier: 5"`,
		"detect_mult":       `write "multiplier: 5"`,
		"passive":           "leave it out: a session sends before its peer is heard, and peers that wait for that are found, too",
		"passive-mode":      "leave it out: a session sends before its peer is heard, and peers that wait for that are found, too",
		"ttl":               oneHop,
		"hoplimit":          oneHop,
		"max_hops":          oneHop,
		"minimum-ttl":       oneHop,
		"multihop":          oneHop,
		"echo":              noEcho,
		"echo-mode":         noEcho,
		"echo-interval":     noEcho,
		"demand":            "leave it out: packets are sent all the time; a peer that wants none while both are up gets none",
		"auth":              "leave it out: who is believed is on the link, and the peer's address; packets with authentication are not",
		"authentication":    "leave it out: who is believed is on the link, and the peer's address; packets with authentication are not",
		"weight":            `it belongs to who tracks it: write "track: [{bfd: uplink, weight: -50}]" in a virtual router`,
		"vrrp":              `leave it out: write "track: [{bfd: uplink}]" in a virtual router`,
		"checker":           "leave it out: servers are watched by checks",
		"shutdown":          "leave the session out: its peer is told that it is switched off",
	},
}
