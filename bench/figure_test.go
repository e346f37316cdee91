// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-lb/weir/bench"
)

func TestFileKeepsWhatOtherGroupsMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	for _, figures := range [][]bench.Figure{
		{{Group: "program", Name: "new/dr", Value: 98, Unit: "ns", Min: 94, Max: 104, Floor: 8, Ratio: 12.25, FloorIPIP: 14, RatioIPIP: 7}},
		{{Group: "headline", Name: "cpu/nat", Value: 7}, {Group: "headline", Name: "cpu/dr", Value: 6}},
		{{Group: "headline", Name: "cpu/nat", Value: 0.5, Unit: "%", Min: 0.4, Max: 0.6}},
	} {
		if err := bench.Keep(file, figures); err != nil {
			t.Fatal(err)
		}
	}
	const want = `[
  {"group":"headline","name":"cpu/nat","value":0.5,"unit":"%","min":0.4,"max":0.6},
  {"group":"program","name":"new/dr","value":98,"unit":"ns","min":94,"max":104,"floor":8,"ratio":12.25,"floor_ipip":14,"ratio_ipip":7}
]
`
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("got %s%v, want %s", got, err, want)
	}
	saved, err := bench.Saved(file)
	if err != nil || len(saved) != 2 || saved["cpu/nat"] != 0.5 || saved["new/dr"] != 98 {
		t.Errorf("saved are %v, %v", saved, err)
	}
}
