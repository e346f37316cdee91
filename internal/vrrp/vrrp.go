// SPDX-License-Identifier: Apache-2.0

// Package vrrp decides with other directors who of them has the addresses: RFC 9568 (version 3) and RFC 3768
// (version 2). It changes nothing of the host: what it finds out goes to the plan. Read machine.go for who becomes
// master when, paths.go, witness.go and fence.go for what keeps two from it at once, advert.go and trailer.go for what
// goes over the wire, guard.go for whose signature is believed, reason.go for what is not taken, conn.go for the sockets,
// and runner.go for who is asked what.
package vrrp
