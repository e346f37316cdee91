// SPDX-License-Identifier: Apache-2.0

// Package layout holds the order of this repository as a test, and no code: which package may
// import which, who alone talks to the kernel, which licence a file names, and a few habits that a
// reader may rely on. table_test.go is the table; a new package is a row there, in the same commit.
// rules_test.go has the rules, layout_test.go runs them over the tree.
package layout
