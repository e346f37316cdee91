// SPDX-License-Identifier: Apache-2.0

package config

// The words behind mysql, postgresql, ldap, radius, sip and grpc. ldirectord's are those of a virtual service,
// HAProxy's those of its options, Envoy's those of a grpc_health_check.

const (
	asFile    = `write it into a file of its own, and "password_file:" with its path`
	insideTLS = `write it into "tls: {...}"`
)

// loginForeign are passwords and users as others call them.
var loginForeign = map[string]string{
	"login":    `write "user:"`,
	"username": `write "user:"`,
	"passwd":   asFile,
	"password": asFile,
	"pass":     asFile,
}

// secureForeign are words of TLS beside what may be over it.
var secureForeign = joined(allWith(insideTLS, tlsWords), map[string]string{
	"ssl":         `write "tls: {}"`,
	"secure":      `write "tls: {}"`,
	"sni":         `write "tls: {name: www.example.org}"`,
	"tls_options": `write "tls: {}"`,
	"sslmode":     `write "tls: {}", and "ca:" in it to look at certificates`,
})

// sqlForeign must not name what is known beside it.
var sqlForeign = joined(loginForeign, map[string]string{
	"db":        `write "database:"`,
	"dbname":    `write "database:"`,
	"request":   `write "query:"`,
	"sql":       `write "query:"`,
	"receive":   `write "row:": the first one, with \t between its columns`,
	"expect":    `write "row:": the first one, with \t between its columns`,
	"post-41":   "leave it out: no older server is spoken to",
	"pre-41":    "such old passwords are not sent: give the user a newer one",
	"passwords": asFile,
})

var sqlKeys = vocabulary{
	known:   []string{"user", "password_file", "database", "query", "row", "tls"},
	foreign: behindKind(joined(sqlForeign, secureForeign)),
}

var ldapKeys = vocabulary{
	known: []string{"bind", "password_file", "base", "tls"},
	foreign: behindKind(joined(loginForeign, secureForeign, map[string]string{
		"user":     `write "bind:"`,
		"login":    `write "bind:"`,
		"username": `write "bind:"`,
		"binddn":   `write "bind:"`,
		"bind_dn":  `write "bind:"`,
		"dn":       `write "bind:", or "base:" for the entry that must be there`,
		"request":  `write "base:"`,
		"search":   `write "base:"`,
		"filter":   `leave it out: the entry at "base:" is looked for`,
		"receive":  `leave it out: the entry at "base:" must be there`,
		"starttls": `write "tls: {}", and the port of ldaps`,
	})),
}

var radiusKeys = vocabulary{
	known: []string{"secret_file", "user", "password_file", "nas", "reject"},
	foreign: behindKind(joined(loginForeign, map[string]string{
		"secret":         `write it into a file of its own, and "secret_file:" with its path`,
		"nas_identifier": `write "nas:"`,
		"nas-identifier": `write "nas:"`,
		"request":        `leave it out: without "user:" the server's status is asked`,
	})),
}

var sipKeys = vocabulary{
	known: []string{"user", "domain", "status", "tcp"},
	foreign: behindKind(map[string]string{
		"login":       `write "user:"`,
		"username":    `write "user:"`,
		"host":        `write "domain:"`,
		"virtualhost": `write "domain:"`,
		"uri":         `write "user:" and "domain:"`,
		"code":        `write "status:"`,
		"codes":       `write "status:"`,
		"expect":      `write "status:"`,
		"protocol":    `write "tcp: true", or leave it out for UDP`,
		"udp":         "leave it out: it is the default",
		"method":      "leave it out: OPTIONS is sent",
		"tls":         "not in this version yet: leave it out",
	}),
}

var grpcKeys = vocabulary{
	known: []string{"service", "host", "tls"},
	foreign: behindKind(joined(secureForeign, map[string]string{
		"service_name": `write "service:"`,
		"authority":    `write "host:"`,
		"virtualhost":  `write "host:"`,
		"path":         "leave it out: grpc.health.v1 is asked",
		"method":       "leave it out: grpc.health.v1 is asked",
		"status":       "leave it out: SERVING is good",
	})),
}

// withinTLS are the words of tls where it is a part of another kind.
var withinTLS = vocabulary{known: tlsWords, foreign: tlsForeign}
