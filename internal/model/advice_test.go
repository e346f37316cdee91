// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestAdviceMakesAWeight(t *testing.T) {
	percent := func(n int) model.Advice { return model.Advice{Given: true, Percent: true, Weight: n} }
	weight := func(n int) model.Advice { return model.Advice{Given: true, Weight: n} }
	for _, test := range []struct {
		advice model.Advice
		of     uint16
		want   uint16
	}{
		{model.Advice{}, 50, 50},
		{percent(75), 50, 38},
		{percent(75), 1, 1},
		{percent(1), 1, 1},
		{percent(0), 50, 0},
		{percent(200), 50, 100},
		{percent(10000), 65535, 65535},
		{percent(100), 0, 0},
		{weight(12), 50, 12},
		{weight(0), 50, 0},
		{weight(70000), 50, 65535},
		{weight(12), 0, 0},
	} {
		if got := test.advice.Of(test.of); got != test.want {
			t.Errorf("%+v of %d is %d, want %d", test.advice, test.of, got, test.want)
		}
	}
}
