// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// NeedRoot skips where programs cannot be loaded.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Unable(t, "needs root to load BPF programs")
	}
}

// Unable skips a test for want of something; under CI that is a failure.
func Unable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Send sends one frame through the loaded path as if it had come in by an interface, which must
// exist, and returns the XDP action and the frame as the path left it.
func (d *Dataplane) Send(frame []byte, ifindex int) (action uint32, out []byte, err error) {
	out = make([]byte, len(frame)+256)
	options := &ebpf.RunOptions{
		Data:    frame,
		DataOut: out,
		Context: xdpMD{DataEnd: uint32(len(frame)), IngressIfindex: uint32(ifindex)},
	}
	action, err = d.shown.Run(options)
	return action, options.DataOut, err
}

// Leave sends one frame through the program that checks leave by, as if the host sent it by an interface; or passed
// it on, if another one is named by which it came.
func (d *Dataplane) Leave(frame []byte, from, ifindex int) (action uint32, out []byte, err error) {
	out = make([]byte, len(frame)+256)
	options := &ebpf.RunOptions{Data: frame, DataOut: out, Context: struct {
		_              [9]uint32 // of struct __sk_buff
		IngressIfindex uint32
		Ifindex        uint32
	}{IngressIfindex: uint32(from), Ifindex: uint32(ifindex)}}
	action, err = d.checks.program.Run(options)
	return action, options.DataOut, err
}

// AgeChecks makes all checks so much older.
func (d *Dataplane) AgeChecks(by time.Duration) error {
	var keys []pathFlow
	var values []pathCheckAwaited
	var key pathFlow
	var value pathCheckAwaited
	each := d.path.CheckAnswers.Iterate()
	for each.Next(&key, &value) {
		value.Asked -= uint32(by / time.Second)
		keys, values = append(keys, key), append(values, value)
	}
	errs := []error{each.Err()}
	for i := range keys {
		errs = append(errs, d.path.CheckAnswers.Put(&keys[i], &values[i]))
	}
	return errors.Join(errs...)
}

// Dump is what services, servers and slots hold, ids and generations too, as text.
func (d *Dataplane) Dump() (string, error) {
	t, err := d.readTables()
	if err != nil {
		return "", err
	}
	var out string
	for key, entry := range t.services {
		out += fmt.Sprintf("%s %+v\n  slots %v\n", key, entry.value, entry.slots)
		for _, id := range slices.Sorted(maps.Keys(entry.serversByID())) {
			out += fmt.Sprintf("  %d %+v\n", id, entry.serversByID()[id])
		}
	}
	return out, nil
}

// FillLeased leaves no room for another address of a virtual router, until empty is called.
func (d *Dataplane) FillLeased() (empty func() error, err error) {
	m := d.path.Leased
	keys, numbers := make([]pathAddr, m.MaxEntries()), make([]uint32, m.MaxEntries())
	for i := range keys {
		keys[i].Word[3] = uint32(i)
	}
	empty = func() error {
		_, err := m.BatchDelete(keys, nil)
		return err
	}
	_, err = m.BatchUpdate(keys, numbers, nil)
	return empty, err
}

// HalfOpen is how many connections of a service are half open, as the path counts them.
func (d *Dataplane) HalfOpen(key model.ServiceKey) (n int64, err error) {
	var service pathService
	k := toServiceKey(key)
	if err := d.path.Services.Lookup(&k, &service); err != nil {
		return 0, err
	}
	return n, d.path.HalfOpen.Lookup(service.Id, &n)
}

// HalfOpenBeyond adds up by how much the half-open connections that servers count, and those that services do, differ
// from the entries of the table, of each of them by itself.
func (d *Dataplane) HalfOpenBeyond() (beyond int64, err error) {
	servers, err := d.readServers()
	loads, errLoads := readArray[pathLoad](d.path.Loads)
	services, errServices := readArray[int64](d.path.HalfOpen)
	if err := errors.Join(err, errLoads, errServices); err != nil {
		return 0, err
	}
	ofServers, ofServices := make([]int64, len(servers)), make([]int64, len(services))
	err = d.eachEntry(func(_ uint32, e pathConn) bool {
		w, server := word(e.Word), servers[e.Server]
		if w.isForward() && w.state() == pathConnStateCONN_SYN_RECV && e.ServerGeneration == server.Generation {
			ofServers[e.Server]++
			ofServices[server.Service]++
		}
		return true
	})
	for id, n := range ofServers {
		beyond += max(int64(loads[id].HalfOpen)-n, n-int64(loads[id].HalfOpen))
	}
	for id, n := range ofServices {
		beyond += max(services[id]-n, n-services[id])
	}
	return beyond, err
}

// CountLate counts half-open connections of a server of the service that is no more, as a CPU does that
// had found it before it went.
func (d *Dataplane) CountLate(key model.ServiceKey, n int64) error {
	servers, err := d.readServers()
	if err != nil {
		return err
	}
	service := d.tables.services[key].value
	id := slices.IndexFunc(servers, func(s pathServer) bool { return s.Was != 0 && s.Service == service.Id })
	if id < 0 {
		return fmt.Errorf("no server of %s is gone", key)
	}
	before, err := d.HalfOpen(key)
	if err != nil {
		return err
	}
	load := pathLoad{Inactive: uint64(n), HalfOpen: uint64(n)}
	return errors.Join(d.path.Loads.Put(uint32(id), &load), d.path.HalfOpen.Put(service.Id, before+n))
}

// SlotsVersion is that of the tables of a service's servers, as they lie in the map.
func (d *Dataplane) SlotsVersion(key model.ServiceKey) (uint32, error) {
	t, err := d.readTables()
	if err != nil {
		return 0, err
	}
	return t.services[key].slots[0].Generation, nil
}

func (e *serviceEntry) serversByID() map[uint32]pathServer {
	out := map[uint32]pathServer{}
	for _, s := range e.servers {
		out[s.id] = s.value
	}
	return out
}

// GiveIDsAgain has the ids come again that were given back just now, as after many changes.
func (d *Dataplane) GiveIDsAgain() {
	d.tables.serviceIDs.next, d.tables.serverIDs.next = 0, 0
}

// RecordsInUse are the records that the path may look at, but for that of free places, as text.
func (d *Dataplane) RecordsInUse() (map[uint32]string, error) {
	r, err := d.readRecords()
	if err != nil {
		return nil, err
	}
	servers, err := d.readServers()
	if err != nil {
		return nil, err
	}
	out := map[uint32]string{}
	for id, record := range r.of {
		if record != noRecord {
			out[record] = fmt.Sprintf("%+v", servers[id])
		}
	}
	return out, nil
}

// entry is one of the two kinds that lie in conns.
type entry interface{ pathConn | pathReverse }

// editEntries rewrites the entries that are somebody's: the clients', or the ways back.
func editEntries[E entry](d *Dataplane, edit func(*E)) error {
	_, reverse := any(new(E)).(*pathReverse)
	var positions []uint32
	err := d.eachEntry(func(position uint32, e pathConn) bool {
		w := word(e.Word)
		if w.isLive() && w.has(pathConnFlagCONN_REVERSE) == reverse {
			positions = append(positions, position)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, position := range positions {
		var e E
		if err := d.path.Conns.Lookup(position, &e); err != nil {
			return err
		}
		edit(&e)
		if err := d.path.Conns.Put(position, &e); err != nil {
			return err
		}
	}
	return nil
}

// ForgetClients makes it look as if no client's packet had come for two minutes.
func (d *Dataplane) ForgetClients() error {
	return editEntries(d, func(r *pathReverse) { r.HopSeen -= 120 * d.hz })
}

// Age makes connections look as if nothing had come for a while.
func (d *Dataplane) Age(by time.Duration) error {
	return editEntries(d, func(c *pathConn) { c.Seen -= uint32(by.Seconds() * float64(d.hz)) })
}

// Elapse has connections look as if nothing had come for so much longer; before that, for how long nothing had come
// becomes a whole number of steps, so that what really passed between two calls does not count, if it is less than
// three quarters of a step.
func (d *Dataplane) Elapse(step, by time.Duration) error {
	now, err := d.readClock()
	if err != nil {
		return err
	}
	jiffy := time.Second / time.Duration(d.hz)
	return editEntries(d, func(c *pathConn) {
		idle := time.Duration(int32(now-c.Seen)) * jiffy
		c.Seen = now - uint32((WholeSteps(idle, step)+by)/jiffy)
	})
}

// WholeSteps is a time in whole steps: three quarters of one are left out, and what is more counts as one.
func WholeSteps(d, step time.Duration) time.Duration {
	d += step / 4
	return d - (d%step+step)%step
}

// readClock is the kernel's jiffies: a sweep through no buckets reads them.
func (d *Dataplane) readClock() (uint32, error) {
	var s pathSweep
	_, err := d.sweeper.Sweep.Run(&ebpf.RunOptions{Context: &s, ContextOut: &s})
	return s.Now, err
}

// RunSweeps is that part of Run.
func (d *Dataplane) RunSweeps(ctx context.Context) error { return d.runSweeps(ctx) }

// Round is the number of the round that the next Sweep is.
func (d *Dataplane) Round() uint32 { return d.round() }

// ForgetForward ends the clients' entries and leaves the ways back as orphans.
func (d *Dataplane) ForgetForward() error {
	return editEntries(d, func(c *pathConn) { c.Word &^= 0xff })
}

// Traces counts the bits by which buckets say that a slot is somebody's, or that a flow is away; 0: the
// table is as it was made.
func (d *Dataplane) Traces() (out int, err error) {
	for i := range d.table().buckets {
		var b pathBucket
		if err := d.path.Conns.Lookup(i*bucketSlots, &b); err != nil {
			return 0, err
		}
		out += bits.OnesCount32(b.Taken) + bits.OnesCount32(b.Settled) + int(b.Away)
		for _, tags := range b.Tags {
			out += bits.OnesCount64(tags)
		}
	}
	return out, nil
}

// Hash is what the path spreads flows by: whoever has it can find them.
func (d *Dataplane) Hash() (buckets uint32, seed [10]uint32) {
	t := d.table()
	return t.buckets, t.seed
}

// MoveSteps is how many steps a move to another table has.
const MoveSteps = 7

// Move makes the first steps of a move to a table of another size.
func (d *Dataplane) Move(size uint32, steps int) error {
	m := d.newMove(size)
	defer m.Close()
	return inOrder(append(m.prepare(), m.finish()...)[:steps])
}

// Mixed is a move during which interfaces have different programs: one asks the old table first, one the new one.
type Mixed struct {
	move  *move
	Paths [2]*Dataplane
}

// Mix prepares a move and loads both programs.
func (d *Dataplane) Mix(size uint32) (*Mixed, error) {
	m := d.newMove(size)
	if err := inOrder(m.prepare()); err != nil {
		return nil, err
	}
	newFirst, err := d.loadProgram(m.to, &m.from)
	if err != nil {
		return nil, err
	}
	other := &Dataplane{shown: newFirst}
	other.path.Weir = newFirst
	return &Mixed{m, [2]*Dataplane{d, other}}, nil
}

// Carry walks through the old table once, and returns how many connections it moved, or could not move.
func (m *Mixed) Carry() (moved, lost int, err error) {
	mover, err := m.move.loadMover()
	if err != nil {
		return 0, 0, err
	}
	defer mover.Close()
	walk, err := m.move.walk(mover)
	return int(walk.Moved), int(walk.Lost), err
}

// CarryByStride comes to each bucket of the old table as the second of a walk with a stride that leads there.
func (m *Mixed) CarryByStride() (moved int, err error) {
	mover, err := m.move.loadMover()
	if err != nil {
		return 0, err
	}
	defer mover.Close()
	for bucket := range m.move.from.buckets {
		s := pathMoveSlice{First: 1, Buckets: 1, Stride: bucket}
		if err := visit(mover, &s); err != nil {
			return moved, err
		}
		moved += int(s.Moved)
	}
	return moved, nil
}

// Finish ends the move.
func (m *Mixed) Finish() error {
	defer m.move.Close()
	return errors.Join(inOrder(m.move.finish()), m.Paths[1].path.Weir.Close())
}

// Entries are what is remembered of each flow, but for where it lies.
func (d *Dataplane) Entries() (map[string]string, error) {
	all := map[uint32]pathConn{}
	err := d.eachEntry(func(position uint32, e pathConn) bool {
		if word(e.Word).isLive() {
			all[position] = e
		}
		return true
	})
	out := map[string]string{}
	for _, e := range all {
		if key := keyOf(e); out[key] == "" {
			out[key] = textOf(e, all)
		} else {
			err = errors.Join(err, fmt.Errorf("%s is there twice", key))
		}
	}
	return out, err
}

func keyOf(e pathConn) string {
	return fmt.Sprint(e.Protocol, fromAddr(e.Source), fromPort(e.SourcePort), fromAddr(e.Destination), fromPort(e.DestinationPort))
}

// textOf is an entry with its pair by name, and without what depends on its place.
func textOf(e pathConn, all map[uint32]pathConn) string {
	const ofPlace = word(pathConnFlagCONN_AWAY) << 8
	pair := ""
	if partner, ok := all[e.Pair]; ok && (word(e.Word).has(pathConnFlagCONN_REVERSE) || fromForwarding(pathForwarding(e.Forwarding)) == model.NAT) {
		pair = keyOf(partner)
	}
	return fmt.Sprintf("%x forwarding %x server %x seen %x generation %x hop %x pair %s", uint32(word(e.Word)&^ofPlace),
		e.Forwarding, e.Server, e.Seen, e.ServerGeneration, e.Hop, pair)
}

// CheckTable says what is wrong with the bookkeeping of the table: slots taken that nobody has, tags that
// are not there or too many, counts of flows that are away.
func (d *Dataplane) CheckTable() error {
	var errs []error
	entries := map[uint32]pathConn{}
	err := d.eachEntry(func(position uint32, e pathConn) bool { entries[position] = e; return true })
	away := map[uint32]uint32{}
	for position, e := range entries {
		if w := word(e.Word); w.isLive() && w.has(pathConnFlagCONN_AWAY) {
			away[d.homeOf(e)]++
		} else if w.isLive() && d.homeOf(e) != position/bucketSlots {
			errs = append(errs, fmt.Errorf("%s is not at home, and not away", keyOf(e)))
		}
	}
	for index := range d.table().buckets {
		var b pathBucket
		if err := d.path.Conns.Lookup(index*bucketSlots, unsafe.Pointer(&b)); err != nil {
			return err
		}
		if b.Away != away[index] {
			errs = append(errs, fmt.Errorf("bucket %d: %d are away, and it says %d", index, away[index], b.Away))
		}
		for slot := uint32(1); slot < bucketSlots; slot++ {
			live, taken := word(entries[index*bucketSlots+slot].Word).isLive(), b.Taken>>slot&1 != 0
			tagged := b.Tags[slot/8]>>(slot%8*8)&0xff != 0
			if live != taken || live != tagged {
				errs = append(errs, fmt.Errorf("bucket %d slot %d: live %t, taken %t, tagged %t", index, slot, live, taken, tagged))
			}
		}
	}
	return errors.Join(append(errs, err)...)
}

// homeOf is the home bucket of an entry.
func (d *Dataplane) homeOf(e pathConn) uint32 {
	home, _ := d.table().bucketsOf(flowOf(e))
	return home
}

// Contents are all that is in the maps, by their names, but for what is under way to the daemon.
func (d *Dataplane) Contents() (map[string]string, error) {
	p := d.path.pathMaps
	slots, err := d.Dump()
	out := map[string]string{"slots": strings.Join(slices.Sorted(strings.Lines(slots)), "")}
	errs := []error{err}
	for name, digest := range map[string]func() (string, error){
		"interfaces": arrayOf[pathInterface](p.Interfaces), "servers": arrayOf[uint64](p.Servers),
		"records": arrayOf[pathServer](p.Records), "positions": arrayOf[uint64](p.Positions),
		"half_open": arrayOf[uint64](p.HalfOpen), "conns": arrayOf[pathConn](p.Conns), "timeouts": arrayOf[pathTimeouts](p.Timeouts), "loads": arrayOf[pathLoad](p.Loads),
		"services": hashed[pathServiceKey, pathService](p.Services), "vips": hashed[pathAddr, uint32](p.Vips),
		"nat_servers": hashed[pathAddr, uint32](p.NatServers), "nearest": hashed[pathNearKey, pathNear](p.Nearest),
		"near_sets": hashed[pathNearKey, pathNearSet](p.NearSets), "fragments": hashed[pathFragmentKey, pathFragment](p.Fragments),
		"verdicts": func() (string, error) { v, err := d.CountVerdicts(); return fmt.Sprint(v), err },
		"counters": func() (string, error) { c, err := d.Counters(); return fmt.Sprint(c), err },
	} {
		text, err := digest()
		out[name] = text
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// array digests an array, but for its zeros.
func arrayOf[V comparable](m *ebpf.Map) func() (string, error) {
	return func() (string, error) {
		var zero V
		var out strings.Builder
		values, err := readArray[V](m)
		for i, v := range values {
			if v != zero {
				fmt.Fprintln(&out, i, v)
			}
		}
		return out.String(), err
	}
}

// hashed digests a hash.
func hashed[K, V any](m *ebpf.Map) func() (string, error) {
	return func() (string, error) {
		var lines []string
		var key K
		var value V
		each := m.Iterate()
		for each.Next(&key, &value) {
			lines = append(lines, fmt.Sprintln(key, value))
		}
		slices.Sort(lines)
		return strings.Join(lines, ""), each.Err()
	}
}

// FalsifyLayout makes the pins under dir look like those of a version with other structs.
func FalsifyLayout(dir string) error {
	a, err := readAbout(pins{dir})
	if err != nil {
		return err
	}
	defer a.Close()
	a.note.Layout[0] ^= 0xff
	return a.write()
}

// SetSeed gives the pinned table under dir, in which nothing is, another key.
func SetSeed(dir string, seed [10]uint32) error {
	a, err := readAbout(pins{dir})
	if err != nil {
		return err
	}
	defer a.Close()
	a.note.Seed = seed
	return a.write()
}

// PinnedMaps are the pinned maps under dir by name, with their ids and how many entries they have room for.
func PinnedMaps(dir string) (map[string]string, error) {
	out := map[string]string{}
	p := pins{dir}
	for _, at := range []string{p.dir, p.maps()} {
		entries, err := os.ReadDir(at)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			m, err := ebpf.LoadPinnedMap(filepath.Join(at, e.Name()), nil)
			if err != nil {
				continue // not a map
			}
			info, err := m.Info()
			m.Close()
			if err != nil {
				return nil, err
			}
			id, _ := info.ID()
			out[e.Name()] = fmt.Sprint(id, info.MaxEntries)
		}
	}
	return out, nil
}

// ForgetFragments empties the table of fragments, and throws away what waits for its first one.
func (d *Dataplane) ForgetFragments() error {
	var keys []pathFragmentKey
	var key pathFragmentKey
	var value pathFragment
	each := d.path.Fragments.Iterate()
	for each.Next(&key, &value) {
		keys = append(keys, key)
	}
	errs := []error{each.Err()}
	for _, key := range keys {
		if err := d.path.Fragments.Delete(&key); !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, d.forgetHeld())...)
}

func (d *Dataplane) forgetHeld() error {
	if err := d.held.Flush(); err != nil {
		return err
	}
	var record ringbuf.Record
	for {
		if err := d.held.ReadInto(&record); err != nil {
			if errors.Is(err, ringbuf.ErrFlushed) {
				return nil
			}
			return err
		}
	}
}

// Fragments is of how many packets a part is under way.
func (d *Dataplane) Fragments() (int, error) {
	var key pathFragmentKey
	var value pathFragment
	n := 0
	each := d.path.Fragments.Iterate()
	for each.Next(&key, &value) {
		n++
	}
	return n, each.Err()
}

// ForgetTold lets the path tell as many senders of errors as in a new second.
func (d *Dataplane) ForgetTold() error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	return d.path.Tellings.Put(uint32(0), make([]pathTold, cpus))
}

// RefreshClients makes every connection look as if its client's last packet came just now.
func (d *Dataplane) RefreshClients() error {
	now := d.now()
	return errors.Join(
		editEntries(d, func(c *pathConn) { c.Seen = now }), editEntries(d, func(r *pathReverse) { r.HopSeen = now }))
}

// RefreshHops makes every client's next hop look as if it was confirmed just now; how long connections live stays.
func (d *Dataplane) RefreshHops() error {
	now := d.now()
	return editEntries(d, func(r *pathReverse) { r.HopSeen = now })
}

// CountVerdicts are the counts of Verdicts, in one call.
func (d *Dataplane) CountVerdicts() ([]uint64, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	all := int(d.path.Verdicts.MaxEntries())
	keys, values := make([]uint32, all), make([]uint64, all*cpus)
	var cursor ebpf.MapBatchCursor
	n, err := d.path.Verdicts.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, err
	}
	out := make([]uint64, all)
	for i := range n {
		for _, count := range values[i*cpus : (i+1)*cpus] {
			out[keys[i]] += count
		}
	}
	return out, nil
}

// VerdictNames are the names of what CountVerdicts counts, in its order.
func VerdictNames() []string {
	out := make([]string, pathVerdictVERDICTS)
	for v, text := range verdictTexts {
		out[v] = text.name
	}
	return out
}

// CopiedLock takes the lock of a directory, and returns a copy of it as a process gets it that is being started.
func CopiedLock(dir string) (own io.Closer, copied *os.File, err error) {
	l, err := takeLock(pins{dir})
	if err != nil {
		return nil, nil, err
	}
	fd, err := unix.FcntlInt(l.dir.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return l, os.NewFile(uintptr(fd), dir), err
}

// KillLock closes a lock as the kernel does for who is killed.
func KillLock(own io.Closer) { own.(*lock).dir.Close() }

// ExhaustTold makes the path believe that it told as many senders of errors as it may in a second, half of which is over:
// one that began now would lie ahead for a kernel whose tick comes late, and be over at once.
func (d *Dataplane) ExhaustTold() error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	told := slices.Repeat([]pathTold{{Since: d.now() - d.hz/2, Count: 1000}}, cpus)
	return d.path.Tellings.Put(uint32(0), told)
}

// ProgramOn is the program on an interface of this namespace.
func ProgramOn(index int) (uint32, error) { return programOn(index) }

// MostFollowed is how many instructions of the path a kernel's verifier may follow before it is too near the million at
// which it gives up, and weir does not start. Linux 6.18 follows 74,000 as root, and 173,000 without CAP_PERFMON; others
// see less often that they were somewhere already. A branch more in a function that is called often may double that.
const MostFollowed = 700_000

// VerifiedInstructions is how many the kernel's verifier followed when the path was loaded.
func (d *Dataplane) VerifiedInstructions() (uint32, error) {
	info, err := d.path.Weir.Info()
	if err != nil {
		return 0, err
	}
	n, _ := info.VerifiedInstructions()
	return n, nil
}

// BindWaiting is what Run does after an Apply with connections that wait for their servers.
func (d *Dataplane) BindWaiting() error { return d.bindWaiting(time.Now()) }

// HoldSync is somebody who walks through the whole table, or takes in much, until release is called.
func (d *Dataplane) HoldSync() (release func()) {
	d.syncer.mu.Lock()
	return d.syncer.mu.Unlock
}

// Places is another number when records may find other places.
func (d *Dataplane) Places() (uint64, error) {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	dir, err := d.directoryNow()
	if err != nil {
		return 0, err
	}
	return dir.places, nil
}

// BreakArrivals has connections of other directors fail to come in, until mend is called.
func (d *Dataplane) BreakArrivals() (mend func(), err error) {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	p, err := d.syncParts()
	if err != nil {
		return nil, err
	}
	whole := p.Arrivals
	p.Arrivals = p.Wanted // of other values
	return func() { p.Arrivals = whole }, nil
}
