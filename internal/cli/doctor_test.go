// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/cli"
)

// hosts that a page may find, by the directory of their pins.
var hosts = map[string]api.Doctor{
	"/healthy": {Findings: []api.Finding{
		{Check: "kernel", Level: api.LevelOK, What: "Linux 6.12.5"},
		{Check: "daemon", Level: api.LevelNote, What: "no daemon listens", Why: "what only shows while it runs was not looked at", Fix: "weir run -c /etc/weir/weir.yaml"},
	}},
	"/broken": {Degraded: true, Findings: []api.Finding{
		{Check: "kernel", Level: api.LevelOK, What: "Linux 6.12.5"},
		{Check: "lro", Level: api.LevelError, What: "eth0: LRO is on", Why: "drivers refuse a native program beside it", Fix: "ethtool -K eth0 lro off"},
		{Check: "clock", Level: api.LevelWarning, What: "the clock is not synchronised", Why: "logs cannot be compared", Fix: "timedatectl set-ntp true"},
	}},
}

// examine is a doctor that knows a few hosts.
func examine(_ context.Context, o cli.DoctorOptions) (api.Doctor, error) {
	if d, ok := hosts[o.BPFFS]; ok {
		return d, nil
	}
	return api.Doctor{}, errors.New("netlink: no such host")
}

// told runs the doctor in a directory, with a daemon that gives these answers if there are any.
func told(t *testing.T, answers map[string]answer, args ...string) (got cli.DoctorOptions, r *run) {
	t.Helper()
	dir := t.TempDir()
	if answers != nil {
		serve(t, dir, answers)
	}
	env := cli.Env{Doctor: func(_ context.Context, o cli.DoctorOptions) (api.Doctor, error) {
		got = o
		return api.Doctor{}, nil
	}}
	r = weir(t, env, append([]string{"doctor", "--run", dir}, args...)...)
	return got, r
}

func TestDoctorIsToldWhatTheDaemonSays(t *testing.T) {
	connections := []api.Connection{{Protocol: "tcp", Client: "203.0.113.7:40000"}}
	got, r := told(t, map[string]answer{
		"GET /v1/status":                 {http.StatusOK, api.Status{Version: "1.2.3", Applied: 4}},
		"GET /v1/connections?limit=4096": {http.StatusOK, connections},
	})
	if r.code != 0 || got.Silent != "" || got.Status == nil || got.Status.Applied != 4 {
		t.Errorf("exit %d, told %+v", r.code, got)
	}
	if diff := cmp.Diff(connections, got.Clients); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
}

func TestDoctorNeedsNoDaemonAndNoConfiguration(t *testing.T) {
	got, r := told(t, nil)
	if r.code != 0 || got.Status != nil || got.Silent != "" || got.BPFFS != "/sys/fs/bpf/weir" {
		t.Errorf("exit %d, told %+v", r.code, got)
	}
}

func TestDoctorSaysWhyADaemonIsSilent(t *testing.T) {
	got, r := told(t, map[string]answer{"GET /v1/status": {http.StatusInternalServerError, api.Error{Title: "ill", Status: 500}}})
	if r.code != 0 || got.Status != nil || !strings.Contains(got.Silent, "500") {
		t.Errorf("exit %d, told %+v", r.code, got)
	}
}

func TestReferenceNamesEveryFieldOfTheDoctor(t *testing.T) {
	text := page(t, top+"docs/commands.md")
	for _, v := range []any{api.Doctor{}, api.Finding{}} {
		for f := range reflect.TypeOf(v).Fields() {
			if name := f.Tag.Get("json"); !strings.Contains(text, "`"+name+"`") {
				t.Errorf("%T: field %s is not named", v, name)
			}
		}
	}
}
