// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// ErrTracing means that there is a trace already: the path has eyes for one.
var ErrTracing = errors.New("somebody traces already, and there can be one trace at a time: end that one")

// traceEnds is how long one may take to end whose reader has gone.
const traceEnds = 2 * time.Second

// Trace swaps the path in that tells of packets (bpf/traced.bpf.c), says that it has begun, and calls yield for
// each packet that is wanted, until ctx ends or yield fails. A daemon that is killed meanwhile leaves it on the
// interfaces, where it balances as the other one does, until the next one starts.
func (d *Dataplane) Trace(ctx context.Context, wanted model.TraceFilter, begun func(), yield func(model.Traced) error) (err error) {
	select {
	case d.tracing <- struct{}{}:
	case <-ctx.Done():
		return nil
	case <-time.After(traceEnds):
		return ErrTracing
	}
	defer func() { <-d.tracing }()
	eyes, err := d.loadTraced(wanted)
	if err != nil {
		return err
	}
	defer eyes.Close()
	defer d.show(d.path.Weir)
	d.show(eyes.program)
	begun()
	return eyes.read(ctx, yield)
}

// show swaps a program in on every interface, and on those that come.
func (d *Dataplane) show(p *ebpf.Program) {
	d.linksMu.Lock()
	defer d.linksMu.Unlock()
	if err := d.swap(p); err != nil {
		d.log.Error("a program was not swapped on every interface", "err", err)
	}
}

// swap is for who holds linksMu. A link whose program cannot be swapped is dropped: Apply attaches anew where it
// is wanted.
func (d *Dataplane) swap(p *ebpf.Program) error {
	d.shown = p
	var errs []error
	for name, a := range d.links {
		if err := a.link.Update(p); err != nil {
			index, _ := strconv.Atoi(name)
			d.log.Warn("program cannot be swapped, attaching it anew", "interface", index, "err", err)
			errs = append(errs, d.detach(index, a))
		}
	}
	return errors.Join(errs...)
}

// traceEyes are a path that tells of packets, and where it does.
type traceEyes struct {
	program *ebpf.Program
	reader  *ringbuf.Reader
	untold  uint64 // packets of which the reader knows that it missed them
}

func (e *traceEyes) Close() error { return errors.Join(e.reader.Close(), e.program.Close()) }

// loadTraced loads it on the maps that the path has.
func (d *Dataplane) loadTraced(wanted model.TraceFilter) (*traceEyes, error) {
	spec, err := loadTraced()
	if err != nil {
		return nil, fmt.Errorf("traced path: %w", err)
	}
	revise(spec)
	if err := setTraceFilter(spec, wanted); err != nil {
		return nil, err
	}
	var objects struct {
		Weir   *ebpf.Program `ebpf:"weir"`
		Traces *ebpf.Map     `ebpf:"traces"`
	}
	if err := d.loadAgain("traced path", spec, side{table: d.table(), conns: d.path.Conns}, nil, &objects); err != nil {
		return nil, err
	}
	defer objects.Traces.Close() // the program and the reader hold it
	if err := d.bind(objects.Weir); err != nil {
		return nil, errors.Join(err, objects.Weir.Close())
	}
	reader, err := ringbuf.NewReader(objects.Traces)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("traces: %w", err), objects.Weir.Close())
	}
	return &traceEyes{program: objects.Weir, reader: reader}, nil
}

func setTraceFilter(spec *ebpf.CollectionSpec, wanted model.TraceFilter) error {
	all := wanted == model.TraceFilter{} || wanted == model.TraceFilter{Protocol: wanted.Protocol}
	return setConstants(spec, map[string]any{
		"trace_client": toAddr(wanted.Client.Addr()), "trace_client_port": toPort(wanted.Client.Port()),
		"trace_virtual": toAddr(wanted.Virtual.Addr()), "trace_virtual_port": toPort(wanted.Virtual.Port()),
		"trace_protocol": uint8(wanted.Protocol), "trace_services_only": all,
	})
}

// read calls yield for each packet until ctx ends.
func (e *traceEyes) read(ctx context.Context, yield func(model.Traced) error) error {
	stop := context.AfterFunc(ctx, func() { _ = e.reader.Flush() })
	defer stop()
	var record ringbuf.Record
	for ctx.Err() == nil {
		if err := e.reader.ReadInto(&record); err != nil {
			if errors.Is(err, ringbuf.ErrFlushed) {
				return nil
			}
			return fmt.Errorf("traces: %w", err)
		}
		if len(record.RawSample) < int(unsafe.Sizeof(tracedTrace{})) {
			continue
		}
		if err := yield(e.traced((*tracedTrace)(unsafe.Pointer(unsafe.SliceData(record.RawSample))))); err != nil {
			return err
		}
	}
	return nil
}

// traced reads a struct trace.
func (e *traceEyes) traced(t *tracedTrace) model.Traced {
	v := pathVerdict(t.Verdict)
	out := model.Traced{
		At: wallTime(t.Time), Missed: e.missed(t.Untold), Link: int(t.Ingress), Part: tracedParts[tracedKind(t.Kind)],
		Flow: model.Flow{
			Protocol: model.Protocol(t.Flow.Protocol),
			Client:   netip.AddrPortFrom(fromAddr(pathAddr{Word: t.Flow.Source.Word}), fromPort(t.Flow.SourcePort)),
			Virtual:  netip.AddrPortFrom(fromAddr(pathAddr{Word: t.Flow.Destination.Word}), fromPort(t.Flow.DestinationPort)),
		},
		Verdict: verdictTexts[v].name, Means: verdictTexts[v].help, In: tracedFrame(t.In.Bytes[:], t.In.Length, t.In.Taken),
	}
	if t.has(tracedTraceNoteTRACE_SENT) {
		sent := tracedFrame(t.Out.Bytes[:], t.Out.Length, t.Out.Taken)
		out.Sent, out.Egress = &sent, int(t.Egress)
	}
	out.Told, out.Ended = t.has(tracedTraceNoteTRACE_TOLD), t.has(tracedTraceNoteTRACE_ENDED)
	out.Back = t.has(tracedTraceNoteTRACE_BACK)
	setTracedConnection(&out, t)
	setTracedService(&out, t)
	setTracedServer(&out, t)
	return out
}

var tracedParts = map[tracedKind]model.TracedPart{
	tracedKindKIND_WHOLE: model.TracedWhole, tracedKindKIND_FIRST: model.TracedFirst,
	tracedKindKIND_LATER: model.TracedLater, tracedKindKIND_QUOTE: model.TracedQuote,
}

func (t *tracedTrace) has(note tracedTraceNote) bool { return tracedTraceNote(t.Notes)&note != 0 }

func setTracedConnection(out *model.Traced, t *tracedTrace) {
	if !t.has(tracedTraceNoteTRACE_CONNECTION) {
		return
	}
	out.Connection = connStates[word(t.Word).state()]
	out.Fresh = t.has(tracedTraceNoteTRACE_FRESH)
}

func setTracedService(out *model.Traced, t *tracedTrace) {
	if !t.has(tracedTraceNoteTRACE_SERVICE) {
		return
	}
	key := firstKey(pathService{Last: t.ServiceLast, First: pathServiceKey{
		Address: pathAddr{Word: t.Service.Address.Word}, Port: t.Service.Port, Protocol: t.Service.Protocol,
	}})
	out.Service, out.Scheduler = &key, fromScheduler(pathScheduler(t.Scheduler))
	switch {
	case t.has(tracedTraceNoteTRACE_BEGUN):
		out.Template = model.TemplateBegun
	case t.has(tracedTraceNoteTRACE_FOLLOWED):
		out.Template = model.TemplateFollowed
	}
}

func setTracedServer(out *model.Traced, t *tracedTrace) {
	if !t.has(tracedTraceNoteTRACE_SERVER) {
		return
	}
	key := serverKey(pathServer{Address: pathAddr{Word: t.Server.Word}, Port: t.ServerPort})
	out.Server, out.Forwarding = &key, fromForwarding(pathForwarding(t.Forwarding))
	out.Hashed = t.has(tracedTraceNoteTRACE_HASHED)
}

// missed is how many packets the path could not tell since it was last asked. Records of two CPUs may come in
// another order than their counts.
func (e *traceEyes) missed(untold uint64) (more uint64) {
	if untold > e.untold {
		more, e.untold = untold-e.untold, untold
	}
	return more
}

// tracedFrame copies: the ring's memory is used again.
func tracedFrame(bytes []byte, length, taken uint32) model.Frame {
	return model.Frame{Bytes: append([]byte(nil), bytes[:min(int(taken), len(bytes))]...), Length: int(length)}
}

// wallTime is when CLOCK_MONOTONIC showed ns.
func wallTime(ns uint64) time.Time {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // there is such a clock
	return time.Now().Add(-time.Duration(now.Nano() - int64(ns)))
}
