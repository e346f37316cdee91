// SPDX-License-Identifier: Apache-2.0

// Package ipvs speaks what directors of LVS tell one another of their connections, so that a weir can stand beside
// one and take over from it, or leave its connections to it. It knows no table and decides nothing: who uses it hands
// records in, and gets records. Read message.go for what goes over the wire, record.go for what it means, reason.go
// for what is not taken from it, and socket.go for how it goes.
//
// The kernel's dialect has no authentication, no sequence and no acknowledgement: whoever is on the link can say
// anything, what is lost is lost, and nobody is told of connections that began before he listened. Between two weirs
// it is the wrong one.
package ipvs
