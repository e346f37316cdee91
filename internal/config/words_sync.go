// SPDX-License-Identifier: Apache-2.0

package config

// The words behind sync. Those of others are keepalived's, of its lvs_sync_daemon, and ipvsadm's.

var syncKeys = vocabulary{
	known: []string{"interface", "peers", "source", "port", "key_file", "ipvs"},
	foreign: map[string]string{
		"<<":             "merge keys are not supported: write the keys out",
		"peer":           `write "peers: [192.0.2.3]"`,
		"address":        `write "peers: [192.0.2.3]"`,
		"unicast_peer":   `write "peers: [192.0.2.3]"`,
		"directors":      `write "peers: [192.0.2.3]"`,
		"key":            `write it into a file of its own, and "key_file:" with its path`,
		"secret":         `write it into a file of its own, and "key_file:" with its path`,
		"password":       `write it into a file of its own, and "key_file:" with its path`,
		"keys":           `write "key_file:"; a second key stands in a second line of the file`,
		"key_files":      `write "key_file:"; a second key stands in a second line of the file`,
		"secret_file":    `write "key_file:"`,
		"unicast_src_ip": `write "source: 192.0.2.2"`,
		"id":             `write it in "ipvs: {interface: eth0, id: 1}"; weirs know each other by their key`,
		"syncid":         `write "ipvs: {interface: eth0, id: 1}"; weirs know each other by their key`,
		"kernel":         `write "ipvs: {interface: eth0}"`,
		"lvs":            `write "ipvs: {interface: eth0}"`,
		"group":          `write it in "ipvs:"; peers are sent to by themselves`,
		"mcast_group":    `write "group:" in "ipvs:"; peers are sent to by themselves`,
		"timeout":        "leave it out: connections have the time here that they have left there",
		"threshold":      "leave it out: what has changed is told at once",
	},
}

var ipvsSyncKeys = vocabulary{
	known: []string{"interface", "id", "send", "receive", "group", "port", "ttl", "size", "from"},
	foreign: map[string]string{
		"<<":              "merge keys are not supported: write the keys out",
		"mcast-interface": `write "interface: eth0"`,
		"mcast_interface": `write "interface: eth0"`,
		"syncid":          `write "id: 1"`,
		"inst":            "leave it out: who is master is what \"vrrp:\" says",
		"vrrp_instance":   "leave it out: who is master is what \"vrrp:\" says",
		"master":          `write "send: true"; who is master is told, and hears others as a backup`,
		"backup":          `write "receive: true"; who is master is told, and hears others as a backup`,
		"state":           `write "send: false" or "receive: false", or leave both out`,
		"mcast-group":     `write "group: 224.0.0.81"`,
		"mcast_group":     `write "group: 224.0.0.81"`,
		"mcast-port":      `write "port: 8848"`,
		"mcast_port":      `write "port: 8848"`,
		"mcast-ttl":       `write "ttl: 1"`,
		"mcast_ttl":       `write "ttl: 1"`,
		"sync-maxlen":     `write "size: 1472"`,
		"maxlen":          `write "size: 1472"`,
		"peers":           `write "from: [192.0.2.3]"; messages go to all by multicast`,
		"key_file":        "leave it out: ip_vs has no keys; weirs do, see \"peers:\"",
	},
}
