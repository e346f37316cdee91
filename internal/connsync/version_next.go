// SPDX-License-Identifier: Apache-2.0

//go:build weir_speaks_next

package connsync

// These are those of a weir that does not exist, for tests: it speaks one version more, of the same form.
const (
	newestVersion = 2
	oldestVersion = 1
)
