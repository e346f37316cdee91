// SPDX-License-Identifier: Apache-2.0

//go:build weir_speaks_later

package connsync

// These are those of a weir that does not exist, for tests: it does not speak version 1 any more.
const (
	newestVersion = 3
	oldestVersion = 2
)
