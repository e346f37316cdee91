// SPDX-License-Identifier: Apache-2.0

// Package bfd watches neighbours on a link: RFC 5880 in asynchronous mode, over one hop as RFC 5881 has it. It has no
// echo, no demand mode of its own and no authentication; a peer that has them is answered as the RFC says. It changes
// nothing of the host: what it finds out goes to the plan. Read machine.go for when a session is up, and when packets
// go; control.go for what goes over the wire, reason.go for what is not taken from it, runner.go and speaker.go for who
// runs it, ear.go and mouth.go for the sockets.
package bfd
