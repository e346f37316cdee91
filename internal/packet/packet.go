// SPDX-License-Identifier: Apache-2.0

// Package packet builds and parses frames: for tests, for what the director says to its
// neighbours, and for people who want to read a packet in one line. It is not in the path of
// packets (bpf/ is), and it reassembles nothing. Read this file first; the others hold one
// protocol each, but for neighbour.go: who has an address, by ARP or neighbour discovery.
//
//	frame := packet.Build(
//		packet.Ethernet{Source: client, Destination: director},
//		packet.IPv4{Source: from, Destination: vip, TTL: 64},
//		packet.TCP{Source: 40000, Destination: 80, Flags: packet.SYN},
//		packet.Payload("hello"))
//
// Lengths, checksums and the fields that name the next layer are filled in when they are zero, and
// left as they are otherwise, so a test can lie. All other fields are what they say.
package packet

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// MAC is an Ethernet address.
type MAC = [6]byte

// Layer is one header of a frame, its Payload or its Trailer.
type Layer interface {
	fmt.Stringer
	header(at place) []byte
}

// place is where a layer stands while it is built.
type place struct {
	outer []Layer // from the frame's first layer to the one around this one
	inner Layer   // the next layer; nil: none
	body  []byte  // the inner layers, already built
}

// Build makes a frame of layers, the outermost first.
func Build(layers ...Layer) []byte {
	var body, trailer []byte
	var inner Layer
	for i, layer := range slices.Backward(layers) {
		if t, ok := layer.(Trailer); ok {
			trailer = slices.Concat(t, trailer)
			continue
		}
		header := layer.header(place{outer: layers[:i], inner: inner, body: body})
		body, inner = slices.Concat(header, body), layer
	}
	return append(body, trailer...)
}

// Layers is a parsed frame, the outermost layer first.
type Layers []Layer

// String is the frame in one line.
func (l Layers) String() string {
	words := make([]string, len(l))
	for i, layer := range l {
		words[i] = layer.String()
	}
	return strings.Join(words, " | ")
}

// Find returns the outermost layer of type T.
func Find[T Layer](layers Layers) (T, bool) {
	for _, layer := range layers {
		if found, ok := layer.(T); ok {
			return found, true
		}
	}
	var none T
	return none, false
}

// Parse takes a frame apart, down to the Payload. Where a header is cut short or its lengths lie,
// the rest is Payload and the error says why; what was read until then is returned all the same.
// It does not verify checksums. Slices in the layers are parts of frame. Lengths and checksums are
// as they were read; zero them in a changed layer to have Build fill them in again.
func Parse(frame []byte) (Layers, error) {
	var layers Layers
	start, end := 0, len(frame) // what is left to parse
	for next := decoder(parseEthernet); next != nil; {
		part, err := next(frame[start:end])
		if err != nil {
			return withRest(layers, frame, start, end), err
		}
		layers = append(layers, part.layer)
		start, end = start+part.header, start+part.length
		next = part.next
	}
	return withRest(layers, frame, start, end), nil
}

func withRest(layers Layers, frame []byte, start, end int) Layers {
	if start < end {
		layers = append(layers, Payload(frame[start:end]))
	}
	if end < len(frame) {
		layers = append(layers, Trailer(frame[end:]))
	}
	return layers
}

// A decoder reads the layer at the beginning of b.
type decoder func(b []byte) (part, error)

// part is what a decoder found.
type part struct {
	layer  Layer
	header int     // length of the layer's header
	length int     // of header and body; what follows is the Trailer
	next   decoder // of the body; nil: it is Payload
}

// Payload is what the innermost header carries.
type Payload []byte

func (p Payload) header(place) []byte { return p }

func (p Payload) String() string { return fmt.Sprintf("%d bytes", len(p)) }

// Trailer follows the packet and belongs to no layer's length: Ethernet's padding.
type Trailer []byte

func (t Trailer) header(place) []byte { return t }

func (t Trailer) String() string { return fmt.Sprintf("trailer %d bytes", len(t)) }

func macString(m MAC) string { return net.HardwareAddr(m[:]).String() }

// short is the error of a header that does not fit into what is there.
func short(name string, have, need int) error {
	return fmt.Errorf("%s: %d bytes where %d are needed", name, have, need)
}

// either returns set, or filled where set is zero.
func either[T comparable](set, filled T) T {
	var zero T
	if set == zero {
		return filled
	}
	return set
}
