// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Feed runs frames through a director's path as if its first interface received them (BPF_PROG_RUN), as many a second as
// a CPU can: links of the lab carry fewer. What the path does with them is what it does with any frame, but nothing is
// sent on.
type Feed struct {
	program *ebpf.Program
	context frameContext
	frames  chan fed
	ended   chan error
	once    sync.Once
}

// frameContext is struct xdp_md of linux/bpf.h.
type frameContext struct {
	Data, DataEnd, DataMeta uint32
	Ingress, Queue, Egress  uint32
}

// fed are frames, and who waits for what became of them.
type fed struct {
	frames [][]byte
	done   chan<- error
}

// Feed begins with it. Whoever gets it closes it.
func (d *Director) Feed() (*Feed, error) {
	f := &Feed{frames: make(chan fed), ended: make(chan error, 1)}
	if err := d.Do(func() error { return f.find(d) }); err != nil {
		return nil, fmt.Errorf("%s: feed frames: %w", d.Name, err)
	}
	go func() { f.ended <- d.Do(f.run) }()
	return f, nil
}

// find finds the program of the first interface, in the namespace of the calling thread.
func (f *Feed) find(d *Director) error {
	i, err := net.InterfaceByName(FirstLink)
	if err != nil {
		return err
	}
	f.context.Ingress = uint32(i.Index)
	pins, err := filepath.Glob(filepath.Join(d.BPFFS, "links", "*"))
	for _, pin := range pins {
		on, err := linkOf(pin)
		if err != nil {
			return err
		}
		if on == i.Index {
			f.program, _, err = programAt(pin)
			return err
		}
	}
	return errors.Join(err, fmt.Errorf("no program is on %s", FirstLink))
}

// linkOf is the interface that the program of a pinned link is on; 0: it is on none.
func linkOf(pin string) (int, error) {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil || info.XDP() == nil {
		return 0, err
	}
	return int(info.XDP().Ifindex), nil
}

// run is in the director's namespace, where the interface is.
func (f *Feed) run() error {
	for all := range f.frames {
		all.done <- f.pass(all.frames)
	}
	return nil
}

func (f *Feed) pass(frames [][]byte) error {
	context := f.context
	options := &ebpf.RunOptions{Context: &context}
	for _, frame := range frames {
		options.Data, context.DataEnd = frame, uint32(len(frame))
		if _, err := f.program.Run(options); err != nil {
			return fmt.Errorf("a frame of %d bytes: %w", len(frame), err)
		}
	}
	return nil
}

// Pass lets frames pass, one after the other, and returns when they have.
func (f *Feed) Pass(frames [][]byte) error {
	done := make(chan error, 1)
	f.frames <- fed{frames, done}
	return <-done
}

// Close may be called again.
func (f *Feed) Close() error {
	var err error
	f.once.Do(func() {
		close(f.frames)
		err = errors.Join(<-f.ended, f.program.Close())
	})
	return err
}
