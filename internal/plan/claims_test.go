// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// TestWhoElseHasAnAddressIsAProblem, by his MAC; of a virtual router's it may be another director.
func TestWhoElseHasAnAddressIsAProblem(t *testing.T) {
	s := spec("192.0.2.10 192.0.2.11")
	s.VirtualRouters = []model.VirtualRouter{virtualRouter("VI_1", "192.0.2.11/24")}
	claim := model.Claim{Interface: "eth0", MAC: model.MAC{2, 0, 0, 0, 0, 0x99}}
	claims := map[model.Addr]model.Claim{netip.MustParseAddr("192.0.2.11"): claim, netip.MustParseAddr("192.0.2.10"): claim}
	want, _ := plan.Make(s, model.Seen{Network: network(), Claims: claims}, time.Time{})
	var got []model.Problem
	for _, p := range want.Problems {
		if strings.HasPrefix(p.What, "address ") {
			got = append(got, p)
		}
	}
	if len(got) != 2 || got[0].What != "address 192.0.2.10" || got[1].What != "address 192.0.2.11" {
		t.Fatalf("%+v", got)
	}
	for i, p := range got {
		if !strings.Contains(p.Why, "on eth0") || !strings.Contains(p.Why, "02:00:00:00:00:99") || strings.Contains(p.Fix, "weir vrrp") != (i == 1) {
			t.Errorf("%+v", p)
		}
	}
}
