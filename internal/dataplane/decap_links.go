// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// decapLinks are the pinned links of the decapsulation program. The name of a pin is the only place
// that says in which mode it is attached: the kernel does not tell.
type decapLinks struct {
	pins    pins
	program *ebpf.Program
}

func (i DecapInterface) pinName() string { return fmt.Sprintf("%d_%s", i.Index, i.Mode) }

func parseDecapPin(name string) (DecapInterface, error) {
	number, mode, _ := strings.Cut(name, "_")
	index, err := strconv.Atoi(number)
	m, ok := model.ParseXDPMode(mode)
	if err != nil || !ok {
		return DecapInterface{}, fmt.Errorf("links: %s: not one of weir's pins", name)
	}
	return DecapInterface{index, m}, nil
}

// list returns what is pinned, by index; without a directory, nothing is.
func (l decapLinks) list() ([]DecapInterface, error) {
	entries, err := os.ReadDir(l.pins.links())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("links: %w", err)
	}
	var out []DecapInterface
	for _, e := range entries {
		i, err := parseDecapPin(e.Name())
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b DecapInterface) int { return a.Index - b.Index })
	return out, nil
}

// read lists what is pinned and alive.
func (l decapLinks) read() ([]DecapInterface, error) {
	list, err := l.list()
	return slices.DeleteFunc(list, func(i DecapInterface) bool { return !l.isAlive(i) }), err
}

// isAlive reports whether a pinned link still holds its interface.
func (l decapLinks) isAlive(i DecapInterface) bool {
	pinned, err := l.open(i)
	if err != nil {
		return false
	}
	defer pinned.Close()
	info, err := pinned.Info()
	return err == nil && info.XDP() != nil && info.XDP().Ifindex == uint32(i.Index)
}

func (l decapLinks) open(i DecapInterface) (link.Link, error) {
	return link.LoadPinnedLink(l.pins.link(i.pinName()), nil)
}

// replace attaches the program to the wanted interfaces and takes it off all others.
func (l decapLinks) replace(want []model.Link) error {
	have, err := l.list()
	if err != nil {
		return err
	}
	kept := map[int]bool{}
	for _, i := range have {
		wanted := slices.ContainsFunc(want, func(w model.Link) bool { return w.Index == i.Index })
		if wanted && l.update(i) == nil {
			kept[i.Index] = true
		} else if err := l.drop(i); err != nil {
			return err
		}
	}
	var errs []error
	for _, w := range want {
		if !kept[w.Index] {
			errs = append(errs, l.attach(w))
		}
	}
	return errors.Join(errs...)
}

// update puts the program of this version behind a link. One whose interface is gone refuses.
func (l decapLinks) update(i DecapInterface) error {
	pinned, err := l.open(i)
	if err != nil {
		return err
	}
	defer pinned.Close()
	return pinned.Update(l.program)
}

// drop detaches before it removes the pin: of a link that merely lost its pin the kernel lets go
// when it finds the time, and until then the interface is occupied.
func (l decapLinks) drop(i DecapInterface) error {
	if pinned, err := l.open(i); err == nil {
		err = errors.Join(pinned.Detach(), pinned.Close())
		if err != nil {
			return fmt.Errorf("detach from interface %d: %w", i.Index, err)
		}
	}
	if err := os.Remove(l.pins.link(i.pinName())); err != nil {
		return fmt.Errorf("links: %w", err)
	}
	return nil
}

// dropAll takes the program off every interface.
func (l decapLinks) dropAll() error {
	list, err := l.list()
	if err != nil {
		return err
	}
	for _, i := range list {
		if err := l.drop(i); err != nil {
			return err
		}
	}
	return nil
}

// attach tries the driver first and the kernel's generic hook after it.
func (l decapLinks) attach(to model.Link) error {
	err := l.attachMode(to.Index, model.XDPNative, link.XDPDriverMode)
	if err != nil && !isOccupied(err) {
		err = l.attachMode(to.Index, model.XDPGeneric, link.XDPGenericMode)
	}
	if isOccupied(err) {
		err = fmt.Errorf("%s: detach it, or name the interfaces of the tunnel", whoIsOn(to.Index))
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", to.Name, err)
	}
	return nil
}

func (l decapLinks) attachMode(index int, mode model.XDPMode, flags link.XDPAttachFlags) error {
	attached, err := link.AttachXDP(link.XDPOptions{Program: l.program, Interface: index, Flags: flags})
	if err != nil {
		return fmt.Errorf("attach %s XDP: %w", mode, err)
	}
	defer attached.Close()
	if err := attached.Pin(l.pins.link(DecapInterface{index, mode}.pinName())); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	return nil
}

func isOccupied(err error) bool { return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) }

// whoIsOn names the program that has the interface.
func whoIsOn(index int) error {
	id, err := programOn(index)
	if err != nil || id == 0 {
		return ErrForeign
	}
	return fmt.Errorf("%w: program %d", ErrForeign, id)
}
