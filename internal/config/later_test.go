// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// TestLaterWordsAreRefusedByName: what LVS has and this version has not is never accepted and ignored.
func TestLaterWordsAreRefusedByName(t *testing.T) {
	const service = "services: [{address: 192.0.2.10:80, scheduler: rr, %s: x}]"
	check := func(file, word string) {
		t.Helper()
		_, err := config.Parse("weir.yaml", fmt.Appendf(nil, file, word))
		if err == nil || !strings.Contains(err.Error(), "not in this version yet") || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v", word, err)
		}
	}
	for _, key := range strings.Fields(`connections`) {
		check(service, key)
	}
	check("services: [{address: 192.0.2.10:80, scheduler: rr, forwarding: tun, tunnel: {type: gue, %s: true}}]", "remcsum")
}

// TestEveryWordOfTheModelIsKnown: a scheduler, method or tunnel that the model gains is accepted here at once.
func TestEveryWordOfTheModelIsKnown(t *testing.T) {
	accept := func(format string, words ...any) {
		t.Helper()
		if _, err := config.Parse("weir.yaml", fmt.Appendf(nil, format, words...)); err != nil {
			t.Error(err)
		}
	}
	for _, scheduler := range model.Schedulers() {
		for _, forwarding := range model.Forwardings() {
			accept("services: [{address: 192.0.2.10:80, scheduler: %s, forwarding: %s, servers: [10.0.0.11]}]", scheduler, forwarding)
		}
	}
	for _, tunnel := range model.TunnelTypes() {
		accept("services: [{address: 192.0.2.10:80, scheduler: rr, forwarding: tun, tunnel: %s}]", tunnel)
		accept("services: [{address: 192.0.2.10:80, scheduler: rr, forwarding: tun, tunnel: {type: %s}}]", tunnel)
	}
	for _, protocol := range []model.Protocol{model.TCP, model.UDP, model.SCTP} {
		accept("services: [{address: 192.0.2.10:80, scheduler: rr, protocol: %s}]", protocol)
	}
}
