// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// The filter that runs the program of checks on packets that leave. Its priority and handle are its place: who
// sets it again replaces it.
const (
	filterName     = "weir_check"
	filterPriority = 0x7765
	filterHandle   = 1
)

// applyFilters puts the program of checks on each link that is on a detour, and returns what went wrong by link.
func (t *Target) applyFilters(handle *netlink.Handle, links []model.Link, wants []model.DetourWant) map[int]error {
	out := map[int]error{}
	for _, want := range wants {
		if _, done := out[want.Link]; !done {
			out[want.Link] = t.putFilter(handle, want.Link, links)
		}
	}
	return out
}

func (t *Target) putFilter(handle *netlink.Handle, index int, links []model.Link) error {
	name := fmt.Sprintf("interface %d", index)
	for _, link := range links {
		if link.Index == index {
			name = "interface " + link.Name
		}
	}
	program, err := t.program()
	if err == nil {
		err = t.putClsact(handle, index)
	}
	has := false
	if err == nil {
		has, err = hasFilter(handle, index, program.ID)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: checks through virtual addresses: %w", name, err)
	case has:
		return nil
	}
	if err := t.journal.record(change{Kind: filterChange, Index: index}); err != nil {
		return err
	}
	if err := handle.FilterReplace(filter(index, program.FD)); err != nil {
		return fmt.Errorf("%s: checks through virtual addresses: filter on its clsact: %w", name, err)
	}
	return nil
}

// putClsact makes the place for filters, unless there is one already, somebody else's.
func (t *Target) putClsact(handle *netlink.Handle, index int) error {
	list, err := handle.QdiscList(linkOf(index))
	if err != nil {
		return fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range list {
		switch q.Type() {
		case "clsact":
			return nil
		case "ingress":
			return errors.New("there is an ingress qdisc, which leaves no room for clsact: replace it by clsact, which does all that it does (tc qdisc)")
		}
	}
	if err := t.journal.record(change{Kind: clsactChange, Index: index}); err != nil {
		return err
	}
	if err := handle.QdiscAdd(clsact(index)); err != nil {
		return fmt.Errorf("add clsact: %w", err)
	}
	return nil
}

func clsact(index int) netlink.Qdisc {
	return &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
		QdiscType:  "clsact",
	}
}

func filter(index, fd int) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: netlink.HANDLE_MIN_EGRESS, Handle: filterHandle, Priority: filterPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: fd, Name: filterName, DirectAction: true,
	}
}

// hasFilter tells whether this very program is there: that of an earlier daemon is replaced.
func hasFilter(handle *netlink.Handle, index, id int) (bool, error) {
	list, err := handle.FilterList(linkOf(index), netlink.HANDLE_MIN_EGRESS)
	if err != nil {
		return false, fmt.Errorf("list filters: %w", err)
	}
	for _, f := range list {
		if bpf, ok := f.(*netlink.BpfFilter); ok && f.Attrs().Priority == filterPriority && bpf.Id == id {
			return true, nil
		}
	}
	return false, nil
}

// filterChanges are what is recorded of a link on a detour.
func filterChanges(link int) []change {
	return []change{{Kind: clsactChange, Index: link}, {Kind: filterChange, Index: link}}
}

func (c change) undoFilter(handle *netlink.Handle) error {
	err := handle.FilterDel(filter(c.Index, -1))
	if errors.Is(err, unix.EINVAL) { // there is no clsact
		return nil
	}
	return err
}

// undoClsact leaves it where others have put filters on it meanwhile.
func (c change) undoClsact(handle *netlink.Handle) error {
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		list, err := handle.FilterList(linkOf(c.Index), parent)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			return nil
		}
	}
	err := handle.QdiscDel(clsact(c.Index))
	if errors.Is(err, unix.EINVAL) { // there is none
		return nil
	}
	return err
}
