// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

func TestEveryStateHasATimeout(t *testing.T) {
	defaults := model.DefaultTimeouts()
	for _, state := range model.States() {
		if timeout := defaults.Of(state); timeout == nil || *timeout < model.MinTimeout || *timeout > model.MaxTimeout {
			t.Errorf("%s: %v", state, timeout)
		}
	}
	if got := (model.Timeouts{}).OrDefault(); got != defaults {
		t.Errorf("nothing said: %+v", got)
	}
}

func TestWhatWasSaidOfATimeoutStays(t *testing.T) {
	want := model.DefaultTimeouts()
	want.FinWait = time.Hour
	if got := (model.Timeouts{FinWait: time.Hour}).OrDefault(); got != want {
		t.Errorf("%+v", got)
	}
}

func TestStatesBelongToProtocols(t *testing.T) {
	if got := model.StatesOf(model.UDP); len(got) != 1 || got[0] != "UDP" {
		t.Errorf("UDP: %q", got)
	}
	for _, p := range []model.Protocol{model.TCP, model.SCTP} {
		if got := model.StatesOf(p); len(got) != 5 || got[0] != "SYN_RECV" || got[4] != "CLOSE" {
			t.Errorf("%s: %q", p, got)
		}
	}
}
