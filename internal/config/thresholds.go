// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// thresholds reads how many connections a server may have. A lower one means nothing by itself, and one
// above the upper would keep the server full for ever.
func (s scope) thresholds(n *yaml.Node) (out model.Thresholds) {
	if n == nil {
		return out
	}
	s = s.in("thresholds")
	values := s.mapping(n, "they", thresholdKeys)
	if values == nil {
		return out
	}
	upper, lower := values["upper"], values["lower"]
	if upper == nil {
		s.complain(n, mistake{"no upper threshold", `write "upper: 1000": at so many connections the server is full`})
		return out
	}
	out.Upper = s.threshold(upper, "upper")
	if lower == nil || out.Upper == 0 {
		return out
	}
	out.Lower = s.threshold(lower, "lower")
	if out.Lower > out.Upper {
		s.complain(lower, mistake{fmt.Sprintf("lower %d is above upper %d", out.Lower, out.Upper),
			"a server that is full takes connections again below the lower threshold: write a smaller one"})
	}
	return out
}

func (s scope) threshold(n *yaml.Node, what string) uint32 {
	value, _ := s.number(n, what, 1, model.MaxThreshold)
	return uint32(value)
}

// thresholdsNode is nil where there are none.
func thresholdsNode(t model.Thresholds) *yaml.Node {
	if t.Upper == 0 {
		return nil
	}
	pairs := []pair{{"upper", numberNode(int(t.Upper))}}
	if t.Lower != 0 {
		pairs = append(pairs, pair{"lower", numberNode(int(t.Lower))})
	}
	return mapNode(pairs...)
}
