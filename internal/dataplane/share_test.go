// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// TestProgramsShareTheirMaps: a map that is not shared is an empty one of the program's own, and nobody says so.
func TestProgramsShareTheirMaps(t *testing.T) {
	shared := new(Dataplane).shared()
	own := []string{"conns_before", "endings", "farewells", "arrivals", "collected", "digests", "wanted", "check_ways", "tracing", "traces", "untold"}
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadSweeper, loadEnder, loadMover, loadTraced, loadChecks, loadSyncer} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for name := range spec.Maps {
			if _, ok := shared[name]; !ok && !strings.HasPrefix(name, ".") && !slices.Contains(own, name) {
				t.Errorf("map %s is not shared", name)
			}
		}
	}
}
