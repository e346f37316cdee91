// SPDX-License-Identifier: Apache-2.0

package dataplane

// ids gives out the indexes of an array map. One that was freed comes again as late as possible:
// a packet may still be on its way with it.
type ids struct {
	taken map[uint32]bool
	next  uint32
	size  uint32
}

func newIDs(size uint32) ids { return ids{taken: map[uint32]bool{}, size: size} }

// keep marks an id as taken that was read back from the maps.
func (s *ids) keep(id uint32) {
	s.taken[id] = true
	if id >= s.next {
		s.next = id + 1
	}
}

// take returns false when all are taken.
func (s *ids) take() (uint32, bool) {
	for range s.size {
		id := s.next % s.size
		s.next = id + 1
		if !s.taken[id] {
			s.taken[id] = true
			return id, true
		}
	}
	return 0, false
}

func (s *ids) free(id uint32) { delete(s.taken, id) }
