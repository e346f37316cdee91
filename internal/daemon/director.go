// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
	"github.com/weir-lb/weir/internal/server"
)

// ErrStarting means that there is nothing to tell yet.
var ErrStarting = errors.New("the daemon is still starting")

// Snapshot says how things stand now.
func (d *daemon) Snapshot(context.Context) (report.Snapshot, error) {
	in, err := d.input()
	if err != nil {
		return report.Snapshot{}, err
	}
	return report.Make(in), nil
}

// Explain says what becomes of a flow.
func (d *daemon) Explain(_ context.Context, flow model.Flow) (report.Explanation, error) {
	in, err := d.input()
	if err != nil {
		return report.Explanation{}, err
	}
	explained, err := d.path.Explain(flow)
	if err != nil {
		return report.Explanation{}, fmt.Errorf("explain: %w", err)
	}
	return report.Explain(in, explained), nil
}

// Trace tells of packets as they come. It is logged, since they take longer meanwhile.
func (d *daemon) Trace(ctx context.Context, wanted model.TraceFilter, begun func(), yield func(report.Trace) error) error {
	if d.state.Load() == nil {
		return ErrStarting
	}
	began := false
	begin := func() {
		began = true
		d.log.Info("packets are traced, as was asked", "packets", wanted)
		begun()
	}
	err := d.path.Trace(ctx, wanted, begin, func(t model.Traced) error {
		s := d.state.Load()
		return yield(report.MakeTrace(s.spec, s.seen.Network, t))
	})
	if errors.Is(err, dataplane.ErrTracing) {
		return fmt.Errorf("%w: %w", server.ErrBusy, err)
	}
	if began {
		d.log.Info("the trace has ended", "packets", wanted)
	}
	return err
}

// input is what a report is made of.
func (d *daemon) input() (report.Input, error) {
	s := d.state.Load()
	if s == nil {
		return report.Input{}, ErrStarting
	}
	readings, err := d.readings()
	if err != nil {
		return report.Input{}, err
	}
	return report.Input{Spec: s.spec, Seen: s.seen, Desired: s.desired, Events: s.past, Readings: readings, Now: time.Now()}, nil
}

// Connections calls yield for each connection until it returns false. When ctx ends before that, the
// rest is missing, and this is an error: nobody may take it for the whole.
func (d *daemon) Connections(ctx context.Context, yield func(report.Connection) bool) error {
	cut := false
	err := d.path.Connections(func(c dataplane.Connection) bool {
		if cut = ctx.Err() != nil; cut {
			return false
		}
		return yield(connection(c))
	})
	if err == nil && cut {
		return ctx.Err()
	}
	return err
}

// Kill ends every connection that is wanted. It is logged, since clients will ask who did that.
func (d *daemon) Kill(ctx context.Context, wanted func(report.Connection) bool) (killed uint64, err error) {
	killed, err = d.path.Kill(ctx, func(c dataplane.Connection) bool { return wanted(connection(c)) })
	d.log.Info("connections were killed, as was asked", "killed", killed)
	return killed, err
}

// TestNotice sends a test. It is logged, since whoever gets it will ask who did that.
func (d *daemon) TestNotice(ctx context.Context, notice model.Notice) error {
	err := d.notifier.Test(ctx, notice)
	log := d.log.With("notice", notice.How.String())
	if err != nil {
		log = log.With("err", err)
	}
	log.Info("a notice was tested, as was asked", "sent", err == nil)
	return err
}

// stepPatience is how long that may take: by then an advert of whoever takes over has come, or nobody does.
const stepPatience = 10 * time.Second

// StepDown is logged, since clients may notice.
func (d *daemon) StepDown(ctx context.Context, names []string) error {
	return d.stepDown(ctx, names, d.vrrp.StepDown)
}

func (d *daemon) stepDown(ctx context.Context, names []string, one func(name string) error) error {
	d.log.Info("virtual routers are left to another director, as was asked", "routers", names)
	var errs []error
	var stepping []string
	for _, name := range names {
		if err := one(name); err != nil {
			errs = append(errs, err)
			continue
		}
		stepping = append(stepping, name)
	}
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	return errors.Join(append(errs, d.awaitBackup(ctx, stepping))...)
}

// awaitBackup returns when this director is master of none of the virtual routers.
func (d *daemon) awaitBackup(ctx context.Context, names []string) error {
	const pause = 5 * time.Millisecond
	for {
		seen := d.state.Load().seen.VRRP
		i := slices.IndexFunc(names, func(name string) bool { return seen[name].State == model.VRRPMaster })
		if i < 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("this director is master of %s still: %w", names[i], ctx.Err())
		case <-time.After(pause):
		}
	}
}

func connection(c dataplane.Connection) report.Connection {
	return report.Connection{
		Protocol: c.Protocol, Client: c.Client, Virtual: c.Virtual, Server: c.Server,
		State: c.State, Expires: c.Expires,
	}
}

func (d *daemon) readings() (report.Readings, error) {
	counters, err := d.path.Counters()
	if err != nil {
		return report.Readings{}, fmt.Errorf("counters: %w", err)
	}
	verdicts, err := d.path.Verdicts()
	if err != nil {
		return report.Readings{}, err
	}
	used, size := d.path.Usage()
	out := report.Readings{
		Conns: used, ConnSize: size, ConnMemory: model.Connections{Size: int(size)}.Memory(),
	}
	out.ConnKept.Size, out.ConnKept.Why = d.path.Kept()
	out.Services, out.Servers = fromCounters(counters)
	if rates := d.rates.Load(); rates != nil {
		out.Rates = *rates
	}
	for _, v := range verdicts {
		out.Verdicts = append(out.Verdicts, report.VerdictCount(v))
	}
	out.VRRP, out.Mastered = fromRouters(d.vrrp.Counts())
	out.BFD = fromSessions(d.bfd.Counts())
	out.Sync = d.syncReadings(time.Now())
	out.Notices = fromNotices(d.notifier.Counts())
	return out, nil
}
