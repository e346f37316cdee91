// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// attached is our program on one interface. It outlives the daemon by its pin.
type attached struct {
	link   link.Link
	mode   model.XDPMode
	reason string // why it is not native
}

// pinName: a bpffs knows no dots, an interface's name may have some; its index is as good.
func pinName(index int) string { return strconv.Itoa(index) }

// adoptLinks takes over the links that an earlier daemon pinned, and swaps this program in.
func (d *Dataplane) adoptLinks() error {
	entries, err := os.ReadDir(d.pins.links())
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	for _, e := range entries {
		index, err := strconv.Atoi(e.Name())
		if err != nil {
			return fmt.Errorf("links: %s: not one of weir's pins", filepath.Join(d.pins.links(), e.Name()))
		}
		if err := d.adoptLink(index); err != nil {
			return fmt.Errorf("link of interface %d: %w", index, err)
		}
	}
	return nil
}

// adoptLink drops a link whose interface is gone, or that this kernel or library cannot update: it
// is attached anew when it is wanted.
func (d *Dataplane) adoptLink(index int) error {
	pin := d.pins.link(pinName(index))
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return err
	}
	if err := l.Update(d.shown); err != nil {
		d.log.Warn("program cannot be swapped, attaching it anew", "interface", index, "err", err)
		_ = l.Detach() // or the interface is busy until the kernel gets round to it; fails when it is gone
		return errors.Join(os.Remove(pin), l.Close(), d.forgetInterface(index))
	}
	a := &attached{link: l, mode: model.XDPNative}
	value, err := d.getInterface(index)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	a.mode, a.reason = fromMode(value)
	d.links[pinName(index)] = a
	return nil
}

func fromMode(value pathInterface) (model.XDPMode, string) {
	if pathXdpMode(value.Mode) == pathXdpModeXDP_MODE_GENERIC {
		return model.XDPGeneric, unix.ByteSliceToString(value.Reason[:])
	}
	return model.XDPNative, ""
}

func toInterface(want model.InterfaceWant, a *attached) pathInterface {
	value := pathInterface{Ifindex: uint32(want.Index), Mac: want.MAC, Mtu: toMTU(want.MTU), Mode: uint8(pathXdpModeXDP_MODE_NATIVE),
		Parent: uint32(want.Parent), Vlan: want.VLAN}
	if a != nil && a.mode == model.XDPGeneric {
		value.Mode = uint8(pathXdpModeXDP_MODE_GENERIC)
		copy(value.Reason[:len(value.Reason)-1], a.reason)
	}
	for _, mac := range want.VirtualMACs {
		setVirtual(&value, mac)
	}
	return value
}

// setVirtual lets the path take frames to the MAC of a virtual router.
func setVirtual(value *pathInterface, mac model.MAC) {
	const ipv6 = 2
	ids, id := &value.Ids4, mac[5]
	if mac[4] == ipv6 {
		ids = &value.Ids6
	}
	ids[id/8] |= 1 << (id % 8)
}

// applyInterfaces attaches the program where it is wanted and takes it off elsewhere.
func (d *Dataplane) applyInterfaces(wants []model.InterfaceWant) error {
	d.linksMu.Lock()
	defer d.linksMu.Unlock()
	errs := []error{d.detachOthers(carriers(wants)), d.applyVLANs(devices(wants))}
	var list []model.Attachment
	for _, want := range carriers(wants) {
		a, err := d.attachWanted(want)
		state := model.Attachment{Interface: want.Name}
		if err != nil {
			err = fmt.Errorf("interface %s: %w", want.Name, err)
			state.Reason = err.Error()
			errs = append(errs, err)
		} else {
			state.Attached, state.Mode, state.Reason = true, a.mode, a.reason
		}
		list = append(list, state)
	}
	d.mu.Lock()
	d.attachments = list
	d.mu.Unlock()
	return errors.Join(errs...)
}

// attachWanted tells the path about the interface before the program runs there.
func (d *Dataplane) attachWanted(want model.InterfaceWant) (*attached, error) {
	a := d.links[pinName(want.Index)]
	if err := d.putInterface(want, a); err != nil {
		return nil, err
	}
	if a != nil && suits(a, want.XDP) && a.on(want.Index) {
		return a, nil
	}
	if a != nil {
		if err := d.detach(want.Index, a); err != nil {
			return nil, err
		}
	}
	return d.attach(want)
}

// askedFor is why a program is generic that might be native.
const askedFor = "the config asks for it"

// suits: auto is content with what it got, or the program would be taken off at each restart; not
// with what the config asked for and no longer does.
func suits(a *attached, want model.XDPMode) bool {
	if want == model.XDPAuto {
		return a.reason != askedFor
	}
	return a.mode == want
}

// on says whether the link still holds the interface: it does not when another one was made with
// the same index.
func (a *attached) on(index int) bool {
	info, err := a.link.Info()
	if err != nil || info.XDP() == nil {
		return true // nothing speaks against it
	}
	return int(info.XDP().Ifindex) == index
}

// slotOf is where an interface lies in the map.
func slotOf(index int) uint32 { return uint32(index) % uint32(pathLimitMAX_INTERFACES) }

func (d *Dataplane) getInterface(index int) (pathInterface, error) {
	var value pathInterface
	if err := d.path.Interfaces.Lookup(slotOf(index), &value); err != nil {
		return value, fmt.Errorf("read interface %d: %w", index, err)
	}
	return value, nil
}

func (d *Dataplane) putInterface(want model.InterfaceWant, a *attached) error {
	value := toInterface(want, a)
	have, err := d.getInterface(want.Index)
	if err != nil || have == value {
		return err
	}
	if other := int(have.Ifindex); other != want.Index && d.links[pinName(other)] != nil {
		return fmt.Errorf("its index %d and that of interface %d share a place in the map: leave one of them out of `interfaces:`, or make it anew",
			want.Index, other)
	}
	if err := d.path.Interfaces.Put(slotOf(want.Index), &value); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// attach tries the driver first and the kernel's generic hook after it, unless told otherwise.
func (d *Dataplane) attach(want model.InterfaceWant) (*attached, error) {
	if want.XDP == model.XDPGeneric {
		return d.attachMode(want, model.XDPGeneric, askedFor)
	}
	a, err := d.attachMode(want, model.XDPNative, "")
	if err == nil || want.XDP == model.XDPNative || errors.Is(err, unix.EBUSY) {
		return a, err
	}
	return d.attachMode(want, model.XDPGeneric, fmt.Sprintf("the driver refuses native XDP: %v", errors.Unwrap(err)))
}

func (d *Dataplane) attachMode(want model.InterfaceWant, mode model.XDPMode, reason string) (*attached, error) {
	flags := link.XDPDriverMode
	if mode == model.XDPGeneric {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: d.shown, Interface: want.Index, Flags: flags})
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		return nil, occupied(want.Index)
	}
	if err != nil {
		return nil, fmt.Errorf("attach %s XDP: %w", mode, err)
	}
	a := &attached{link: l, mode: mode, reason: reason}
	// How it is attached is known before the link is pinned: whoever adopts it reads it there.
	if err := d.putInterface(want, a); err != nil {
		l.Close()
		return nil, err
	}
	if err := l.Pin(d.pins.link(pinName(want.Index))); err != nil {
		l.Close()
		return nil, fmt.Errorf("pin: %w", err)
	}
	d.links[pinName(want.Index)] = a
	d.log.Info("attached", "interface", want.Name, "xdp", mode, "reason", reason)
	return a, nil
}

func (d *Dataplane) detachOthers(wants []model.InterfaceWant) error {
	wanted := map[string]bool{}
	for _, want := range wants {
		wanted[pinName(want.Index)] = true
	}
	var errs []error
	for name, a := range d.links {
		if wanted[name] {
			continue
		}
		index, _ := strconv.Atoi(name)
		errs = append(errs, d.detach(index, a))
	}
	return errors.Join(errs...)
}

// detach takes the program off. Without Detach the kernel does it some time after the last pin is
// gone, and who attaches meanwhile finds the interface busy; a link whose interface is gone has
// nothing to detach.
func (d *Dataplane) detach(index int, a *attached) error {
	delete(d.links, pinName(index))
	d.log.Info("detached", "interface", index)
	_ = a.link.Detach()
	return errors.Join(ignoreMissingFile(os.Remove(d.pins.link(pinName(index)))), a.link.Close(), d.forgetInterface(index))
}

func (d *Dataplane) forgetInterface(index int) error {
	have, err := d.getInterface(index)
	if err != nil || int(have.Ifindex) != index {
		return err
	}
	if err := d.path.Interfaces.Put(slotOf(index), &pathInterface{}); err != nil {
		return fmt.Errorf("forget interface %d: %w", index, err)
	}
	return nil
}

func ignoreMissingFile(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// ErrForeign means that somebody else's program is on an interface.
var ErrForeign = errors.New("another XDP program is attached")

// CheckFree says whether another weir, or anybody else, already has a program on one of the
// interfaces, before anything is attached.
func (d *Dataplane) CheckFree(wants []model.InterfaceWant) error {
	var errs []error
	for _, want := range carriers(wants) {
		if d.links[pinName(want.Index)] != nil {
			continue
		}
		if id, err := programOn(want.Index); err == nil && id != 0 {
			errs = append(errs, fmt.Errorf("interface %s: %w", want.Name, occupied(want.Index)))
		}
	}
	return errors.Join(errs...)
}

// occupied names whoever has the interface.
func occupied(index int) error {
	id, err := programOn(index)
	if err != nil || id == 0 {
		return fmt.Errorf("%w: leave the interface out of `interfaces:`, or detach it: %w", ErrForeign, unix.EBUSY)
	}
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return fmt.Errorf("%w: program %d: %w", ErrForeign, id, unix.EBUSY)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return fmt.Errorf("%w: program %d: %w", ErrForeign, id, unix.EBUSY)
	}
	if owner, ok := noteOf(info); ok {
		return fmt.Errorf("%w (%s) and balances here: stop it and run `weir cleanup` with its --bpffs, or leave the interface out of `interfaces:`",
			ErrRunning, owner.owner())
	}
	return fmt.Errorf("%w: program %d (%s) is left alone: detach it, or leave the interface out of `interfaces:`", ErrForeign, id, info.Name)
}

// noteOf finds the note that a weir binds to its program.
func noteOf(info *ebpf.ProgramInfo) (note, bool) {
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue
		}
		n, ok := readNote(m)
		m.Close()
		if ok {
			return n, true
		}
	}
	return note{}, false
}

func readNote(m *ebpf.Map) (note, bool) {
	info, err := m.Info()
	if err != nil || info.Name != aboutName {
		return note{}, false
	}
	var n note
	return n, m.Lookup(uint32(0), &n) == nil
}
