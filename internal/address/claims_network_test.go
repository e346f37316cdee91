// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// toldClaims are those that a ClaimObserver handed out last.
type toldClaims struct {
	mu     sync.Mutex // guards claims
	claims map[model.Addr]model.Claim
}

func (c *toldClaims) take(claims map[model.Addr]model.Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = claims
}

func (c *toldClaims) of(a model.Addr) (model.Claim, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	claim, ok := c.claims[a]
	return claim, ok
}

// TestAStrayOwnerIsFound, who says nothing unasked, and forgotten when he has gone; one who keeps it to himself is none.
func TestAStrayOwnerIsFound(t *testing.T) {
	left, right := newLAN(t)
	vips := []model.VIP{{Address: addr("192.0.2.10"), Interface: "eth0"}, {Address: addr("2001:db8::10"), Interface: "eth0"}, {Address: addr("192.0.2.11"), Interface: "eth0"}}
	right.run("sysctl -q -w net.ipv4.conf.all.arp_ignore=1")
	right.run("ip addr add 192.0.2.11/32 dev lo")
	for _, vip := range []string{"192.0.2.10/32", "2001:db8::10/128", "192.0.2.11/32"} {
		left.run("ip addr add " + vip + " dev eth0 nodad")
	}
	told := &toldClaims{}
	left.start(func(ctx context.Context) error {
		o := address.NewClaimObserver(logger(t))
		o.Follow(vips)
		return o.Run(ctx, told.take)
	})
	for _, vip := range vips[:2] {
		text := vip.Address.String()
		length := map[bool]string{true: "/32 dev eth0", false: "/128 dev eth0 nodad"}[vip.Address.Is4()] // with it, it would give up
		right.run("ip addr add " + text + length)
		within(t, text+" is claimed", func() bool {
			claim, ok := told.of(vip.Address)
			return ok && claim == model.Claim{Interface: "eth0", MAC: right.link("eth0").MAC}
		})
		right.run("ip addr del " + strings.TrimSuffix(text+length, " nodad"))
	}
	for _, vip := range vips {
		within(t, vip.Address.String()+" is claimed no more", func() bool {
			_, ok := told.of(vip.Address)
			return !ok
		})
	}
	if claim, ok := told.of(addr("192.0.2.11")); ok {
		t.Errorf("it is kept to himself, and told is %v", claim)
	}
}
