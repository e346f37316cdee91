// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/config"
)

// FuzzParse: what is accepted can be printed and means the same again; what is refused has
// complaints, each with a place in the file.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata/valid", "testdata/broken"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(dir + "/" + file.Name())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := config.Parse("weir.yaml", data)
		if err != nil {
			checkComplaints(t, err)
			return
		}
		printed := config.Print(spec)
		again, err := config.Parse("printed.yaml", printed)
		if err != nil {
			t.Fatalf("the printed file is not accepted:\n%s\n%v", printed, err)
		}
		if diff := cmp.Diff(spec, again, byValue); diff != "" {
			t.Fatalf("printed and parsed, it means something else (-want +got):\n%s", diff)
		}
	})
}

func checkComplaints(t *testing.T, err error) {
	var complaints *config.Error
	if !errors.As(err, &complaints) || len(complaints.Complaints) == 0 {
		t.Fatalf("refused without complaints: %v", err)
	}
	for _, c := range complaints.Complaints {
		if c.Line < 1 || c.Column < 1 || c.Message == "" {
			t.Fatalf("a complaint without place or message: %+v", c)
		}
	}
	if err.Error() == "" {
		t.Fatal("complaints without text")
	}
}
