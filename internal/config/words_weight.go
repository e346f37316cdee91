// SPDX-License-Identifier: Apache-2.0

package config

// The words behind the kinds that may give weights. keepalived's are those of MISC_CHECK and FILE_CHECK, ldirectord's
// those of its external checks, Piranha's send_program; HAProxy's are those of agent-check and external-check.

var askExecKeys = vocabulary{
	known: []string{"path", "args", "user", "dynamic"},
	foreign: behindKind(map[string]string{
		"misc_path":      `write "path:" for the program and "args:" for the rest`,
		"script":         `write "path:"`,
		"command":        `write "path:" for the program and "args:" for the rest`,
		"checkcommand":   `write "path:" for the program and "args:" for the rest`,
		"send_program":   `write "path:" for the program and "args:" for the rest`,
		"arguments":      `write "args:"`,
		"misc_dynamic":   `write "dynamic: true"`,
		"misc_timeout":   `write "timeout:" beside the kind`,
		"script_user":    `write "user:"`,
		"weight":         `write "dynamic: true": the exit code is the weight and 2`,
		"env":            "leave it out: WEIR_SERVER, WEIR_SERVER_ADDRESS and WEIR_SERVER_PORT are all that it gets",
		"expect":         "leave it out: the exit code is the answer",
		"username":       `write "user:"`,
		"external-check": `write "path:"`,
	}),
}

var askFileKeys = vocabulary{
	known: []string{"path"},
	foreign: behindKind(map[string]string{
		"track_file":     `write "path:"`,
		"file":           `write "path:"`,
		"directory":      `write "path:", with a slash at its end`,
		"maintenancedir": `write "path:", with a slash at its end`,
		"weight":         "leave it out: what is in the file is the weight",
		"dynamic":        "leave it out: what is in the file is the weight",
		"init_file":      "leave it out: who has something to say writes the file",
	}),
}

var agentKeys = vocabulary{
	known: []string{"send"},
	foreign: behindKind(map[string]string{
		"agent-send":  `write "send:"`,
		"agent-port":  `write "port:" beside the kind`,
		"agent-inter": `write "interval:" beside the kind`,
		"agent-addr":  noEndpoint,
		"weight":      "leave it out: the agent says what part of the weight it is",
		"dynamic":     "leave it out: the agent says what part of the weight it is",
		"expect":      "leave it out: agents have words of their own",
	}),
}
