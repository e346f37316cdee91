// SPDX-License-Identifier: Apache-2.0

// Package lab builds networks of namespaces with a director, real servers and more than a hundred
// clients, and runs weir in them: for tests, stories, the demo and benchmarks. It needs root and
// Linux, and nothing of a distribution but /bin/sh and umount; nginx and curl are used where they are.
//
// It knows weir only as a program with a command line. It is not for production, and decides
// nothing about what is right: that is its callers' business.
//
// Read shape.go first, for the topologies; then namespace.go and process.go for what nodes can do,
// director.go, server.go and client.go for the three kinds of them, and room.go for how nothing is
// left behind.
package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"

	"github.com/cilium/ebpf"
)

// Config says which lab is wanted. Only Shape must be given.
type Config struct {
	Shape      Shape
	Forwarding Forwarding // empty: the usual one of the shape
	Directors  int        // 1 or 2; 0: one
	Servers    int        // 0: three
	Clients    int        // addresses of the client, in each family; 0: 120
	MTU        int        // of the LANs' links; 0: 1500, which is also what goes beyond the router
	Tunnel     string     // by which servers take packets, when the method is TUN; empty: ipip
	MSS        string     // of those servers, for `weir realserver up --mss`; empty: its default
	Addresses  Addresses  // zero: DefaultAddresses
	Elsewhere  Elsewhere
	Stranger   bool // one more host on the front LAN, which has no part in anything
	Web        Web
	Weir       string // path of the weir binary; empty: no director and no real server can be started
	Confined   bool   // daemons run as a systemd unit does: no root, few capabilities
	Table      int    // how many connections directors have room for whose configuration says nothing of it; 0: as many as weir would have
	Log        *slog.Logger
}

// SmallTable is a Table for tests: one of weir's usual size takes 86 MiB, and on a virtual machine to touch so much memory
// takes longer than most of them.
const SmallTable = 1 << 16

// Elsewhere are networks that are none of the lab's. The routes are there, and weir is told of the rest.
type Elsewhere struct {
	Clients  []netip.Prefix // whose hosts the client is, all of them
	Services []netip.Prefix // that are the first director's
	Servers  []netip.Prefix // whose hosts the first server is, all of them
}

// Lab is a running topology.
type Lab struct {
	Shape      Shape
	Forwarding Forwarding
	VIP        Pair // the service's addresses; the lab gives them to nobody
	Client     *Client
	Router     *Node
	Inner      *Node // the second router, in shape routed
	Directors  []*Director
	Servers    []*Server
	Stranger   *Node // nil: there is none

	config   Config
	log      *slog.Logger
	room     *room
	spawner  *spawner
	confined *confinement // nil: daemons are root's
	pass     *ebpf.Program
	networks []network // every namespace
	switches []*lan
	local    []*Server // directors that serve too

	once     sync.Once
	closeErr error
}

// New builds a topology. Nothing runs in it yet: see Serve and Director.Start.
func New(ctx context.Context, config Config) (*Lab, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	l := &Lab{Shape: config.Shape, Forwarding: config.Forwarding, config: config, log: config.Log}
	l.VIP = l.front().host(vipHost)
	l.spawner = newSpawner()
	err := inOrder(ctx.Err, l.furnish, l.build, l.buildElsewhere, ctx.Err)
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", config.Shape, errors.Join(err, l.Close()))
	}
	return l, nil
}

func (c Config) withDefaults() Config {
	if methods := c.Shape.Forwardings(); c.Forwarding == "" && len(methods) > 0 {
		c.Forwarding = methods[0]
	}
	if c.Addresses == (Addresses{}) {
		c.Addresses = DefaultAddresses()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Directors = orDefault(c.Directors, 1)
	c.Servers = orDefault(c.Servers, 3)
	c.Clients = orDefault(c.Clients, 120)
	return c
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func (c Config) check() error {
	if err := c.Shape.check(c.Forwarding); err != nil {
		return err
	}
	if c.Directors < 1 || c.Directors > 2 {
		return fmt.Errorf("%d directors: one or two", c.Directors)
	}
	if c.Servers < 1 || c.Clients < 1 {
		return fmt.Errorf("%d servers, %d clients: at least one of each", c.Servers, c.Clients)
	}
	if c.MTU != 0 && (c.MTU < usualMTU || c.MTU > widestMTU) {
		return fmt.Errorf("MTU %d: from %d, what clients send, to %d, what native XDP takes on a veth", c.MTU, usualMTU, widestMTU)
	}
	if (c.Tunnel != "" || c.MSS != "") && c.Forwarding != TUN {
		return fmt.Errorf("a tunnel or its MSS for forwarding %q", c.Forwarding)
	}
	return c.Addresses.check(max(serverHost+c.Servers, clientHost+c.Clients))
}

func (l *Lab) clients() subnet { return l.config.Addresses.clients() }
func (l *Lab) front() subnet   { return l.config.Addresses.front() }
func (l *Lab) back() subnet    { return l.config.Addresses.back() }

// furnish makes what is not a node.
func (l *Lab) furnish() (err error) {
	if l.room, err = newRoom(l.log); err != nil {
		return err
	}
	if l.config.Confined {
		if l.confined, err = newConfinement(l.room, l.config.Weir); err != nil {
			return fmt.Errorf("confine daemons: %w", err)
		}
	}
	if l.config.Directors > 1 {
		if err := l.makeSyncKey(); err != nil {
			return err
		}
	}
	l.pass, err = loadPass()
	return err
}

// Nodes lists every host.
func (l *Lab) Nodes() []*Node {
	nodes := []*Node{&l.Client.Node, l.Router}
	if l.Inner != nil {
		nodes = append(nodes, l.Inner)
	}
	for _, d := range l.Directors {
		nodes = append(nodes, &d.Node)
	}
	for _, s := range l.Servers {
		nodes = append(nodes, &s.Node)
	}
	if l.Stranger != nil {
		nodes = append(nodes, l.Stranger)
	}
	return nodes
}

// Dir is the lab's directory. It goes with the lab.
func (l *Lab) Dir() string { return l.room.dir }

// Serve makes the servers ready: they hold the VIP if the method wants it, and have a web server
// and a UDP echo on it and on their own addresses.
func (l *Lab) Serve(ctx context.Context) error {
	for _, s := range l.Servers {
		if err := s.Serve(ctx); err != nil {
			return fmt.Errorf("lab %s: %w", l.Shape, err)
		}
	}
	return nil
}

// ServeOn makes a director a real server too: it has a web server and a UDP echo.
func (l *Lab) ServeOn(ctx context.Context, d *Director) error {
	s := &Server{Node: d.Node, lab: l, dir: filepath.Join(l.room.dir, d.Name, "serving")}
	l.local = append(l.local, s)
	return inOrder(
		func() error { return l.room.make(s.dir) },
		func() error { return s.startWeb(ctx) },
		func() error { return s.startEcho(ctx) },
	)
}

// Close ends every process and removes every trace. It may be called again.
func (l *Lab) Close() error {
	l.once.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Lab) close() error {
	var errs []error
	for _, d := range l.Directors {
		errs = append(errs, d.Kill())
	}
	for _, s := range l.Servers {
		errs = append(errs, s.close())
	}
	for _, s := range l.local {
		errs = append(errs, s.close())
	}
	for _, n := range l.networks {
		errs = append(errs, n.close())
	}
	if l.pass != nil {
		errs = append(errs, l.pass.Close())
	}
	l.spawner.close()
	l.confined.close()
	if l.room != nil {
		errs = append(errs, l.room.close())
	}
	return errors.Join(errs...)
}
