// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/doctor"
	"github.com/weir-lb/weir/internal/model"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// The healthy host has clients on eth0 and servers on eth1, and no daemon runs.
const (
	front = 2
	back  = 3
	wire  = 4 // a veth, of which eth1 is the other end when a test says so
)

func healthy() doctor.Facts {
	return doctor.Facts{
		Spec: &model.Spec{Services: []model.Service{service(model.TCP, model.DR, "198.51.100.11")}},
		Host: dataplane.Host{Release: "6.12.5", BPFFS: "/sys/fs/bpf/weir", Mounted: true},
		Process: doctor.Process{
			Capabilities: 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_BPF | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_PERFMON,
			Files:        4096, Synchronised: true,
		},
		Network: model.Network{
			Links: []model.Link{
				{Name: "lo", Index: 1, MTU: 65536, Up: true, Loopback: true},
				{Name: "eth0", Index: front, MTU: 1500, Up: true, Prefixes: []netip.Prefix{prefix("192.0.2.1/24"), prefix("2001:db8::1/64")}},
				{Name: "eth1", Index: back, MTU: 1500, Up: true, Prefixes: []netip.Prefix{prefix("198.51.100.1/24")}},
			},
			Routes: map[model.Addr]model.Route{
				addr("198.51.100.11"): {Link: back, Source: addr("198.51.100.1")},
				addr("192.0.2.11"):    {Link: front, Source: addr("192.0.2.1")},
			},
		},
		Devices: map[int]address.Device{
			1:     {Name: "lo", Index: 1, Kind: "device"},
			front: {Name: "eth0", Index: front, Kind: "device", Default4: true, Multicast: true},
			back:  {Name: "eth1", Index: back, Kind: "device", Multicast: true},
		},
		Sysctls: map[string]string{
			"net/ipv4/conf/all/rp_filter":             "0",
			"net/ipv4/conf/eth0/rp_filter":            "0",
			"net/ipv4/conf/eth1/rp_filter":            "0",
			"net/ipv4/conf/eth0/forwarding":           "1",
			"net/ipv4/conf/eth1/forwarding":           "1",
			"net/ipv4/neigh/default/gc_thresh3":       "1024",
			"net/ipv6/neigh/default/gc_thresh3":       "1024",
			"net/ipv4/neigh/eth1/retrans_time_ms":     "250",
			"net/ipv6/neigh/eth1/base_reachable_time": "30",
		},
	}
}

func service(p model.Protocol, f model.Forwarding, server string) model.Service {
	return model.Service{
		Name: "web", Key: model.ServiceKey{Address: addr("192.0.2.10"), Port: 80, Protocol: p}, Scheduler: model.RR,
		Servers: []model.Server{{Key: model.ServerKey{Address: addr(server)}, Forwarding: f, Weight: 1}},
	}
}

func running(f *doctor.Facts) {
	f.Daemon.Status = &api.Status{Applied: 3, Interfaces: []api.Interface{{Name: "eth0", XDP: "native"}, {Name: "eth1", XDP: "native"}}}
	f.Host.Pins = dataplane.Pinned{There: true, Fit: true, Pid: 4711, Config: "/etc/weir/weir.yaml"}
	f.Process.Pid = 4711
}

func serving(p model.Protocol, f model.Forwarding, server string) func(*doctor.Facts) {
	return func(facts *doctor.Facts) { facts.Spec.Services = []model.Service{service(p, f, server)} }
}

// asking has the server checked through the virtual address.
func asking(f *doctor.Facts) {
	f.Spec.Services[0].Servers[0].Checks = model.Checks{Of: []model.Check{{Ask: model.AskTCP{}, Interval: model.DefaultInterval, Timeout: model.DefaultTimeout}}}
}

func noFilter(f *doctor.Facts) {
	f.Filter = fmt.Errorf("%w: add clsact: %w", address.ErrNoFilter, unix.ENOENT)
}

func device(index int, change func(*address.Device)) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		d := f.Devices[index]
		change(&d)
		f.Devices[index] = d
	}
}

func set(path, value string) func(*doctor.Facts) {
	return func(f *doctor.Facts) { f.Sysctls[path] = value }
}

func mtuOf(index, mtu int) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		for i := range f.Network.Links {
			if f.Network.Links[i].Index == index {
				f.Network.Links[i].MTU = mtu
			}
		}
	}
}

func mode(xdp, reason string) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		running(f)
		f.Daemon.Status.Interfaces[0] = api.Interface{Name: "eth0", XDP: xdp, Reason: reason}
	}
}

// paired makes eth1 a veth whose other end is in sight.
func paired(o address.Offloads, program uint32) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		f.Devices[back] = address.Device{Name: "eth1", Index: back, Kind: "veth", Peer: wire}
		f.Devices[wire] = address.Device{Name: "wire", Index: wire, Kind: "veth", Peer: back, Offloads: o, Program: program}
	}
}

func without(bit int) func(*doctor.Facts) {
	return func(f *doctor.Facts) { f.Process.Capabilities &^= 1 << bit }
}

// virtual gives the host a virtual router on eth0 that has the service's address.
func virtual(changes ...func(*model.VirtualRouter)) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		r := model.VirtualRouter{
			Name: "front", Interface: "eth0", ID: 51, Version: model.VRRP3, Priority: 100, Advertise: time.Second,
			Addresses: []netip.Prefix{prefix("192.0.2.10/24")},
		}
		for _, change := range changes {
			change(&r)
		}
		f.Spec.VirtualRouters = append(f.Spec.VirtualRouters, r)
		f.Process.Capabilities |= 1 << unix.CAP_SYS_NICE
	}
}

// watched adds a session of BFD.
func watched(changes ...func(*model.BFDSession)) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		s := model.BFDSession{Name: "uplink", Interface: "eth0", Peer: addr("192.0.2.77"), Interval: 100 * time.Millisecond, Multiplier: 5}
		for _, change := range changes {
			change(&s)
		}
		f.Spec.BFD = append(f.Spec.BFD, s)
	}
}

func link(index int, change func(*model.Link)) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		for i := range f.Network.Links {
			if f.Network.Links[i].Index == index {
				change(&f.Network.Links[i])
			}
		}
	}
}

// third is one more interface among the clients, which weir is told to leave alone.
func third(f *doctor.Facts) {
	f.Spec.Interfaces = []model.Interface{{Name: "eth0"}, {Name: "eth1"}}
	f.Network.Links = append(f.Network.Links, model.Link{Name: "eth2", Index: 8, MTU: 1500, Up: true, Prefixes: []netip.Prefix{prefix("192.0.2.8/24")}})
	f.Devices[8] = address.Device{Name: "eth2", Index: 8, Kind: "device"}
}

// onLoopback puts the service's address where real servers have it.
func onLoopback(f *doctor.Facts) {
	f.Network.Links[0].Prefixes = append(f.Network.Links[0].Prefixes, prefix("192.0.2.10/32"))
}

func atVirtualMAC(r *model.VirtualRouter) { r.VirtualMAC = true }

// onMacvlan has the address of virtual where its master has it that is at a virtual MAC.
func onMacvlan(f *doctor.Facts) {
	f.Network.Links = append(f.Network.Links, model.Link{
		Name: "weir4-51-2", Index: 9, MAC: model.MAC{0, 0, 0x5e, 0, 1, 51}, MTU: 1500, Up: true, Prefixes: []netip.Prefix{prefix("192.0.2.10/32")},
	})
}

func client(address string) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		f.Daemon.Clients = []api.Connection{{Client: address + ":4000", Virtual: "192.0.2.10:80", Server: f.Spec.Services[0].Servers[0].Key.Address.String() + ":80"}}
	}
}

var (
	natBehind = serving(model.TCP, model.NAT, "198.51.100.11")
	natBeside = serving(model.TCP, model.NAT, "192.0.2.11")
	tunnel    = serving(model.TCP, model.TUN, "198.51.100.11")
)

// tests break the healthy host in one way each, and say what the doctor makes of it.
var tests = []struct {
	name  string
	check string
	facts []func(*doctor.Facts)
	level api.Level
	says  string // a part of what or why
	fix   string // how the fix begins
}{
	{"an old kernel", "kernel", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Refused = fmt.Errorf("%w: this is Linux 5.10", dataplane.ErrKernel) }}, api.LevelError, "5.10", "apt-get"},
	{"a real-time kernel", "kernel", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.RT = true }}, api.LevelWarning, "PREEMPT_RT", "apt-get"},
	{"no types", "btf", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.BTF = errors.New("no such file") }}, api.LevelWarning, "no such file", "ls -l /sys/kernel/btf"},
	{"no CAP_NET_ADMIN", "capabilities", []func(*doctor.Facts){without(unix.CAP_NET_ADMIN)}, api.LevelError, "this process has no CAP_NET_ADMIN", "sudo weir doctor"},
	{"no CAP_BPF", "capabilities", []func(*doctor.Facts){without(unix.CAP_BPF)}, api.LevelError, "CAP_BPF", "sudo"},
	{"no CAP_NET_RAW", "capabilities", []func(*doctor.Facts){running, without(unix.CAP_NET_RAW)}, api.LevelError, "the daemon (pid 4711) has no CAP_NET_RAW", "systemctl edit weir"},
	{"no CAP_PERFMON", "capabilities", []func(*doctor.Facts){without(unix.CAP_PERFMON)}, api.LevelNote, "100 to 450 ns more", "systemctl edit weir"},
	{"CAP_SYS_ADMIN instead", "capabilities", []func(*doctor.Facts){without(unix.CAP_PERFMON), without(unix.CAP_BPF), func(f *doctor.Facts) { f.Process.Capabilities |= 1 << unix.CAP_SYS_ADMIN }}, api.LevelOK, "", ""},
	{"the verifier refuses", "program", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Load = errors.New("load path: refused\nR1 invalid") }}, api.LevelError, "load path: refused", "weir version"},
	{"not allowed to try", "program", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Refused = dataplane.ErrPrivilege }}, api.LevelNote, "not tried", "sudo"},
	{"no bpffs, and no right to mount one", "bpffs", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Mounted = false }}, api.LevelError, "not on a bpffs", "mount -t bpf"},
	{"no bpffs yet", "bpffs", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Mounted = false; f.Process.Capabilities |= 1 << unix.CAP_SYS_ADMIN }}, api.LevelNote, "mounts one", "mount -t bpf"},
	{"pins of another version", "pins", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Pins = dataplane.Pinned{There: true} }}, api.LevelError, "another layout", "weir run"},
	{"a daemon of another version", "pins", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Pins = dataplane.Pinned{There: true, Pid: 7} }}, api.LevelNote, "pid 7", "weir status"},
	{"pins without a daemon", "pins", []func(*doctor.Facts){func(f *doctor.Facts) { f.Host.Pins = dataplane.Pinned{There: true, Fit: true, Config: "/c.yaml"} }}, api.LevelWarning, "without a daemon", "weir run -c /c.yaml"},
	{"pins of a daemon", "pins", []func(*doctor.Facts){running}, api.LevelOK, "pid 4711", ""},
	{"few files", "files", []func(*doctor.Facts){func(f *doctor.Facts) { f.Process.Files = 256 }}, api.LevelWarning, "256", "ulimit -n"},
	{"a daemon with few files", "files", []func(*doctor.Facts){running, func(f *doctor.Facts) { f.Process.Files = 256 }}, api.LevelWarning, "256", "prlimit --pid 4711"},
	{"a clock of its own", "clock", []func(*doctor.Facts){func(f *doctor.Facts) { f.Process.Synchronised = false }}, api.LevelWarning, "not synchronised", "timedatectl"},
	{"no daemon", "daemon", nil, api.LevelNote, "no daemon listens", "weir run -c /etc/weir/weir.yaml"},
	{"a silent daemon", "daemon", []func(*doctor.Facts){func(f *doctor.Facts) { f.Daemon.Silent = "permission denied" }}, api.LevelWarning, "permission denied", "sudo weir status"},
	{"a daemon with problems", "daemon", []func(*doctor.Facts){running, func(f *doctor.Facts) {
		f.Daemon.Status.Problems = []api.Problem{{What: "service web takes no connections", Why: "w", Fix: "f"}}
	}}, api.LevelError, "service web takes no connections", "f"},
	{"a daemon without problems", "daemon", []func(*doctor.Facts){running}, api.LevelOK, "revision 3", ""},
	{"no configuration", "config", []func(*doctor.Facts){func(f *doctor.Facts) { f.Spec = nil }}, api.LevelNote, "no configuration", "weir doctor -c"},
	{"a server without a route", "config", []func(*doctor.Facts){serving(model.TCP, model.TUN, "203.0.113.11")}, api.LevelError, "203.0.113.11", ""},
	{"a DR server behind a router", "config", []func(*doctor.Facts){func(f *doctor.Facts) {
		f.Network.Routes[addr("198.51.100.11")] = model.Route{Link: back, Gateway: addr("198.51.100.254"), Source: addr("198.51.100.1")}
	}}, api.LevelError, "198.51.100.11", ""},
	{"native", "xdp", []func(*doctor.Facts){running}, api.LevelOK, "eth0: native", ""},
	{"generic, as it was meant", "xdp", []func(*doctor.Facts){mode("generic", "the config asks for it")}, api.LevelNote, "eth0: generic", "weir reload"},
	{"generic, since the driver cannot", "xdp", []func(*doctor.Facts){mode("generic", "the driver refuses native XDP: EOPNOTSUPP")}, api.LevelWarning, "EOPNOTSUPP", "ethtool -i eth0"},
	{"generic, since the MTU is large", "xdp", []func(*doctor.Facts){mode("generic", "the driver refuses"), mtuOf(front, 9000), device(front, func(d *address.Device) { d.Kind = "veth" })}, api.LevelWarning, "refuses", "ip link set dev eth0 mtu 3506"},
	{"no program", "xdp", []func(*doctor.Facts){mode("none", "busy")}, api.LevelError, "busy", "weir status"},
	{"somebody else's program", "xdp", []func(*doctor.Facts){device(front, func(d *address.Device) { d.Program = 12 })}, api.LevelError, "id 12", "ip link set dev eth0 xdp off"},
	{"a veth that will be generic", "xdp", []func(*doctor.Facts){mtuOf(back, 9000), device(back, func(d *address.Device) { d.Kind = "veth" })}, api.LevelNote, "eth1: will be generic", "ip link set dev eth1 mtu 3506"},
	{"GRO before a generic program", "gro", []func(*doctor.Facts){mode("generic", "r"), device(front, func(d *address.Device) { d.Offloads.GRO = true })}, api.LevelWarning, "eth0", "ethtool -K eth0 gro off"},
	{"GRO after a native program", "gro", []func(*doctor.Facts){running, device(front, func(d *address.Device) { d.Offloads.GRO = true })}, api.LevelOK, "", ""},
	{"LRO", "lro", []func(*doctor.Facts){device(front, func(d *address.Device) { d.Offloads.LRO = true })}, api.LevelWarning, "eth0", "ethtool -K eth0 lro off"},
	{"LRO beside a program", "lro", []func(*doctor.Facts){running, device(front, func(d *address.Device) { d.Offloads.LRO, d.Program = true, 5 })}, api.LevelError, "eth0", "ethtool -K eth0 lro off"},
	{"rxvlan without VLANs", "rxvlan", []func(*doctor.Facts){running, device(front, func(d *address.Device) { d.Offloads.RxVLAN = true })}, api.LevelOK, "", ""},
	{"rxvlan with VLANs", "rxvlan", []func(*doctor.Facts){running, device(front, func(d *address.Device) { d.Offloads.RxVLAN = true }), device(9, func(d *address.Device) { d.Name, d.Parent = "eth0.5", front })}, api.LevelError, "eth0", "ethtool -K eth0 rxvlan off"},
	{"rxvlan before weir runs", "rxvlan", []func(*doctor.Facts){device(front, func(d *address.Device) { d.Offloads.RxVLAN = true }), device(9, func(d *address.Device) { d.Name, d.Parent = "eth0.5", front })}, api.LevelNote, "while it runs", "ethtool -K eth0 rxvlan off"},
	{"a peer without GRO", "veth-gro", []func(*doctor.Facts){paired(address.Offloads{}, 0)}, api.LevelError, "wire", "ethtool -K wire gro on"},
	{"a peer with GRO", "veth-gro", []func(*doctor.Facts){paired(address.Offloads{GRO: true}, 0)}, api.LevelOK, "", ""},
	{"a peer with a program", "veth-gro", []func(*doctor.Facts){paired(address.Offloads{}, 3)}, api.LevelOK, "", ""},
	{"a peer elsewhere", "veth-gro", []func(*doctor.Facts){device(back, func(d *address.Device) { d.Kind = "veth" })}, api.LevelNote, "eth1", "ethtool -k"},
	{"a peer with tx-checksumming", "veth-checksum", []func(*doctor.Facts){paired(address.Offloads{TxChecksum: true}, 0)}, api.LevelError, "wire", "ethtool -K wire tx off"},
	{"a peer without tx-checksumming", "veth-checksum", []func(*doctor.Facts){paired(address.Offloads{GRO: true}, 0)}, api.LevelOK, "", ""},
	{"a peer elsewhere, its checksums", "veth-checksum", []func(*doctor.Facts){device(back, func(d *address.Device) { d.Kind = "veth" })}, api.LevelNote, "eth1", "ethtool -k"},
	{"a kernel without clsact", "clsact", []func(*doctor.Facts){asking, noFilter}, api.LevelWarning, "add clsact: no such file", "modprobe -a sch_ingress cls_bpf"},
	{"a kernel without clsact, and nobody asks", "clsact", []func(*doctor.Facts){noFilter}, api.LevelOK, "", ""},
	{"a kernel without clsact, and no configuration", "clsact", []func(*doctor.Facts){noFilter, func(f *doctor.Facts) { f.Spec = nil }}, api.LevelNote, "add clsact", "modprobe"},
	{"a kernel that refuses the program of checks", "clsact", []func(*doctor.Facts){asking, func(f *doctor.Facts) { f.Filter = errors.New("R1 type=ctx\nmore") }}, api.LevelWarning, "refuses the program of checks: R1 type=ctx", "weir version"},
	{"a filter that may not be tried", "clsact", []func(*doctor.Facts){asking, func(f *doctor.Facts) {
		f.Filter = fmt.Errorf("%w: uid 1000 has no CAP_BPF", address.ErrUntried)
	}}, api.LevelNote, "not tried: uid 1000", "sudo weir doctor"},
	{"a kernel with clsact", "clsact", []func(*doctor.Facts){asking}, api.LevelOK, "takes the filter", ""},
	{"an ingress qdisc towards a server", "clsact", []func(*doctor.Facts){asking, device(back, func(d *address.Device) { d.Ingress = true })}, api.LevelWarning, "eth1: it has an ingress qdisc", "tc qdisc del dev eth1 ingress && tc qdisc add dev eth1 clsact"},
	{"an ingress qdisc elsewhere", "clsact", []func(*doctor.Facts){asking, device(front, func(d *address.Device) { d.Ingress = true })}, api.LevelOK, "", ""},
	{"a filter before that of checks", "clsact", []func(*doctor.Facts){asking, device(back, func(d *address.Device) { d.Before = "u32, pref 9" })}, api.LevelNote, "eth1: a filter of others' (u32, pref 9)", "tc filter show dev eth1 egress"},
	{"a narrow way", "mtu", []func(*doctor.Facts){mtuOf(back, 1400)}, api.LevelWarning, "its MTU is 1400", "ip link set dev eth1 mtu 1500"},
	{"a tunnel without room", "mtu", []func(*doctor.Facts){tunnel}, api.LevelNote, "the tunnel takes 20", "ip link set dev eth1 mtu 1520"},
	{"a tunnel with room", "mtu", []func(*doctor.Facts){tunnel, mtuOf(back, 1520)}, api.LevelOK, "", ""},
	{"a tunnel without room for datagrams", "mtu", []func(*doctor.Facts){serving(model.UDP, model.TUN, "198.51.100.11")}, api.LevelWarning, "datagrams", "ip link set dev eth1 mtu 1520"},
	{"a GUE tunnel", "mtu", []func(*doctor.Facts){tunnel, mtuOf(back, 1520), func(f *doctor.Facts) {
		f.Spec.Services[0].Servers[0].Tunnel = model.Tunnel{Type: model.GUE, Port: 6080}
	}}, api.LevelNote, "the tunnel takes 32", "ip link set dev eth1 mtu 1532"},
	{"a way that nobody believes", "mtu", []func(*doctor.Facts){tunnel, mtuOf(back, 580)}, api.LevelError, "less than 576", "ip link set dev eth1 mtu 1520"},
	{"an IPv6 way that nobody believes", "mtu", []func(*doctor.Facts){tunnel, mtuOf(back, 1290), func(f *doctor.Facts) { f.Spec.Services[0].Key.Address = addr("2001:db8::10") }}, api.LevelError, "less than 1280", "ip link set dev eth1 mtu 1520"},
	{"clients with larger frames", "mtu", []func(*doctor.Facts){mtuOf(front, 9000)}, api.LevelOK, "", ""},
	{"strict filters and two arms", "rp-filter", []func(*doctor.Facts){natBehind, set("net/ipv4/conf/eth1/rp_filter", "1")}, api.LevelWarning, "eth1: rp_filter is strict", "sysctl -w net/ipv4/conf/eth1/rp_filter=2"},
	{"strict filters on all", "rp-filter", []func(*doctor.Facts){natBehind, set("net/ipv4/conf/all/rp_filter", "1")}, api.LevelWarning, "two arms", "sysctl -w net/ipv4/conf/eth0/rp_filter=2"},
	{"a loose filter", "rp-filter", []func(*doctor.Facts){natBehind, set("net/ipv4/conf/all/rp_filter", "1"), set("net/ipv4/conf/eth0/rp_filter", "2"), set("net/ipv4/conf/eth1/rp_filter", "2")}, api.LevelOK, "", ""},
	{"strict filters and one way", "rp-filter", []func(*doctor.Facts){set("net/ipv4/conf/all/rp_filter", "1")}, api.LevelOK, "", ""},
	{"strict filters and clients from elsewhere", "rp-filter", []func(*doctor.Facts){set("net/ipv4/conf/eth0/rp_filter", "1"), device(front, func(d *address.Device) { d.Default4 = false }), device(back, func(d *address.Device) { d.Default4 = true })}, api.LevelWarning, "the default route leads out of eth1", "sysctl -w net/ipv4/conf/eth0/rp_filter=2"},
	{"no forwarding while it runs", "forwarding", []func(*doctor.Facts){running, natBehind, set("net/ipv4/conf/eth1/forwarding", "0")}, api.LevelError, "eth1: ipv4 forwarding is off", "sysctl -w net/ipv4/conf/eth1/forwarding=1"},
	{"no forwarding before", "forwarding", []func(*doctor.Facts){natBehind, set("net/ipv4/conf/eth1/forwarding", "0")}, api.LevelNote, "switches it on", "sysctl -w"},
	{"no forwarding, and no NAT", "forwarding", []func(*doctor.Facts){running, set("net/ipv4/conf/eth1/forwarding", "0")}, api.LevelOK, "", ""},
	{"timers that somebody changed", "neighbour-timers", []func(*doctor.Facts){running, func(f *doctor.Facts) {
		f.Timers = []address.Timer{{Path: "net/ipv4/neigh/eth1/retrans_time_ms", Have: "1000", Want: "250"}}
	}}, api.LevelWarning, "is 1000, and not 250", "sysctl -w net/ipv4/neigh/eth1/retrans_time_ms=250"},
	{"timers before it runs", "neighbour-timers", []func(*doctor.Facts){func(f *doctor.Facts) {
		f.Timers = []address.Timer{{Path: "net/ipv4/neigh/eth1/retrans_time_ms", Have: "1000", Want: "250"}}
	}}, api.LevelOK, "", ""},
	{"timers as they were set", "neighbour-timers", []func(*doctor.Facts){running, func(f *doctor.Facts) {
		f.Timers = []address.Timer{{Path: "net/ipv4/neigh/eth1/retrans_time_ms", Have: "250", Want: "250"}}
	}}, api.LevelOK, "", ""},
	{"a timer that the kernel rounded", "neighbour-timers", []func(*doctor.Facts){running, func(f *doctor.Facts) {
		f.Timers = []address.Timer{{Path: "net/ipv4/neigh/eth1/retrans_time_ms", Have: "252", Want: "250"}}
	}}, api.LevelOK, "", ""},
	{"seconds that somebody changed", "neighbour-timers", []func(*doctor.Facts){running, func(f *doctor.Facts) {
		f.Timers = []address.Timer{{Path: "net/ipv4/neigh/eth1/delay_first_probe_time", Have: "5", Want: "1"}}
	}}, api.LevelWarning, "is 5, and not 1", "sysctl -w net/ipv4/neigh/eth1/delay_first_probe_time=1"},
	{"a full table", "neighbour-table", []func(*doctor.Facts){func(f *doctor.Facts) { f.Entries4 = 1023 }}, api.LevelWarning, "1024 neighbours, and room for 1024", "sysctl -w net/ipv4/neigh/default/gc_thresh3=4096"},
	{"a table with room", "neighbour-table", []func(*doctor.Facts){func(f *doctor.Facts) { f.Entries4 = 1022 }}, api.LevelOK, "", ""},
	{"a full IPv6 table", "neighbour-table", []func(*doctor.Facts){func(f *doctor.Facts) { f.Entries6 = 2000 }}, api.LevelWarning, "ipv6", "sysctl -w net/ipv6/neigh/default/gc_thresh3=8000"},
	{"a table that is the first namespace's", "neighbour-table", []func(*doctor.Facts){func(f *doctor.Facts) { f.Entries4 = 5000; delete(f.Sysctls, "net/ipv4/neigh/default/gc_thresh3") }}, api.LevelOK, "", ""},
	{"a virtual router", "vrrp", []func(*doctor.Facts){virtual()}, api.LevelOK, "can take part: 1", ""},
	{"a virtual router on no interface", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Interface = "eth7" })}, api.LevelError, "front: interface eth7 is missing", "ip -brief link"},
	{"a virtual router whose interface is down", "vrrp", []func(*doctor.Facts){virtual(), link(front, func(l *model.Link) { l.Up = false })}, api.LevelError, "interface eth0 is down", "ip link set dev eth0 up"},
	{"a virtual router without a source", "vrrp", []func(*doctor.Facts){virtual(), link(front, func(l *model.Link) { l.Prefixes = nil })}, api.LevelError, "no IPv4 address of its own", "ip address add ADDRESS/24 dev eth0"},
	{"a virtual router that tracks an interface that is gone", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Track = []model.Track{{Of: model.TrackInterface{Name: "eth7"}}} })}, api.LevelError, "front: interface eth7 is missing", "ip -brief link; ip route # what `track:` of front names, or leave that out"},
	{"a virtual router that tracks two interfaces, and a weight", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) {
		r.Track = []model.Track{{Of: model.TrackInterface{Name: "eth7"}}, {Of: model.TrackInterface{Name: "eth8"}, Weight: -50}, {Of: model.TrackInterface{Name: "eth9"}}}
	})}, api.LevelError, "front: interface eth7 is missing; interface eth9 is missing", "ip -brief link; ip route # what `track:` of front names, or leave that out"},
	{"a virtual MAC on an interface without one", "vrrp", []func(*doctor.Facts){virtual(atVirtualMAC)}, api.LevelError, "front: interface eth0 has no MAC", "ip -brief link # and name one with a MAC as `interface:` of front, or leave `mac: virtual` out"},
	{"a virtual router with somebody else's source", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Source = addr("192.0.2.77") })}, api.LevelError, "source 192.0.2.77", "ip -brief address"},
	{"an IPv6 virtual router without a link-local address", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Addresses = []netip.Prefix{prefix("fe80::10/64")} }), link(front, func(l *model.Link) { l.MAC = model.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56} })}, api.LevelError, "no link-local address", "sysctl -w net/ipv6/conf/eth0/disable_ipv6=0 && ip address replace fe80::5054:ff:fe12:3456/64 dev eth0"},
	{"a virtual router without multicast", "vrrp", []func(*doctor.Facts){virtual(), device(front, func(d *address.Device) { d.Multicast = false })}, api.LevelWarning, "eth0 says that it has no multicast", "ip link set dev eth0 multicast on"},
	{"a virtual router with peers, and no multicast", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Peers = []netip.Addr{addr("192.0.2.2")} }), device(front, func(d *address.Device) { d.Multicast = false })}, api.LevelOK, "", ""},
	{"a virtual router with a path that is missing", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) {
		r.Paths = []model.VRRPPath{{Interface: "eth7", Peer: addr("10.9.0.3"), Director: addr("192.0.2.3")}}
	})}, api.LevelWarning, "front: no advert goes to 10.9.0.3 by eth7: interface eth7 is missing", "ip -brief address # and bring eth7 up"},
	{"a virtual router with a witness elsewhere", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Witness = []netip.Addr{addr("203.0.113.1")} })}, api.LevelWarning, "witness 203.0.113.1 is in no network of eth0", "ip route show default # and name a neighbour on eth0"},
	{"a virtual router with a witness on the link", "vrrp", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Witness = []netip.Addr{addr("192.0.2.77")} })}, api.LevelOK, "", ""},
	{"a fault is told once", "config", []func(*doctor.Facts){virtual(func(r *model.VirtualRouter) { r.Interface = "eth7" })}, api.LevelOK, "", ""},
	{"a virtual router and no CAP_SYS_NICE", "capabilities", []func(*doctor.Facts){running, virtual(), without(unix.CAP_SYS_NICE)}, api.LevelWarning, "the daemon (pid 4711) has no CAP_SYS_NICE", "systemctl edit weir"},
	{"a session of BFD and no CAP_SYS_NICE", "capabilities", []func(*doctor.Facts){running, watched(), without(unix.CAP_SYS_NICE)}, api.LevelWarning, "has no CAP_SYS_NICE", "systemctl edit weir"},
	{"a session of BFD", "config", []func(*doctor.Facts){watched()}, api.LevelOK, "", ""},
	{"a session of BFD on no interface", "config", []func(*doctor.Facts){watched(func(s *model.BFDSession) { s.Interface = "eth7" })}, api.LevelError, "interface eth7 is missing", "remove the cause, or correct `bfd:`"},
	{"a virtual router that tracks it", "vrrp", []func(*doctor.Facts){watched(func(s *model.BFDSession) { s.Interface = "eth7" }), virtual(func(r *model.VirtualRouter) {
		r.Track = []model.Track{{Of: model.TrackBFD{Name: "uplink"}}}
	})}, api.LevelError, "front: bfd uplink: interface eth7 is missing", "ip -brief link; ip route # what `track:` of front names, or leave that out"},
	{"no CAP_SYS_NICE, and no virtual router", "capabilities", []func(*doctor.Facts){without(unix.CAP_SYS_NICE)}, api.LevelOK, "", ""},
	{"an interface without weir beside a virtual router", "arp", []func(*doctor.Facts){virtual(), third}, api.LevelWarning, "eth2 answers ARP for 192.0.2.10", "sysctl -w net/ipv4/conf/eth2/arp_ignore=1"},
	{"one that answers for its own addresses alone", "arp", []func(*doctor.Facts){virtual(), third, set("net/ipv4/conf/eth2/arp_ignore", "1")}, api.LevelOK, "", ""},
	{"all that answer for their own addresses alone", "arp", []func(*doctor.Facts){virtual(), third, set("net/ipv4/conf/all/arp_ignore", "2")}, api.LevelOK, "", ""},
	{"one where weir runs, too", "arp", []func(*doctor.Facts){virtual(), third, func(f *doctor.Facts) { f.Spec.Interfaces = nil }}, api.LevelOK, "", ""},
	{"one of another network", "arp", []func(*doctor.Facts){virtual(), third, link(8, func(l *model.Link) { l.Prefixes = []netip.Prefix{prefix("203.0.113.1/24")} })}, api.LevelOK, "", ""},
	{"one beside no virtual router", "arp", []func(*doctor.Facts){third}, api.LevelOK, "", ""},
	{"a virtual router's address on lo", "arp", []func(*doctor.Facts){virtual(), onLoopback}, api.LevelWarning, "eth0: arp_announce is off, and 192.0.2.10", "sysctl -w net/ipv4/conf/eth0/arp_announce=2"},
	{"one at the virtual MAC, as its master has it", "arp", []func(*doctor.Facts){virtual(atVirtualMAC), onMacvlan}, api.LevelOK, "", ""},
	{"one at the virtual MAC of another one", "arp", []func(*doctor.Facts){virtual(), onMacvlan}, api.LevelWarning, "eth0: arp_announce is off, and 192.0.2.10", "sysctl -w net/ipv4/conf/eth0/arp_announce=2"},
	{"one on lo, as real servers have it", "arp", []func(*doctor.Facts){virtual(), onLoopback, set("net/ipv4/conf/all/arp_announce", "2")}, api.LevelOK, "", ""},
	{"a service's address on lo", "arp", []func(*doctor.Facts){onLoopback}, api.LevelOK, "", ""},
	{"strict filters, two arms and a virtual router", "rp-filter", []func(*doctor.Facts){natBehind, virtual(), set("net/ipv4/conf/eth1/rp_filter", "1")}, api.LevelWarning, "two arms", "sysctl -w net/ipv4/conf/eth1/rp_filter=2"},
	{"a master", "own-client", []func(*doctor.Facts){virtual(), link(front, func(l *model.Link) { l.Prefixes = append(l.Prefixes, prefix("192.0.2.10/24")) })}, api.LevelNote, "192.0.2.10", "nc -vz 198.51.100.11 80"},
	{"NAT on one arm", "one-arm-nat", []func(*doctor.Facts){natBeside}, api.LevelNote, "share 192.0.2.0/24", "ip route add 192.0.2.1/32 dev DEV && ip route replace 192.0.2.0/24 via 192.0.2.1"},
	{"NAT on one arm and a client there", "one-arm-nat", []func(*doctor.Facts){running, natBeside, client("192.0.2.99")}, api.LevelError, "client 192.0.2.99", "ip route add 192.0.2.1/32"},
	{"NAT on one arm and a client elsewhere", "one-arm-nat", []func(*doctor.Facts){running, natBeside, client("203.0.113.7")}, api.LevelNote, "share", "ip route add"},
	{"NAT on two arms and a client among the servers", "one-arm-nat", []func(*doctor.Facts){running, natBehind, client("198.51.100.99")}, api.LevelError, "client 198.51.100.99", "ip route add 198.51.100.1/32"},
	{"NAT on two arms", "one-arm-nat", []func(*doctor.Facts){running, natBehind, client("203.0.113.7")}, api.LevelOK, "", ""},
	{"DR on one arm", "one-arm-nat", []func(*doctor.Facts){serving(model.TCP, model.DR, "192.0.2.11")}, api.LevelOK, "", ""},
	{"a host with a virtual address", "own-client", []func(*doctor.Facts){func(f *doctor.Facts) {
		f.Network.Links[1].Prefixes = append(f.Network.Links[1].Prefixes, prefix("192.0.2.10/32"))
	}}, api.LevelNote, "192.0.2.10", "nc -vz 198.51.100.11 80"},
	{"a host without one", "own-client", nil, api.LevelOK, "", ""},
}

func TestDoctorSeesWhatIsBroken(t *testing.T) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy()
			for _, change := range tt.facts {
				change(&f)
			}
			got := worst(doctor.Judge(f), tt.check)
			if got.Level != tt.level || !strings.Contains(got.What+"\n"+got.Why, tt.says) || !strings.HasPrefix(got.Fix, tt.fix) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// worst is the gravest finding of a check.
func worst(findings []api.Finding, check string) (out api.Finding) {
	grave := []api.Level{"", api.LevelOK, api.LevelNote, api.LevelWarning, api.LevelError}
	for _, f := range findings {
		if f.Check == check && slices.Index(grave, f.Level) > slices.Index(grave, out.Level) {
			out = f
		}
	}
	return out
}

func TestEveryCheckIsTriedBothWays(t *testing.T) {
	for _, check := range doctor.Checks() {
		broken := false
		for _, tt := range tests {
			broken = broken || tt.check == check && tt.level != api.LevelOK
		}
		if !broken {
			t.Errorf("%s: nothing breaks it", check)
		}
		if got := worst(doctor.Judge(healthy()), check); got.Level != api.LevelOK && check != "daemon" {
			t.Errorf("%s: a healthy host has %+v", check, got)
		}
	}
}

func TestHealthyHostIsNotDegraded(t *testing.T) {
	with := healthy()
	running(&with)
	for _, f := range []doctor.Facts{healthy(), with, {}} {
		if f.Devices == nil { // one about which nothing is known is no reason to panic
			doctor.Judge(f)
			continue
		}
		if got := doctor.Report(doctor.Judge(f)); got.Degraded {
			t.Errorf("%+v", got)
		}
	}
}

// TestDegradedIsWhatMayBreakTraffic: notes degrade nothing.
func TestDegradedIsWhatMayBreakTraffic(t *testing.T) {
	for level, want := range map[api.Level]bool{api.LevelOK: false, api.LevelNote: false, api.LevelWarning: true, api.LevelError: true} {
		if got := doctor.Report([]api.Finding{{Level: level}}).Degraded; got != want {
			t.Errorf("%s: degraded %t", level, got)
		}
	}
}

// TestFindingsAreWhole: in the order of the checks, each with what, and why and fix unless it is well.
func TestFindingsAreWhole(t *testing.T) {
	for _, tt := range tests {
		f := healthy()
		for _, change := range tt.facts {
			change(&f)
		}
		order := -1
		for _, finding := range doctor.Judge(f) {
			at := slices.Index(doctor.Checks(), finding.Check)
			if at < order || at > order+1 {
				t.Errorf("%s: %s stands at the wrong place", tt.name, finding.Check)
			}
			order = at
			well := finding.Level == api.LevelOK
			if finding.What == "" || well != (finding.Why == "") || well != (finding.Fix == "") {
				t.Errorf("%s: %+v", tt.name, finding)
			}
		}
		if order != len(doctor.Checks())-1 {
			t.Errorf("%s: the last check has no answer", tt.name)
		}
	}
}

func TestEveryCheckIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## ")
	for _, check := range doctor.Checks() {
		i := strings.Index(rest, "\n### "+check+"\n")
		if i < 0 {
			t.Fatalf("%s has no heading, or not in the order of the checks", check)
		}
		rest = rest[i:]
	}
}
