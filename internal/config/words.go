// SPDX-License-Identifier: Apache-2.0

package config

import "github.com/weir-lb/weir/internal/model"

// The words of the grammar. What LVS, keepalived or a later weir has and this version has not stands
// here by name, so that nobody wonders why it does nothing.

var fileKeys = vocabulary{
	known: []string{"interfaces", "services", "connections", "maintenance_dir", "api", "notify", "check_aliases", "bfd", "vrrp", "sync"},
	foreign: map[string]string{
		"<<":                   "merge keys are not supported: write the keys out",
		"virtual_server":       `write "services:" and one item for each`,
		"virtual_server_group": `write "services:", and "addresses:" in one of them`,
		"vrrp_instance":        `write "vrrp:" and one item for each`,
		"virtual_routers":      `write "vrrp:" and one item for each`,
		"failover":             `write "vrrp:" and one item for each address that moves`,
		"vrrp_sync_group":      asGroup,
		"vrrp_script":          asTrack + "[{exec: /etc/weir/check-uplink}]",
		"vrrp_track_process":   asTrack + "[{process: haproxy}]",
		"vrrp_track_file":      asTrack + "[{file: /run/weir/priority}]",
		"track_file":           asTrack + "[{file: /run/weir/priority}]",
		"bfd_instance":         `write "bfd:" and one item for each`,
		"lvs_sync_daemon":      `write "sync: {ipvs: {interface: eth0, id: 1}}" beside directors of LVS, "peers:" in it between weirs`,
		"connsync":             `write "sync:"`,
		"conntrackd":           `write "sync:"`,
		"vrrp_startup_delay":   `write "start_delay: 30s" in each virtual router`,
		"global_defs":          `leave it out: weir has no such section; mail is "notify: [{mail: ops@example.org}]"`,
		"notification_email":   `write "notify: [{mail: ops@example.org}]"`,
		"emailalert":           `write "notify: [{mail: ops@example.org}]"`,
		"notify_fifo":          `write "notify: [{fifo: /run/weir/events}]"`,
		"lvs_notify_fifo":      `write "notify: [{fifo: /run/weir/events}]"`,
		"vrrp_notify_fifo":     `write "notify: [{fifo: /run/weir/events}]"`,
		"notifications":        `write "notify:"`,
		"alerts":               `write "notify:"`,
		"maintenancedir":       `write "maintenance_dir: /etc/weir/maintenance"`,
		"maintenance":          `write it in a service or server, or "maintenance_dir:" for files that name them`,
		"conn_tab_bits":        `write "connections: {size: 1048576}", the connections themselves: ip_vs counts the bits of its hash`,
	},
}

var interfaceKeys = vocabulary{known: []string{"name", "xdp"}}

var connectionsKeys = vocabulary{
	known: []string{"size"},
	foreign: map[string]string{
		"<<":            "merge keys are not supported: write the keys out",
		"max":           `write "size:"`,
		"limit":         `write "size:"`,
		"entries":       `write "size:"`,
		"conn_tab_bits": `write "size: 1048576", the connections themselves: ip_vs counts the bits of its hash`,
	},
}

var apiKeys = vocabulary{known: []string{"unix"}}

var serviceKeys = vocabulary{
	known: []string{"name", "address", "addresses", "protocol", "scheduler", "flags", "forwarding", "tunnel", "mss", "timeouts", "leaving", "down", "check", "sorry", "quorum", "panic", "maintenance", "slow_start", "passive", "persistence", "one_packet", "reuse", "unknown", "half_open", "servers"},
	later: map[string]string{
		"connections": "leave it out: a service's connections are not limited",
	},
	foreign: map[string]string{
		"<<":                  "merge keys are not supported: write the keys out",
		"fwmark":              `write "addresses:" with all that the firewall marks: [192.0.2.10:80, 192.0.2.10:443], or 0.0.0.0/0:80`,
		"ports":               `write "addresses: [192.0.2.10:80, 192.0.2.10:443]"`,
		"protocols":           `write "addresses: [192.0.2.10:53/tcp, 192.0.2.10:53/udp]"`,
		"port":                `write the port behind the address: "address: 192.0.2.10:80"`,
		"ip":                  `write "address: 192.0.2.10:80"`,
		"vip":                 `write "address: 192.0.2.10:80"`,
		"virtual":             `write "address: 192.0.2.10:80"`,
		"real":                `write "servers:"`,
		"real_server":         `write "servers:"`,
		"real_servers":        `write "servers:"`,
		"destinations":        `write "servers:"`,
		"backends":            `write "servers:"`,
		"lb_algo":             `write "scheduler:"`,
		"lvs_sched":           `write "scheduler:"`,
		"algorithm":           `write "scheduler:"`,
		"lb_kind":             `write "forwarding:"`,
		"lvs_method":          `write "forwarding:"`,
		"method":              `write "forwarding:"`,
		"advmss":              `write "mss:"`,
		"expire_nodest_conn":  `write "leaving: reset"`,
		"removed":             `write "leaving:"`,
		"drain":               `write "leaving: {policy: drain, for: 1h}"`,
		"conn_reuse_mode":     `write "reuse: kept" for 0, "closing" for 2; "closed" is the default`,
		"syn_backlog":         `write "half_open:"`,
		"sloppy_tcp":          `write "unknown: forward", or leave it out: it is the default`,
		"sorry_server":        `write "sorry: 10.0.0.99:80"`,
		"fallback":            `write "sorry: 10.0.0.99:80", or the name of another service`,
		"backup":              `write "sorry: 10.0.0.99:80", or the name of another service`,
		"use_backend":         `write "sorry: " and the name of another service`,
		"default_backend":     `write "sorry: " and the name of another service`,
		"hysteresis":          `write "quorum: {weight: 3, hysteresis: 1}"`,
		"quorum_up":           `write "notify:" with "events: [service_up]"`,
		"quorum_down":         `write "notify:" with "events: [service_down]"`,
		"maintenancedir":      `it belongs to the file: write "maintenance_dir: /etc/weir/maintenance" beside "services:"`,
		"maintenance_dir":     "it belongs to the file, beside services",
		"panic_threshold":     `write "panic: 50%"`,
		"slowstart":           `write "slow_start: 30s"`,
		"delay_loop":          `write "check: {tcp: {}, interval: 6s}"`,
		"inhibit_on_failure":  `write "down: drain"`,
		"quiesce_server":      `write "down: drain"`,
		"checktype":           `write "check: tcp", or "check: {http: /}"`,
		"real_server_check":   `write "check: tcp", or "check: {http: /}"`,
		"ops":                 `write "one_packet: true"`,
		"weight":              "a weight belongs to a server",
		"thresholds":          "thresholds belong to a server",
		"netmask":             `write "persistence: {mask: 24}": the length of the prefix`,
		"pmask":               `write "persistence: {mask: 24}": the length of the prefix`,
		"persistent":          `write "persistence: 6m"`,
		"persistence_timeout": `write "persistence: 6m"`,
		"quiescent":           `write "persistence: {quiescent: expire}"; for a server of weight 0 leave it out`,

		"persistence_granularity":   `write "persistence: {mask: 24}": the length of the prefix`,
		"expire_quiescent_template": `write "persistence: {quiescent: expire}"`,
	},
}

var serverKeys = vocabulary{
	known: []string{"address", "weight", "forwarding", "tunnel", "thresholds", "check", "maintenance"},
	foreign: map[string]string{
		"<<":          "merge keys are not supported: write the keys out",
		"port":        `write the port behind the address: "address: 10.0.0.11:80"`,
		"uthreshold":  `write "thresholds: {upper: 1000}"`,
		"lthreshold":  `write "thresholds: {upper: 1000, lower: 800}"`,
		"ip":          `write "address: 10.0.0.11:80"`,
		"name":        "a server has no name but its address",
		"service":     `another service is named alone: write "sorry: " and its name`,
		"method":      `write "forwarding:"`,
		"protocol":    "a protocol belongs to a service",
		"scheduler":   "a scheduler belongs to a service",
		"mss":         "an mss belongs to a service",
		"leaving":     "it belongs to a service",
		"unknown":     "it belongs to a service",
		"half_open":   "it belongs to a service",
		"one_packet":  "it belongs to a service",
		"reuse":       "it belongs to a service",
		"passive":     "it belongs to a service",
		"timeouts":    "timeouts belong to a service",
		"persistence": "it belongs to a service",
		"down":        "it belongs to a service",
		"quorum":      "it belongs to a service",
		"panic":       "it belongs to a service",
		"slow_start":  "it belongs to a service",
		"slowstart":   `it belongs to a service: write "slow_start: 30s" there`,

		"inhibit_on_failure": `it belongs to the service: write "down: drain" there`,
		"http_get":           `write "check: {http: /}"`,
		"ssl_get":            `write "check: {https: /}"`,
		"tcp_check":          `write "check: tcp"`,
	},
}

var thresholdKeys = vocabulary{
	known:   []string{"upper", "lower"},
	foreign: map[string]string{"<<": "merge keys are not supported: write the keys out", "max": `write "upper:"`, "min": `write "lower:"`},
}

var timeoutKeys = vocabulary{
	known: stateKeys(model.States()),
	foreign: map[string]string{
		"<<":     "merge keys are not supported: write the keys out",
		"tcp":    `write "established:"`,
		"tcpfin": `write "fin_wait:"`,
	},
}

var persistenceKeys = vocabulary{
	known: []string{"timeout", "mask", "quiescent"},
	foreign: map[string]string{
		"<<":          "merge keys are not supported: write the keys out",
		"netmask":     `write "mask: 24": the length of the prefix`,
		"granularity": `write "mask: 24": the length of the prefix`,
		"prefix":      `write "mask: 24"`,
		"for":         `write "timeout: 6m"`,

		"expire_quiescent_template": `write "quiescent: expire"`,
	},
}

var quiescents = vocabulary{
	known:   names(model.Quiescents()...),
	foreign: map[string]string{"yes": `write "keep"`, "no": `write "expire"`, "1": `write "expire"`, "0": `write "keep"`},
}

var maintenanceKeys = vocabulary{
	known: []string{"from", "to", "days"},
	foreign: map[string]string{
		"<<":       "merge keys are not supported: write the keys out",
		"start":    `write "from: 02:00"`,
		"begin":    `write "from: 02:00"`,
		"end":      `write "to: 03:00"`,
		"until":    `write "to: 03:00"`,
		"duration": `write "to: 03:00"`,
		"for":      `write "to: 03:00"`,
		"day":      `write "days: [sun]"`,
		"zone":     "leave it out: times are those of the daemon's zone, which is that of the host, or of TZ in its environment",
		"timezone": "leave it out: times are those of the daemon's zone, which is that of the host, or of TZ in its environment",
	},
}

var weekdays = vocabulary{
	known: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"},
	foreign: map[string]string{
		"monday": `write "mon"`, "tuesday": `write "tue"`, "wednesday": `write "wed"`, "thursday": `write "thu"`,
		"friday": `write "fri"`, "saturday": `write "sat"`, "sunday": `write "sun"`,
		"weekend": `write "[sat, sun]"`, "daily": "for every day leave it out",
	},
}

var quorumKeys = vocabulary{
	known:   []string{"weight", "hysteresis"},
	foreign: map[string]string{"<<": "merge keys are not supported: write the keys out", "quorum": `write "weight:"`, "servers": `write "weight:", which is their number where each has weight 1`},
}

var leavingKeys = vocabulary{
	known: []string{"policy", "for"},
	foreign: map[string]string{
		"<<":      "merge keys are not supported: write the keys out",
		"timeout": `write "for: 1h"`,
	},
}

var leavings = vocabulary{
	known: names(model.Leavings()...),
	foreign: map[string]string{
		"expire":  `write "reset"`,
		"close":   `write "reset"`,
		"silent":  `write "drop"`,
		"quiesce": `write "drain"; "weight: 0" quiesces a server that stays`,
	},
}

var downs = vocabulary{
	known: names(model.Leavings()...),
	foreign: map[string]string{
		"inhibit": `write "drain": no new connections, and those that there are live on`,
		"quiesce": `write "drain": no new connections, and those that there are live on`,
		"remove":  `write "reset", or leave it out: it is the default`,
		"silent":  `write "drop"`,
	},
}

var unknowns = vocabulary{
	known: names(model.Unknowns()...),
	foreign: map[string]string{
		"hash":   `write "forward"`,
		"sloppy": `write "forward"`,
		"reset":  `write "pass": the host's kernel resets them`,
		"kernel": `write "pass"`,
	},
}

var passives = vocabulary{known: names(model.Passives()...)}

var reuses = vocabulary{
	known:   names(model.Reuses()...),
	foreign: map[string]string{"0": `write "kept"`, "1": `write "closed", or leave it out: it is the default`, "2": `write "closing"`},
}

var tunnelKeys = vocabulary{
	known: []string{"type", "port", "checksum", "source"},
	later: map[string]string{
		"remcsum": `remote checksum offload is not supported, each server's kernel would have to undo it: write "checksum: true"`,
	},
	foreign: map[string]string{
		"<<":     "merge keys are not supported: write the keys out",
		"csum":   `write "checksum: true"`,
		"nocsum": "leave it out: without a checksum is the default",
	},
}

var tunnelTypes = vocabulary{
	known: names(model.TunnelTypes()...),
	foreign: map[string]string{
		"fou": `write "gue": IPVS has no other tunnel in UDP`,
		"sit": `write "ipip": it carries IPv4 and IPv6`, "ip6ip6": `write "ipip": it carries IPv4 and IPv6`,
		"ip6tnl": `write "ipip": it carries IPv4 and IPv6`, "ip6gre": `write "gre": it carries IPv4 and IPv6`,
	},
}

var protocols = vocabulary{known: names(model.TCP, model.UDP, model.SCTP)}

var xdpModes = vocabulary{
	known:   names(model.XDPAuto, model.XDPNative, model.XDPGeneric),
	foreign: map[string]string{"driver": `write "native"`, "drv": `write "native"`, "skb": `write "generic"`},
}

var schedulers = vocabulary{
	known: names(model.Schedulers()...),
}

var schedulerFlags = vocabulary{
	known: []string{"sh-port", "sh-fallback", "mh-port", "mh-fallback"},
	foreign: map[string]string{
		"flag-1": `write the flag's name: "sh-fallback", "mh-fallback"`, "flag-2": `write the flag's name: "sh-port", "mh-port"`,
	},
}

var forwardings = vocabulary{
	known: names(model.Forwardings()...),
	foreign: map[string]string{
		"masq": `write "nat"`, "masquerading": `write "nat"`,
		"gate": `write "dr"`, "gatewaying": `write "dr"`, "route": `write "dr"`,
		"tunnel": `write "tun"`, "ipip": `write "tun"`,
		"gre": `write "forwarding: tun" and "tunnel: gre"`, "gue": `write "forwarding: tun" and "tunnel: gue"`,
	},
}

func names[T interface{ String() string }](values ...T) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}
