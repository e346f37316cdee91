// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"path/filepath"
	"testing"
)

func TestDecapLoadsWithTheUnitsCapabilities(t *testing.T) {
	NeedRoot(t)
	dir := filepath.Join(mountForUnit(t), "weir")
	asUnit(t, func() {
		objects, err := openDecap(decapPins(dir))
		if err != nil {
			t.Errorf("%+v", err)
			return
		}
		objects.Close()
	})
	if err := DetachDecap(dir); err != nil {
		t.Error(err)
	}
}
