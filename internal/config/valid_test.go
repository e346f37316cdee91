// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// TestValidFilesMeanWhatTheySay compares the Spec, and the file that it prints as, with golden text.
func TestValidFilesMeanWhatTheySay(t *testing.T) {
	for _, path := range glob(t, "testdata/valid/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			spec, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			printed := config.Print(spec)
			again, err := config.Parse("printed.yaml", printed)
			if err != nil {
				t.Fatalf("the printed file is not accepted:\n%v", err)
			}
			if diff := cmp.Diff(spec, again, byValue); diff != "" {
				t.Errorf("printed and parsed, it means something else (-want +got):\n%s", diff)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", dump(spec)+"\nprinted:\n"+string(printed))
		})
	}
}

// byValue compares addresses and the like by ==.
var byValue = cmpopts.EquateComparable(model.ServiceKey{}, model.ServerKey{}, model.Tunnel{}, model.Aliases{}, netip.Addr{}, netip.Prefix{}, netip.AddrPort{})

// dump is every field of a Spec, so that no default goes unseen.
func dump(spec model.Spec) string {
	var b strings.Builder
	for _, i := range spec.Interfaces {
		fmt.Fprintf(&b, "interface %s xdp %s\n", i.Name, i.XDP)
	}
	for _, s := range spec.Services {
		fmt.Fprintf(&b, "service %s: %s %s mss %d\n", s.Name, s.Key, s.Scheduler, s.MSS)
		if len(s.Also) > 0 {
			fmt.Fprintf(&b, "  also %s\n", s.Also)
		}
		if s.OnePacket {
			fmt.Fprintf(&b, "  one packet\n")
		}
		if s.Flags != (model.SchedulerFlags{}) {
			fmt.Fprintf(&b, "  flags port %t fallback %t\n", s.Flags.Port, s.Flags.Fallback)
		}
		for _, state := range model.States() {
			if timeout := *s.Timeouts.Of(state); timeout != 0 {
				fmt.Fprintf(&b, "  %s %s\n", state, timeout)
			}
		}
		if s.Leaving != (model.Departure{}) {
			fmt.Fprintf(&b, "  leaving %q for %s\n", s.Leaving.Policy, s.Leaving.For)
		}
		if s.Down != 0 {
			fmt.Fprintf(&b, "  down %s\n", s.Down)
		}
		if s.Quorum != (model.Quorum{}) || s.Panic != 0 || s.SlowStart != 0 {
			fmt.Fprintf(&b, "  quorum %d hysteresis %d panic %d slow start %s\n", s.Quorum.Weight, s.Quorum.Hysteresis, s.Panic, s.SlowStart)
		}
		if s.Maintenance != (model.Maintenance{}) {
			fmt.Fprintf(&b, "  maintenance %+v\n", s.Maintenance)
		}
		if p := s.Persistence; p != (model.Persistence{}) {
			fmt.Fprintf(&b, "  persistence %s mask %d quiescent %q\n", p.Timeout, p.Mask, p.Quiescent)
		}
		if s.Unknown != 0 {
			fmt.Fprintf(&b, "  unknown %s\n", s.Unknown)
		}
		if s.Passive != 0 {
			fmt.Fprintf(&b, "  passive %s\n", s.Passive)
		}
		if s.Reuse != 0 {
			fmt.Fprintf(&b, "  reuse %s\n", s.Reuse)
		}
		if s.HalfOpen != 0 {
			fmt.Fprintf(&b, "  half open %d\n", s.HalfOpen)
		}
		for _, server := range s.Servers {
			fmt.Fprintf(&b, "  server %s %s weight %d\n", server.Key, server.Forwarding, server.Weight)
			if server.Maintenance != (model.Maintenance{}) {
				fmt.Fprintf(&b, "    maintenance %+v\n", server.Maintenance)
			}
			if server.Sorry {
				fmt.Fprintf(&b, "    sorry\n")
			}
			if server.IsLent() {
				fmt.Fprintf(&b, "    lent by %s\n", server.LentBy)
			}
			if server.Checks.Off {
				fmt.Fprintf(&b, "    check off\n")
			}
			for _, c := range server.Checks.Of {
				fmt.Fprintf(&b, "    check %s %q any %t port %d interval %s fast %s timeout %s rise %d fall %d trusted %t\n",
					c.Ask.Kind(), fmt.Sprintf("%+v", c.Ask), server.Checks.Any, c.Port, c.Interval, c.Fast, c.Timeout, c.Rise, c.Fall, server.Checks.Trusted)
				if c.Via != 0 {
					fmt.Fprintf(&b, "      via %s\n", c.Via)
				}
			}
			if t := server.Thresholds; t != (model.Thresholds{}) {
				fmt.Fprintf(&b, "    thresholds %d %d\n", t.Upper, t.Lower)
			}
			if t := server.Tunnel; server.Forwarding == model.TUN || t != (model.Tunnel{}) {
				fmt.Fprintf(&b, "    tunnel %s port %d checksum %t source %s\n", t.Type, t.Port, t.Checksum, t.Source)
			}
		}
	}
	for _, n := range spec.Notify {
		fmt.Fprintf(&b, "notify by %#v services %q events %q severity %q digest %s repeat %s\n",
			n.How, n.Services, n.Kinds, n.Least, n.Digest, n.Repeat)
	}
	if spec.MaintenanceDir != "" {
		fmt.Fprintf(&b, "maintenance dir %s\n", spec.MaintenanceDir)
	}
	if spec.Aliases != (model.Aliases{}) {
		fmt.Fprintf(&b, "aliases %s\n", spec.Aliases.Written())
	}
	for _, s := range spec.BFD {
		fmt.Fprintf(&b, "bfd %s: %s peer %s source %s interval %s multiplier %d\n", s.Name, s.Interface, s.Peer, s.Source, s.Interval, s.Multiplier)
	}
	for _, r := range spec.VirtualRouters {
		fmt.Fprintf(&b, "virtual router %s: %s id %d version %d priority %d advertise %s addresses %s\n",
			r.Name, r.Interface, r.ID, r.Version, r.Priority, r.Advertise, r.Addresses)
		fmt.Fprintf(&b, "  peers %s source %s preempt %t after %s start delay %s checksum %s\n",
			r.Peers, r.Source, r.Preempt, r.PreemptDelay, r.StartDelay, r.Checksum)
		if r.Group != "" {
			fmt.Fprintf(&b, "  group %s\n", r.Group)
		}
		for _, p := range r.Paths {
			fmt.Fprintf(&b, "  path by %s from %s to %s of %s\n", p.Interface, p.Source, p.Peer, p.Director)
		}
		if len(r.Witness) > 0 {
			fmt.Fprintf(&b, "  witness %s\n", r.Witness)
		}
		if f := r.Fence; f.Path != "" {
			fmt.Fprintf(&b, "  fence %s %q as %q within %s, failed: %s\n", f.Path, model.SplitArguments(f.Args), f.User, f.Timeout, f.Failed)
		}
		for _, route := range r.Routes {
			fmt.Fprintf(&b, "  route %s\n", route)
		}
		for _, t := range r.Track {
			fmt.Fprintf(&b, "  track %s %+v weight %d\n", t.Of.Kind(), t.Of, t.Weight)
			if p, ok := t.Of.(model.TrackProcess); ok {
				fmt.Fprintf(&b, "    name %q command %q quorum %d fork %s terminate %s\n", p.Name, p.Command, p.Quorum, p.ForkDelay, p.TerminateDelay)
			}
		}
	}
	if s := spec.Sync; len(s.Peers) > 0 {
		fmt.Fprintf(&b, "sync: %s peers %s source %s port %d key file %s\n", s.Interface, s.Peers, s.Source, s.Port, s.KeyFile)
	}
	if s := spec.Sync.IPVS; s.Interface != "" {
		fmt.Fprintf(&b, "sync with ipvs: %s id %d send %t receive %t group %s ttl %d size %d from %s\n",
			s.Interface, s.ID, s.Send, s.Receive, s.Group, s.TTL, s.Size, s.From)
	}
	fmt.Fprintf(&b, "connections %d\n", spec.Connections.Size)
	fmt.Fprintf(&b, "api %q\n", spec.API.Unix)
	return b.String()
}
