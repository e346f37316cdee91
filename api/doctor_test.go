// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/api"
)

func TestDoctorKeepsItsFields(t *testing.T) {
	const file = "testdata/doctor.json"
	value := api.Doctor{
		Degraded: true,
		Findings: []api.Finding{
			{Check: "kernel", Level: api.LevelOK, What: "Linux 6.12.0"},
			{
				Check: "lro", Level: api.LevelWarning, What: "eth0: LRO is on",
				Why: "drivers refuse a native program beside it", Fix: "ethtool -K eth0 lro off",
			},
		},
	}
	got, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the JSON that programs rely on changed (-want +got):\n%s", diff)
	}
	var back api.Doctor
	if err := json.Unmarshal(want, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(value, back); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}
