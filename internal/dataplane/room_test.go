// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/dataplane"
)

// TestVerifierHasRoom: who changes bpf/ learns it by the next run of `make test-vm`, and not by the one after.
func TestVerifierHasRoom(t *testing.T) {
	followed, err := newTestbed(t, 64).path.VerifiedInstructions()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the verifier followed %d instructions", followed)
	if followed == 0 || followed > dataplane.MostFollowed {
		t.Errorf("the verifier followed %d instructions, want at most %d: make a global function of what branches most", followed, dataplane.MostFollowed)
	}
}
