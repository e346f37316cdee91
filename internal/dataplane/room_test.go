// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import "testing"

// mostFollowed is how many instructions of the path a kernel's verifier may follow before it is too near the million
// at which it gives up. Linux 6.18 follows under 100,000; 6.1, which sees less often that it was somewhere already,
// 300,000. A branch more in a function that is called often may double that.
const mostFollowed = 700_000

// TestVerifierHasRoom: who changes bpf/ learns it by the next run of `make test-vm`, and not by the one after.
func TestVerifierHasRoom(t *testing.T) {
	followed, err := newTestbed(t, 64).path.VerifiedInstructions()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the verifier followed %d instructions", followed)
	if followed == 0 || followed > mostFollowed {
		t.Errorf("the verifier followed %d instructions, want at most %d: make a global function of what branches most", followed, mostFollowed)
	}
}
