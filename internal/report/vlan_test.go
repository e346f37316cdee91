// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// tagged is a director whose first server is on VLAN 10 of eth0.
func tagged() report.Input {
	in := healthy()
	in.Seen.Network.Links = append(in.Seen.Network.Links, model.Link{Name: "eth0.10", Index: 10, Parent: 2, VLAN: 10, Up: true})
	wants := &in.Desired.Dataplane
	wants.Interfaces = append(wants.Interfaces, model.InterfaceWant{Name: "eth0.10", Index: 10, Parent: 2, VLAN: 10})
	wants.Services[0].Servers[0].VLAN = 10
	return in
}

func TestVLANDeviceFaresAsItsParentDoes(t *testing.T) {
	for _, c := range []struct {
		attachment model.Attachment
		want       []report.Interface
	}{
		{model.Attachment{Mode: model.XDPNative, Attached: true}, []report.Interface{
			{Name: "eth0", XDP: "native"}, {Name: "eth0.10", XDP: "native", Reason: "by the program on eth0"},
		}},
		{model.Attachment{Mode: model.XDPGeneric, Attached: true, Reason: "asked for"}, []report.Interface{
			{Name: "eth0", XDP: "generic", Reason: "asked for"}, {Name: "eth0.10", XDP: "generic", Reason: "by the program on eth0: asked for"},
		}},
		{model.Attachment{Reason: "refused"}, []report.Interface{
			{Name: "eth0", XDP: "none", Reason: "refused"}, {Name: "eth0.10", XDP: "none", Reason: "refused"},
		}},
	} {
		in := tagged()
		c.attachment.Interface = "eth0"
		in.Seen.Attachments = []model.Attachment{c.attachment}
		got := report.Make(in)
		if diff := cmp.Diff(c.want, got.Interfaces); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if c.attachment.Attached && len(got.Problems) != 0 {
			t.Errorf("problems: %v", got.Problems)
		}
	}
}

func TestServerInAVLANIsAsFarAsItsDevice(t *testing.T) {
	in := tagged()
	in.Seen.Network.Links[2].Up = false
	if got := report.Make(in).Servers[0].Reason; got != "no route to 198.51.100.11: eth0.10 is down" {
		t.Error(got)
	}
}

func TestPathMTUIsShownWhileItIsBelieved(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(want *model.ServerWant, path *model.PathMTU)
		want string
	}{
		{"believed", func(*model.ServerWant, *model.PathMTU) {}, "path MTU 1400, told by 198.51.100.1, until 2026-01-02T03:14:05Z"},
		{"forgotten", func(_ *model.ServerWant, p *model.PathMTU) { p.Until = now }, ""},
		{"without a tunnel", func(w *model.ServerWant, _ *model.PathMTU) { w.Forwarding = model.DR }, ""},
		{"the interface is as narrow", func(w *model.ServerWant, _ *model.PathMTU) { w.MTU = 1300 }, ""},
	} {
		in := healthy()
		_, want := firstServer(&in)
		want.Forwarding, want.MTU = model.TUN, 1400
		path := model.PathMTU{MTU: 1400, Router: gateway, Until: now.Add(10 * time.Minute)}
		c.edit(want, &path)
		in.Seen.PathMTUs = map[model.Addr]model.PathMTU{first.Address: path}
		got := report.Make(in).Servers[0]
		if got.State != report.Up || got.Reason != c.want {
			t.Errorf("%s: %s (%s), want %q", c.name, got.State, got.Reason, c.want)
		}
	}
}
