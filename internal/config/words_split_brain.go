// SPDX-License-Identifier: Apache-2.0

package config

import "github.com/weir-lb/weir/internal/model"

// The words behind paths, witness and fence of a virtual router.

var pathKeys = vocabulary{
	known: []string{"interface", "peer", "director", "source"},
	foreign: map[string]string{
		"<<":      "merge keys are not supported: write the keys out",
		"address": `write "peer: 10.9.0.3"`,
		"to":      `write "peer: 10.9.0.3"`,
		"peers":   `write "peer: 10.9.0.3", and an item for each`,
		"of":      `write "director: 192.0.2.3"`,
		"dev":     `write "interface: eth1"`,
	},
}

var fenceKeys = vocabulary{
	known: []string{"path", "args", "user", "timeout", "failed"},
	foreign: map[string]string{
		"<<":       "merge keys are not supported: write the keys out",
		"exec":     `write "path: /etc/weir/fence"`,
		"program":  `write "path: /etc/weir/fence"`,
		"script":   `write "path: /etc/weir/fence"`,
		"command":  `write "path: /etc/weir/fence", and "args:"`,
		"on_fail":  `write "failed: stay" or "failed: takeover"`,
		"else":     `write "failed: stay" or "failed: takeover"`,
		"interval": "it runs once, when the master is missed",
	},
}

var fenceFailures = vocabulary{
	known: names(model.FenceStay, model.FenceTakeover),
	foreign: map[string]string{
		"backup":    `write "stay"`,
		"ignore":    `write "takeover"`,
		"go":        `write "takeover"`,
		"take_over": `write "takeover"`,
		"master":    `write "takeover"`,
	},
}
