// SPDX-License-Identifier: Apache-2.0

//go:build !weir_speaks_next && !weir_speaks_later

package connsync

// The versions of the protocol that are spoken here. A greeting has the form of version 1 for ever, and says which
// others its sender speaks; all else is in the newest that both do. version_next.go and version_later.go speak others.
const (
	newestVersion = 1
	oldestVersion = 1
)
