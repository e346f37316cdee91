// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"maps"
	"slices"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// TestModelKnowsTheTable: what `weir check` says of the table's memory is what the kernel is asked for.
func TestModelKnowsTheTable(t *testing.T) {
	if got := uint64(bucketSlots) * uint64(unsafe.Sizeof(pathConn{})); got != model.BucketBytes {
		t.Errorf("a bucket has %d bytes, model says %d", got, model.BucketBytes)
	}
	if bucketEntries != model.BucketEntries {
		t.Errorf("a bucket has %d entries, model says %d", bucketEntries, model.BucketEntries)
	}
	spec, err := loadPath()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{
		1, 24, 25, 120, 121, model.MinConnections, model.DefaultConnections, 4000000, model.MaxConnections - 1, model.MaxConnections,
	} {
		c, table := model.Connections{Size: size}, tableFor(uint32(size), newSeed())
		if uint64(table.buckets) != c.Buckets() {
			t.Errorf("%d: %d buckets, model says %d", size, table.buckets, c.Buckets())
		}
		if err := table.set(spec); err != nil {
			t.Fatal(err)
		}
		if got := bytesOf(spec.Maps["conns"]); got > c.Memory() || got+model.TableBytes < c.Memory() {
			t.Errorf("%d: the map takes %d bytes, model says %d", size, got, c.Memory())
		}
	}
}

func bytesOf(m *ebpf.MapSpec) uint64 { return uint64(m.MaxEntries) * uint64(m.ValueSize) }

func TestModelKnowsEveryState(t *testing.T) {
	var states []string
	for _, state := range slices.Sorted(maps.Keys(connStates)) {
		states = append(states, connStates[state])
	}
	connections := slices.DeleteFunc(slices.Clone(states), func(state string) bool {
		return state == model.Template || state == model.Kept
	})
	if !slices.Equal(connections, model.States()) {
		t.Errorf("states are %v, model says %v", connections, model.States())
	}
	const others = 1 // CONN_UDP_UNSETTLED
	if want := int(pathConnStateCONN_STATES - pathConnStateCONN_COMING - 1 - others); len(states) != want {
		t.Errorf("%d states have names, types.h has %d", len(states), want)
	}
}
