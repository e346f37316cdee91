// SPDX-License-Identifier: Apache-2.0

package ipvs

import "encoding/binary"

// batch makes messages of entries.
type batch struct {
	syncID uint8
	most   int // bytes of a message; one entry has room in any
	b      []byte
	pad    int // bytes before the next entry
}

// add puts an entry at the end; false: it has no room, and the message must be taken first.
func (m *batch) add(e entry) bool {
	if len(m.b) == 0 {
		m.b = append(m.b, 0, m.syncID, 0, 0, 0, version1, 0, 0)
	} else if len(m.b)+m.pad+e.size() > m.most || m.b[4] == mostCount {
		return false
	}
	m.b = e.append(append(m.b, make([]byte, m.pad)...))
	m.pad = e.padding()
	m.b[4]++
	return true
}

// take is the message, which is another one's from then on; nil: there are no entries.
func (m *batch) take() []byte {
	b := m.b
	if m.b, m.pad = nil, 0; b != nil {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	}
	return b
}
