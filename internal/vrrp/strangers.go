// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// strangers counts adverts on an interface whose id no virtual router has here (RFC 9568 section 7.1). Nobody reads
// them: a link may have hundreds of other pairs, or a flood, and nobody shall wake for what is for nobody. The socket
// has the least room that there is, and when that is full the kernel counts what it drops; so all are counted, those
// that found room and those that did not.
type strangers struct {
	fd    int
	link  int     // index of the interface
	ids   []uint8 // of virtual routers here
	found uint64  // room
	lost  uint32  // for want of it, by the kernel's count, which begins anew after the last number
	total uint64  // of those
}

// segment is where adverts of one family are heard.
type segment struct {
	link string
	is4  bool
}

func (s segment) family() family {
	if s.is4 {
		return family4
	}
	return family6
}

func openStrangers(of segment, link int, ids []uint8) (*strangers, error) {
	fd, err := unix.Socket(of.family().domain, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, err
	}
	s := &strangers{fd: fd, link: link}
	err = errors.Join(
		s.expect(of, ids),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, link),
	)
	if err != nil {
		s.close()
		return nil, err
	}
	s.count() // what came before all of that
	s.found, s.total = 0, 0
	return s, nil
}

// expect says of which ids there are virtual routers here. What the kernel has not taken is tried again with the next wants.
func (s *strangers) expect(of segment, ids []uint8) error {
	if err := attach(s.fd, of.family().head().takesOthers(ids)); err != nil {
		return err
	}
	s.ids = ids
	return nil
}

// count is how many there were.
func (s *strangers) count() uint64 {
	for range mostAtOnce {
		if _, _, err := unix.Recvfrom(s.fd, nil, 0); err != nil {
			break
		}
		s.found++
	}
	if lost, err := lostBy(s.fd); err == nil {
		s.total += uint64(lost - s.lost)
		s.lost = lost
	}
	return s.found + s.total
}

// lostBy is how much a socket had no room for.
func lostBy(fd int) (uint32, error) {
	var of [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(of))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&of)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("getsockopt", errno)
	}
	return of[unix.SK_MEMINFO_DROPS], nil
}

func (s *strangers) close() { unix.Close(s.fd) }

// attend counts strangers wherever a virtual router is to run. Where that cannot be, the routers themselves say why.
func (r *Runner) attend(wants []Want) {
	links, ids := heardBy(wants)
	for of, s := range r.strangers {
		if links[of] != s.link {
			s.close()
			delete(r.strangers, of)
		}
	}
	faults := map[segment]string{}
	for of, link := range links {
		err := r.attendTo(of, link, ids[of])
		if err == nil {
			continue
		}
		if faults[of] = err.Error(); faults[of] != r.unattended[of] {
			r.log.Info("adverts of ids that nobody has here are not counted", "interface", of.link, "error", err)
		}
	}
	r.unattended = faults
}

// heardBy is where virtual routers have their own interface, and which ids they have there, of others too that have a
// path by it: adverts by a path are of the same id.
func heardBy(wants []Want) (links map[segment]int, ids map[segment][]uint8) {
	links, ids = map[segment]int{}, map[segment][]uint8{}
	for _, want := range wants {
		own := identityOf(want)
		if of := segmentOf(own); want.Link != 0 {
			links[of] = want.Link
			ids[of] = append(ids[of], want.ID)
		}
		for _, way := range want.Ways {
			of := segment{way.Interface, own.is4}
			ids[of] = append(ids[of], want.ID)
		}
	}
	for of, some := range ids {
		slices.Sort(some)
		ids[of] = slices.Compact(some)
	}
	return links, ids
}

func (r *Runner) attendTo(of segment, link int, ids []uint8) error {
	s := r.strangers[of]
	switch {
	case s == nil:
		var err error
		if s, err = openStrangers(of, link, ids); err != nil {
			return fmt.Errorf("a socket for them: %w", err)
		}
		r.strangers[of] = s
	case !slices.Equal(s.ids, ids):
		return s.expect(of, ids)
	}
	return nil
}

// strange is how many adverts there were on a router's link that are nobody's here.
func (r *Runner) strange(of identity) uint64 {
	if s := r.strangers[segmentOf(of)]; s != nil {
		return s.count()
	}
	return 0
}

func segmentOf(id identity) segment { return segment{id.link, id.is4} }
