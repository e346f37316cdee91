// SPDX-License-Identifier: Apache-2.0

// Package connsync tells other directors of connections, and takes in what they tell, so that connections outlive a
// takeover. It writes to no map and decides nobody's role: connections come from a Table and go into one, and the
// daemon says who serves. Read wire.go for what goes over the wire and how it is sealed, link.go for how two directors
// know that they are talking to each other now, sender.go and receiver.go for how two tables become equal and know it,
// reason.go for what is not taken, and sync.go for who runs all of it. These machines are pure: they read no clock and
// touch no socket.
//
//	director that serves                                   director that waits
//	Table.Changes ─► queue ─► stream of positions ──────► in order ─► Table.Insert, Table.End
//	                 newest   lost ones are asked for                 │
//	                 wins     and sent again                          │
//	Table.Digests ─────────── a digest a slice ─────────► compared with its own
//	Table.Slices ◄─────────── slices that differ ──────── asked for
//	       └────────────────► these slices, whole ──────► what is not among them ends
//
// Nothing is kept on disk. A restart of either side begins a new epoch, which the other one believes when it has
// answered a question that was never asked before: so a recording of an older one, or of another director, is refused
// whatever the clocks say. The why of all this is in docs/why/sync-protocol.md.
package connsync
