// SPDX-License-Identifier: Apache-2.0

package config

import (
	"maps"
	"slices"
)

// The words behind http, https and tls. keepalived's are those of HTTP_GET and SSL_GET, ldirectord's those of a
// virtual service; HAProxy's belong to http-check and to servers.

var (
	requestWords = []string{"method", "path", "host", "headers"}
	answerWords  = []string{"status", "contains", "match", "digest"}
	tlsWords     = []string{"name", "ca", "cert", "key", "expiry"}
)

const (
	noTLS    = `write "https:": http has no certificates`
	isTLS    = "leave it out: this kind is over TLS already"
	notAsked = `write "https:": nothing is asked behind the handshake of tls`
	asHeader = `write "headers: {Authorization: Basic ...}"`
)

var httpKeys = vocabulary{
	known: slices.Concat(requestWords, answerWords),
	foreign: behindKind(joined(httpForeign, allWith(noTLS, slices.Collect(maps.Keys(tlsForeign))), allWith(noTLS, tlsWords), map[string]string{
		"name": `write "host:" for the name of the site, "https:" for one in certificates`,
	})),
}

var httpsKeys = vocabulary{
	known:   slices.Concat(requestWords, answerWords, tlsWords),
	foreign: behindKind(joined(httpForeign, tlsForeign)),
}

var tlsKeys = vocabulary{
	known: tlsWords,
	foreign: behindKind(joined(allWith(notAsked, slices.Collect(maps.Keys(httpForeign))), tlsForeign,
		allWith(notAsked, requestWords), allWith(notAsked, answerWords), map[string]string{
			"host": `write "name:"`, "virtualhost": `write "name:"`, "vhost": `write "name:"`,
		})),
}

// joined is one map of several; later ones win.
func joined(words ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, more := range words {
		maps.Copy(out, more)
	}
	return out
}

// allWith has one hint for all words.
func allWith(hint string, words []string) map[string]string {
	out := map[string]string{}
	for _, word := range words {
		out[word] = hint
	}
	return out
}

var httpForeign = map[string]string{
	"url":            `write "path:"`,
	"uri":            `write "path:"`,
	"request":        `write "path:"`,
	"meth":           `write "method:"`,
	"httpmethod":     `write "method:"`,
	"virtualhost":    `write "host:"`,
	"vhost":          `write "host:"`,
	"hdr":            `write "headers: {Accept: text/plain}"`,
	"status_code":    `write "status:"`,
	"code":           `write "status:"`,
	"expect":         `write "status:", "contains:" or "match:"`,
	"receive":        `write "match:", or "contains:" for plain text`,
	"reply":          `write "match:", or "contains:" for plain text`,
	"string":         `write "contains:"`,
	"regex":          `write "match:"`,
	"rstring":        `write "match:"`,
	"regex_options":  `write them into the expression: "match: (?i)ready"`,
	"regex_no_match": "not in this version yet: write what good answers have",
	"genhash":        `write "digest:"`,
	"md5":            `write "digest:"`,
	"body":           `write "contains:" for the answer's; a request has none`,
	"send":           `write "path:"; a request has no body`,
	"http_protocol":  "leave it out: HTTP/1.1 is spoken",
	"version":        "leave it out: HTTP/1.1 is spoken",
	"ver":            "leave it out: HTTP/1.1 is spoken",
	"login":          asHeader,
	"user":           asHeader,
	"username":       asHeader,
	"passwd":         asHeader,
	"password":       asHeader,
}

var tlsForeign = map[string]string{
	"tls":                isTLS,
	"ssl":                isTLS,
	"sni":                `write "name: www.example.org"`,
	"enable_sni":         `write "name: www.example.org"`,
	"servername":         `write "name:"`,
	"server_name":        `write "name:"`,
	"verifyhost":         `write "name:"`,
	"verify":             `write "ca: system", or the path of a file with authorities; without it any certificate will do`,
	"insecure":           `leave it out: without "ca:" any certificate will do`,
	"ca-file":            `write "ca:"`,
	"ca_file":            `write "ca:"`,
	"cafile":             `write "ca:"`,
	"crt":                `write "cert:"`,
	"certificate":        `write "cert:"`,
	"client_certificate": `write "cert:"`,
	"private_key":        `write "key:"`,
}

// ownHeaders are those that frame a request (RFC 9112 section 6), or have a key.
var ownHeaders = map[string]string{
	"Host":              `write "host:" beside "headers:"`,
	"Connection":        "leave it out: each request has a connection of its own",
	"Content-Length":    "leave it out: a request has no body",
	"Transfer-Encoding": "leave it out: a request has no body",
	"Trailer":           "leave it out: a request has no body",
	"Expect":            "leave it out: a request has no body",
}
