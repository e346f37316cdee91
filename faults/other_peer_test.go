// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 23.
const (
	lostToOlder = "lost_to_older" // connections of a director of the next version that did not outlive a takeover by this one
	lostToNewer = "lost_to_newer" // the other way round
	untold      = "untold"        // directors that do not say that the other one speaks no version of theirs
	unbound     = "unbound"       // connections that were lost, although their server appeared after the takeover
	wrongServer = "wrong_server"  // that had another server on the new master than they had
)

// otherPeer: one director is of another version than the other, or does not know all servers.
func otherPeer(weir string) faults.Fault {
	return faults.Fault{
		Number: 23,
		Long:   true,
		Paired: true,
		Parts: []faults.Part{
			{Name: lostToOlder, Unit: "connections"}, {Name: lostToNewer, Unit: "connections"}, {Name: untold, Unit: "directors"},
			{Name: unbound, Unit: "connections"}, {Name: wrongServer, Unit: "connections"},
		},
		Beside: "the documentation of IPVS's connection sync wants no pools of other kernels",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			v := &versions{releases: speakers(t, weir)}
			if err := v.install(thisVersion); err != nil {
				t.Fatal(err)
			}
			v.sharing = newSharing(t, lab.Config{Forwarding: lab.NAT, Servers: 3, Weir: v.installed},
				lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"}, size.Of(100, 10_000))
			return suffers(t, v.unknownServer, v.next, v.later)
		},
	}
}

// speakers are this version, the next one, which speaks one version of the protocol more, and a later one, which does not
// speak this one's any more. The tags are those of internal/connsync/version_*.go.
func speakers(t *testing.T, weir string) releases {
	return besides(t, weir, "weir_speaks_next", "weir_speaks_later")
}

// versions is a pair whose directors need not be of one.
type versions struct {
	*sharing
	releases
}

// becomesOf has a director go on with another version, and this one in place for the other again.
func (v *versions) becomesOf(ctx context.Context, d *lab.Director, version int) error {
	return inOrder(
		d.Stop,
		func() error { return v.install(version) },
		d.Restart,
		func() error { return v.runs(ctx, d, version) },
		func() error { return v.install(thisVersion) },
	)
}

// runs waits until a director answers, and wants it to be of a version.
func (v *versions) runs(ctx context.Context, d *lab.Director, version int) error {
	if err := d.WaitReady(ctx); err != nil {
		return err
	}
	status, err := v.daemons[d].Status(ctx)
	if err == nil && status.Version != v.names[version] {
		err = fmt.Errorf("%s is of version %s, not %s", d.Name, status.Version, v.names[version])
	}
	return err
}

// next has this version take over from the next one, and the next one from this.
func (v *versions) next(ctx context.Context, m *faults.Measured) error {
	newer := v.lab.Directors[0]
	if err := v.becomesOf(ctx, newer, nextVersion); err != nil {
		return err
	}
	for _, turn := range []struct {
		part  string
		newer bool // it is the master that falls
	}{{lostToOlder, true}, {lostToNewer, false}} {
		r, err := v.inSync(ctx)
		if err == nil && (r.master == newer) != turn.newer {
			err = v.failover(ctx, r.master)
			time.Sleep(aside)
		}
		if err == nil {
			r, err = v.inSync(ctx)
		}
		if err != nil {
			return err
		}
		version := thisVersion
		if turn.newer {
			version = nextVersion
		}
		err = inOrder(
			func() error { return v.runs(ctx, newer, nextVersion) },
			func() error { return v.load.Begin(ctx) },
			func() error { return sleep(ctx, young) },
			func() error { return v.install(version) }, // what falls comes again
			func() error { return v.loses(ctx, r, m, turn.part) },
			func() error { return v.install(thisVersion) },
		)
		if err != nil {
			return err
		}
	}
	return v.becomesOf(ctx, newer, thisVersion)
}

// later has the directors have no version in common: both say so, and are master and backup all the same.
func (v *versions) later(ctx context.Context, m *faults.Measured) error {
	newer, older := v.lab.Directors[0], v.lab.Directors[1]
	if err := v.becomesOf(ctx, newer, laterVersion); err != nil {
		return err
	}
	n, err := v.silentAbout(ctx, map[*lab.Director]string{newer: "newest 1", older: "newest 3"})
	note(m, untold, float64(n), "")
	if err != nil {
		return err
	}
	if _, err := v.agreed(ctx); err != nil {
		return err
	}
	return inOrder(
		func() error { return v.becomesOf(ctx, newer, thisVersion) },
		func() error { _, err := v.inSync(ctx); return err },
	)
}

// silentAbout is how many directors do not say of the other one what they should, within a while.
func (v *versions) silentAbout(ctx context.Context, want map[*lab.Director]string) (n int, err error) {
	const patience = 5 * time.Second
	ends, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = eachMoment(ends, func() (bool, error) {
		n = 0
		for d, text := range want {
			peer, err := v.peer(ctx, d)
			if err != nil {
				return false, err
			}
			if peer.State == "in sync" || !strings.Contains(peer.Why, "it speaks other versions ("+text+")") {
				n++
			}
		}
		return n == 0, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // the figure says it
	}
	return n, err
}

// unknownServer has the backup not know one of the servers, take over without it, and be told of it then.
func (v *versions) unknownServer(ctx context.Context, m *faults.Measured) error {
	r, err := v.inSync(ctx)
	if err != nil {
		return err
	}
	whole := v.config[r.backup]
	err = inOrder(
		r.backup.Stop, // and it forgets all: a server that still has connections stays known until they have ended
		func() error { return v.forgets(ctx, r.backup) },
		func() error { return r.backup.Start(v.without(whole, v.lab.Servers[2])) },
		func() error { _, err := v.inSync(ctx); return err },
		func() error { return v.load.Begin(ctx) },
		func() error { return v.refuses(ctx, r.backup) },
		func() error { _, err := v.inSync(ctx); return err },
	)
	if err != nil {
		return err
	}
	before, err := v.servers(ctx, r.master)
	if err != nil {
		return err
	}
	return v.losesThen(ctx, r, m, unbound, func() error {
		return inOrder(
			func() error { return v.compare(ctx, m, wrongServer, r.backup, before) },
			func() error { return v.reload(ctx, r.backup, whole) },
			func() error { return v.has(ctx, r.backup, before) },
			func() error { return v.compare(ctx, m, wrongServer, r.backup, before) },
		)
	})
}

// has waits until a director has all of some connections: those that wait for their server come in beside what is applied,
// and nobody speaks before.
func (v *versions) has(ctx context.Context, d *lab.Director, want map[string]string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("connections do not come in with their server"))
	defer cancel()
	return every(ctx, glance, func() (bool, error) {
		now, err := v.servers(ctx, d)
		missing := 0
		for connection := range want {
			if _, there := now[connection]; !there {
				missing++
			}
		}
		return missing == 0, err
	})
}

// forgets is that a director that has ended has no connections any more.
func (v *versions) forgets(ctx context.Context, d *lab.Director) error {
	_, err := d.Output(ctx, v.installed, "cleanup", "--bpffs", d.BPFFS)
	return err
}

// refuses waits until a director was told of all connections, and has those of the servers that it knows.
func (v *versions) refuses(ctx context.Context, d *lab.Director) error {
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	known, err := v.table(ctx, d)
	if err != nil {
		return err
	}
	peer, err := v.peer(ctx, d)
	if err == nil && (len(known) == 0 || len(peer.Rejected) == 0) {
		err = fmt.Errorf("%s has %d connections, and has rejected %v", d.Name, len(known), peer.Rejected)
	}
	return err
}

// without is a configuration that does not name a server.
func (v *versions) without(config string, s *lab.Server) string {
	lines := strings.SplitAfter(config, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return strings.Contains(line, s.Address.IPv4.String()) || strings.Contains(line, s.Address.IPv6.String())
	}), "")
}

// reload has a director read a configuration, and waits until that is in its maps.
func (v *versions) reload(ctx context.Context, d *lab.Director, config string) error {
	if err := d.Configure(config); err != nil {
		return err
	}
	reloaded, err := v.daemons[d].Reload(ctx)
	if err != nil {
		return err
	}
	return every(ctx, glance, func() (bool, error) {
		status, err := v.daemons[d].Status(ctx)
		return status.Applied >= reloaded.Revision, err
	})
}
