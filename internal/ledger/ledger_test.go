// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-lb/weir/internal/ledger"
)

type figure struct {
	Of    string `json:"of"`
	Value int    `json:"value"`
}

// replace puts figures in place of those of the same thing.
func replace(file, of string, values ...int) error {
	var fresh []figure
	for _, v := range values {
		fresh = append(fresh, figure{of, v})
	}
	return ledger.Replace(file, func(f figure) bool { return f.Of == of }, fresh,
		func(a, b figure) int { return cmp.Compare(a.Of, b.Of) })
}

func TestOldFiguresAreReplacedAndOthersStay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	for _, err := range []error{replace(file, "b", 7, 9), replace(file, "c", 8), replace(file, "a", 1, 2), replace(file, "b", 6, 5), replace(file, "c")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const want = `[
  {"of":"a","value":1},
  {"of":"a","value":2},
  {"of":"b","value":6},
  {"of":"b","value":5}
]
`
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("got %s%v, want %s", got, err, want)
	}
	if all, err := ledger.Read[figure](file); err != nil || len(all) != 4 || all[3].Value != 5 {
		t.Errorf("read: %v, %v", all, err)
	}
}

func TestFileThatCannotBeReadIsNotReplaced(t *testing.T) {
	const mine = "<<<<<<< mine\n"
	file := filepath.Join(t.TempDir(), "figures.json")
	if err := os.WriteFile(file, []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replace(file, "a", 1); err == nil {
		t.Error("it was taken for a list")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != mine {
		t.Errorf("its lines are lost: %s%v", got, err)
	}
	if _, err := ledger.Read[figure](file); err == nil {
		t.Error("it was read")
	}
}
