// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// open loads a dataplane into a bpffs of its own.
func open(t *testing.T, dir string) *dataplane.Dataplane {
	t.Helper()
	d, err := dataplane.Open(dataplane.Options{
		BPFFS: dir, Config: "test.yaml", MaxConns: 1024, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// bpffs is a directory that is cleaned up even when the test fails.
func bpffs(t testing.TB) string {
	t.Helper()
	dataplane.NeedRoot(t)
	dir := t.TempDir() + "/bpf"
	t.Cleanup(func() {
		if err := dataplane.Cleanup(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// want is one service with servers of each weight; the path runs on the loopback interface.
func want(revision uint64, weights ...uint16) model.DataplaneWant {
	service := model.ServiceWant{
		Key:       model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: model.TCP},
		Scheduler: model.WRR,
		Serving:   true,
	}
	address := netip.MustParseAddr("198.51.100.10")
	for _, weight := range weights {
		address = address.Next()
		service.Servers = append(service.Servers, model.ServerWant{
			Key: model.ServerKey{Address: address, Port: 80}, Forwarding: model.DR, Weight: weight,
			Link: 1, Next: address, MAC: model.MAC{2, 0, 0, 0, 0, 3}, SourceMAC: model.MAC{2, 0, 0, 0, 0, 2}, MTU: 1500,
		})
	}
	return model.DataplaneWant{Revision: revision, Services: []model.ServiceWant{service}}
}

func apply(t *testing.T, d *dataplane.Dataplane, w model.DataplaneWant) {
	t.Helper()
	if err := d.Apply(context.Background(), w); err != nil {
		t.Fatal(err)
	}
}

func TestRestartKeepsWhatIsPinned(t *testing.T) {
	dir := bpffs(t)
	first := open(t, dir)
	apply(t, first, want(1, 1, 2, 3))
	before, err := first.Dump()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	defer second.Close()
	apply(t, second, want(1, 1, 2, 3))
	after, err := second.Dump()
	if err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func tryOpen(t *testing.T, dir string) error {
	t.Helper()
	d, err := dataplane.Open(dataplane.Options{BPFFS: dir, Config: "other.yaml", MaxConns: 1024, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		d.Close()
	}
	return err
}

func TestForeignLayoutIsRefusedAndLeftAlone(t *testing.T) {
	dir := bpffs(t)
	first := open(t, dir)
	apply(t, first, want(1, 1, 2))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := dataplane.FalsifyLayout(dir); err != nil {
		t.Fatal(err)
	}
	before, err := dataplane.PinnedMaps(dir)
	if err != nil || len(before) == 0 {
		t.Fatal(before, err)
	}
	err = tryOpen(t, dir)
	if !errors.Is(err, dataplane.ErrLayout) || !strings.Contains(err.Error(), "weir cleanup --bpffs "+dir) {
		t.Errorf("opened: %v, want ErrLayout and the way out", err)
	}
	after, err := dataplane.PinnedMaps(dir)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("pins (-before +after): %v\n%s", err, diff)
	}
}

func TestLiveDaemonKeepsItsPlace(t *testing.T) {
	dir := bpffs(t)
	first := open(t, dir)
	apply(t, first, want(1, 1))
	owner := fmt.Sprintf("pid %d, config test.yaml", os.Getpid())
	for name, attempt := range map[string]error{
		"second daemon": tryOpen(t, dir), "cleanup": dataplane.Cleanup(dir),
	} {
		if !errors.Is(attempt, dataplane.ErrRunning) || !strings.Contains(attempt.Error(), owner) {
			t.Errorf("%s: %v, want ErrRunning and %s", name, attempt, owner)
		}
	}
	if counters, err := first.Counters(); err != nil || len(counters.Servers) != 1 {
		t.Errorf("the first daemon has %v, %v", counters, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := dataplane.Cleanup(dir); err != nil {
		t.Errorf("cleanup of a dead daemon: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}
