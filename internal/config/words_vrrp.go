// SPDX-License-Identifier: Apache-2.0

package config

import "github.com/weir-lb/weir/internal/model"

// The words behind vrrp. Those of others are keepalived's, of its vrrp_instance.

const (
	notYet   = "not in this version yet: "
	asTrack  = `write "track:" in each virtual router: `
	asGroup  = `write "group: pair" in each virtual router that is to be master with others`
	asAuth   = `write "auth: {key_file: /etc/weir/vrrp.key}"`
	noAuth   = "leave it out: its password is there for everybody on the link to read, and no advert with one is believed; " + asAuth
	noRules  = "the host's rules (ip rule) stay as they are, on every director"
	noRepeat = "leave it out: a new master announces its addresses ten times in ten seconds, then every minute"
)

var routerKeys = vocabulary{
	known: []string{"name", "interface", "id", "version", "priority", "advertise", "addresses", "peers", "source", "preempt", "start_delay", "accept", "checksum", "mac", "auth", "paths", "witness", "fence", "group", "track", "routes"},
	foreign: map[string]string{
		"<<":                         "merge keys are not supported: write the keys out",
		"virtual_router_id":          `write "id: 51"`,
		"vrid":                       `write "id: 51"`,
		"advert_int":                 `write "advertise: 1s"`,
		"interval":                   `write "advertise: 1s"`,
		"virtual_ipaddress":          `write "addresses: [192.0.2.10/24]"`,
		"virtual_ipaddress_excluded": `write another virtual router for them, with an id and "addresses:" of its own`,
		"address":                    `write "addresses: [192.0.2.10/24]"`,
		"vip":                        `write "addresses: [192.0.2.10/24]"`,
		"vips":                       `write "addresses: [192.0.2.10/24]"`,
		"unicast_peer":               `write "peers: [192.0.2.3]"`,
		"unicast_src_ip":             `write "source: 192.0.2.2"`,
		"mcast_src_ip":               `write "source: 192.0.2.2"`,
		"nopreempt":                  `write "preempt: false"`,
		"preempt_delay":              `write "preempt: {delay: 30s}"`,
		"startup_delay":              `write "start_delay: 30s"`,
		"vrrp_startup_delay":         `write "start_delay: 30s"`,
		"vrrp_version":               `write "version: 2", or leave it out: 3 is the default`,
		"v3_checksum_as_v2":          `write "checksum: rfc9568"`,
		"old_unicast_checksum":       `leave it out: "checksum: peer" is the default, which does as the peer does`,
		"state":                      "leave it out: all begin as backups, and the priority decides",
		"native_ipv6":                "leave it out: the family is that of the addresses",
		"no_accept":                  `write "accept: false"`,
		"accept_mode":                `write "accept: false", or leave it out: true is the default`,
		"strict_mode":                "leave it out: what the RFC forbids is refused, but for peers, and IPv6 without a link-local address",
		"vrrp_strict":                "leave it out: what the RFC forbids is refused, but for peers, and IPv6 without a link-local address",
		"use_vmac":                   `write "mac: virtual"`,
		"vmac":                       `write "mac: virtual"`,
		"path":                       `write "paths: [{interface: eth1, peer: 10.9.0.3}]"`,
		"heartbeat":                  `write "paths: [{interface: eth1, peer: 10.9.0.3}]"`,
		"heartbeats":                 `write "paths: [{interface: eth1, peer: 10.9.0.3}]"`,
		"witnesses":                  `write "witness: [192.0.2.1]"`,
		"ping":                       `write "witness: [192.0.2.1]"`,
		"quorum_address":             `write "witness: [192.0.2.1]"`,
		"stonith":                    `write "fence: /etc/weir/fence"`,
		"fencing":                    `write "fence: /etc/weir/fence"`,
		"use_ipvlan":                 `leave it out: addresses are on the interface, or with "mac: virtual" at a MAC of their own`,
		"vmac_xmit_base":             `leave it out: with "mac: virtual" adverts come from that MAC, so that switches learn where it is`,
		"track_interface":            `write "track: [{interface: eth1}]"`,
		"track_script":               `write "track: [{exec: /etc/weir/check-uplink}]"`,
		"track_process":              `write "track: [{process: haproxy}]"`,
		"track_file":                 `write "track: [{file: /run/weir/priority}]": the number in it is what the priority changes by`,
		"track_bfd":                  `write "track: [{bfd: uplink}]"`,
		"dont_track_primary":         "leave it out: without its own interface a virtual router cannot advertise",
		"sync_group":                 `write "group: pair"`,
		"key_file":                   asAuth,
		"key":                        asAuth,
		"authentication":             noAuth,
		"auth_type":                  noAuth,
		"auth_pass":                  noAuth,
		"auth_hmac":                  asAuth + `; its file has the same keys, each behind its id: "1 hex:…"`,
		"virtual_routes":             `write "routes: [{to: 10.8.0.0/16, via: 192.0.2.1}]"`,
		"route":                      `write "routes: [{to: 10.8.0.0/16, via: 192.0.2.1}]"`,
		"virtual_rules":              notYet + noRules,
		"garp_master_delay":          noRepeat,
		"garp_master_repeat":         noRepeat,
		"garp_master_refresh":        noRepeat,
		"garp_master_refresh_repeat": noRepeat,
		"garp_lower_prio_delay":      noRepeat,
		"garp_lower_prio_repeat":     noRepeat,
		"notify":                     `write it under "notify:": {exec: PROGRAM, events: [vrrp_master, vrrp_backup, vrrp_fault, vrrp_stop]}`,
		"notify_master":              `write it under "notify:": {exec: PROGRAM, events: [vrrp_master]}`,
		"notify_backup":              `write it under "notify:": {exec: PROGRAM, events: [vrrp_backup]}`,
		"notify_fault":               `write it under "notify:": {exec: PROGRAM, events: [vrrp_fault]}`,
		"notify_stop":                `write it under "notify:": {exec: PROGRAM, events: [vrrp_stop]}`,
		"notify_deleted":             `write it under "notify:": {exec: PROGRAM, events: [vrrp_stop]}`,
		"smtp_alert":                 `write it under "notify:": {mail: ADDRESS, events: [vrrp_master, vrrp_backup, vrrp_fault]}`,
		"lvs_sync_daemon_interface":  `write "sync:" beside "vrrp:"`,
	},
}

var trackKeys = vocabulary{
	known: []string{"interface", "service", "dataplane", "exec", "file", "route", "bfd", "process", "weight", "interval", "timeout", "rise", "fall", "fast"},
	foreign: map[string]string{
		"<<":        "merge keys are not supported: write the keys out",
		"script":    `write "exec: /etc/weir/check-uplink"`,
		"program":   `write "exec: /etc/weir/check-uplink"`,
		"user":      `it belongs to the program: write "exec: {path: /etc/weir/check-uplink, user: nobody}"`,
		"link":      `write "interface: eth1"`,
		"reverse":   "have the program answer the other way round",
		"init_fail": "leave it out: of what nothing is known yet, nothing is wrong",
		"priority":  `write "weight: -50"`,
	},
}

var trackAlone = vocabulary{
	known: []string{"dataplane"},
	foreign: map[string]string{
		"interface": `write "interface: eth1"`,
		"bfd":       `write "bfd: " and the name of a session`,
		"service":   `write "service: " and its name`,
		"exec":      `write "exec: /etc/weir/check-uplink"`,
		"file":      `write "file: /run/weir/priority"`,
		"route":     `write "route: 0.0.0.0/0"`,
		"process":   `write "process: haproxy"`,
	},
}

var trackProcessKeys = vocabulary{
	known: []string{"name", "command", "quorum", "fork_delay", "terminate_delay"},
	foreign: map[string]string{
		"<<":           "merge keys are not supported: write the keys out",
		"process":      `write "name: haproxy", or "command: [/usr/sbin/haproxy, -f, /etc/haproxy/b.cfg]"`,
		"comm":         `write "name: haproxy"`,
		"cmdline":      `write "command: [/usr/sbin/haproxy, -f, /etc/haproxy/b.cfg]"`,
		"full_command": `write "command: [/usr/sbin/haproxy, -f, /etc/haproxy/b.cfg]"`,
		"args":         `write them behind the program: "command: [/usr/sbin/haproxy, -f, /etc/haproxy/b.cfg]"`,
		"param_match":  "leave it out: a command line has to begin with the words of \"command:\"",
		"delay":        `write "fork_delay: 2s" and "terminate_delay: 2s"`,
		"quorum_max":   notYet + "have a program count them: {exec: /etc/weir/check-app}",
		"min":          `write "quorum: 2"`,
		"count":        `write "quorum: 2"`,
		"user":         notYet + "the first words of its command line may tell it from others",
		"weight":       `write it beside "process:": {process: haproxy, weight: -50}`,
	},
}

var trackRouteKeys = vocabulary{
	known: []string{"to", "via", "interface", "table"},
	foreign: joined(routeForeign, map[string]string{
		"metric": "leave it out: a route of any metric will do",
		"source": "leave it out: a route with any source will do",
	}),
}

var virtualRouteKeys = vocabulary{
	known: []string{"to", "via", "interface", "source", "metric", "table"},
	foreign: joined(routeForeign, map[string]string{
		"src":         `write "source: 192.0.2.10"`,
		"preference":  `write "metric: 50"`,
		"priority":    `write "metric: 50"`,
		"blackhole":   notYet + noRoute,
		"unreachable": notYet + noRoute,
		"prohibit":    notYet + noRoute,
		"type":        notYet + noRoute,
		"multipath":   notYet + "one next hop to a destination; several that share the load belong to a routing daemon",
		"onlink":      notYet + "write a route to the next hop itself before it: {to: 198.51.100.1, interface: eth1}",
		"scope":       "leave it out: the kernel's is right",
		"tos":         notYet + "a host's rules (ip rule) can choose a table by it",
		"mtu":         notYet + "the MTU of the way is found out as always",
		"advmss":      notYet + "the MTU of the way is found out as always",
		"proto":       "leave it out: it is 120, by which weir knows its own",
		"protocol":    "leave it out: it is 120, by which weir knows its own",
		"track":       "leave it out: what else decides stands under the virtual router's own \"track:\"",
		"no_track":    "leave it out: what else decides stands under the virtual router's own \"track:\"",
	}),
}

const noRoute = "what leads nowhere is no different on a master: put it there on every director"

// routeForeign are iproute2's words, and keepalived's.
var routeForeign = map[string]string{
	"<<":          "merge keys are not supported: write the keys out",
	"destination": `write "to: 10.8.0.0/16"`,
	"prefix":      `write "to: 10.8.0.0/16"`,
	"dst":         `write "to: 10.8.0.0/16"`,
	"dev":         `write "interface: eth1"`,
	"oif":         `write "interface: eth1"`,
	"gw":          `write "via: 192.0.2.1"`,
	"gateway":     `write "via: 192.0.2.1"`,
	"nexthop":     `write "via: 192.0.2.1"`,
}

var authKeys = vocabulary{
	known: []string{"key_file", "mode"},
	foreign: map[string]string{
		"<<":          "merge keys are not supported: write the keys out",
		"key":         `write it into a file of its own, and "key_file:" with its path`,
		"keys":        `write "key_file:"; each key stands in a line of the file`,
		"secret":      `write it into a file of its own, and "key_file:" with its path`,
		"password":    `write it into a file of its own, and "key_file:" with its path`,
		"active_key":  "leave it out: the first key of the file signs",
		"anti_replay": "leave it out: no advert is believed twice, and no clock need be right for that",
		"time_window": "leave it out: no clock need be right",
	},
}

var authModes = vocabulary{
	known: names(model.AuthEnforce, model.AuthPermissive, model.AuthReceive),
	foreign: map[string]string{
		"receive":      `write "receive-only"`,
		"receive_only": `write "receive-only"`,
		"off":          `leave "auth:" out`,
		"none":         `leave "auth:" out`,
	},
}

var preemptKeys = vocabulary{
	known: []string{"delay"},
	foreign: map[string]string{
		"<<":            "merge keys are not supported: write the keys out",
		"preempt_delay": `write "delay: 30s"`,
		"after":         `write "delay: 30s"`,
		"for":           `write "delay: 30s"`,
	},
}

var routerMACs = vocabulary{
	known: []string{interfaceMAC, virtualMAC},
	foreign: map[string]string{
		"own":      `write "interface", or leave it out: it is the default`,
		"vmac":     `write "virtual"`,
		"use_vmac": `write "virtual"`,
		"true":     `write "virtual"`,
		"macvlan":  `write "virtual"`,
	},
}

var vrrpChecksums = vocabulary{
	known: names(model.ChecksumPeer, model.ChecksumMessage, model.ChecksumPseudo),
	foreign: map[string]string{
		"auto":       `write "peer", or leave it out: it is the default`,
		"keepalived": `write "rfc5798"`,
		"frr":        `write "rfc5798"`,
		"rfc3768":    `write "rfc9568"; for version 2 leave it out`,
	},
}
