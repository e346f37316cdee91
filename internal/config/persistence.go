// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// What the time may be for which a client is known again: ipvsadm's.
const (
	minPersistence = time.Second
	maxPersistence = 31 * 24 * time.Hour
)

// persistence is a time, or a map.
func (s scope) persistence(n *yaml.Node, of model.ServiceKey) (out model.Persistence) {
	if n == nil {
		return out
	}
	s = s.in("persistence")
	if n.Kind == yaml.ScalarNode {
		out.Timeout = s.duration(n, "timeout", minPersistence, maxPersistence)
		return out
	}
	values := s.mapping(n, "it", persistenceKeys)
	out.Timeout = model.DefaultPersistence
	if timeout := values["timeout"]; timeout != nil {
		out.Timeout = s.duration(timeout, "timeout", minPersistence, maxPersistence)
	}
	out.Mask = s.mask(values["mask"], of)
	out.Quiescent = s.quiescent(values["quiescent"])
	return out
}

// mask returns 0 for the default, which is the whole address. Whose mask it is does not show while the
// service's address could not be read.
func (s scope) mask(n *yaml.Node, of model.ServiceKey) uint8 {
	if n == nil {
		return 0
	}
	if length, ok := netmaskLength(n.Value); ok {
		s.complain(n, mistake{"mask " + n.Value + " is a netmask",
			fmt.Sprintf("write its length: %q", fmt.Sprintf("mask: %d", length))})
		return 0
	}
	most := 128
	if of.Address.IsValid() {
		most = of.Address.BitLen()
	}
	length, ok := s.number(n, "mask", 1, most)
	if !ok || length == most {
		return 0
	}
	return uint8(length)
}

// netmaskLength reads a mask as ipvsadm has it for IPv4.
func netmaskLength(text string) (int, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	length := bits.LeadingZeros32(^mask)
	return length, length > 0 && mask<<length == 0
}

// quiescent returns 0 for the default, and after a complaint.
func (s scope) quiescent(n *yaml.Node) model.Quiescent {
	if n == nil {
		return 0
	}
	word, _ := s.word(n, "quiescent", quiescents)
	quiescent, _ := model.ParseQuiescent(word)
	if quiescent == model.KeepQuiescent {
		return 0
	}
	return quiescent
}

// persistenceNode is the time where that says it all; nil: the service is not persistent.
func persistenceNode(p model.Persistence) *yaml.Node {
	if p.Timeout == 0 {
		return nil
	}
	timeout := textNode(printDuration(p.Timeout))
	if p.Mask == 0 && p.Quiescent != model.ExpireQuiescent {
		return timeout
	}
	pairs := []pair{{"timeout", timeout}}
	if p.Mask != 0 {
		pairs = append(pairs, pair{"mask", numberNode(int(p.Mask))})
	}
	if p.Quiescent == model.ExpireQuiescent {
		pairs = append(pairs, pair{"quiescent", textNode(p.Quiescent.String())})
	}
	return mapNode(pairs...)
}
