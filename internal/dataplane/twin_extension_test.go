// SPDX-License-Identifier: Apache-2.0

package dataplane_test

// mostExtensions is how many extension headers are walked.
const mostExtensions = 8

// extensions walks IPv6's extension headers and returns the protocol behind them. A later fragment
// has no headers but those before the fragment header.
func (p *parsed) extensions(next byte) (protocol byte, v verdict) {
	p.l4 = p.ip + 40
	fragmented := false
	for n := 0; isExtension(next); n++ {
		if n == mostExtensions {
			return 0, extensionHeaders
		}
		b := p.frame[p.l4:p.end()]
		size, fits := extensionSize(next, b)
		if !fits {
			return 0, p.cutShort()
		}
		switch {
		case next == 43 && b[3] != 0:
			return 0, sourceRoute
		case next == 44 && fragmented:
			return 0, malformed
		case next == 44:
			fragmented = true
			v = p.ipv6Fragment()
		}
		next = b[0]
		p.l4 += size
		if v != undecided || p.isLater() {
			return next, v
		}
	}
	return next, undecided
}

func isExtension(kind byte) bool {
	switch kind {
	case 0, 43, 44, 51, 60, 135, 139, 140:
		return true
	}
	return false
}

// extensionSize is the size of an extension header (RFC 8200 section 4, RFC 4302 section 2.2); false:
// b has not all of it.
func extensionSize(kind byte, b []byte) (size int, fits bool) {
	if len(b) < 8 {
		return 0, false
	}
	switch kind {
	case 44:
		size = 8
	case 51:
		size = (int(b[1]) + 2) * 4
	default:
		size = (int(b[1]) + 1) * 8
	}
	return size, size <= len(b)
}
