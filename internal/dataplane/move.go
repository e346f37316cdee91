// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// side is one of the two tables between which connections move.
type side struct {
	table
	size  uint32 // connections that it is made for
	conns *ebpf.Map
}

// move is a change of the connection table's size, while packets come: docs/why/growing.md.
//
//	step         program on the interfaces    pinned            note
//	makeTable    asks the old table           old               old
//	askOldFirst  old, then new                old               old
//	promise      old, then new                old and new       old → new
//	askNewFirst  new, then old                old and new       old → new
//	carry        new, then old, which empties old and new       old → new
//	commit       new, then old, which is empty new              new
//	askNewOnly   new                          new               new
//
// Packets find their connection by whatever programs of two lines that follow each other are on the
// interfaces. Until the promise a start that is killed has changed nothing: the next one asks the old
// table alone. From then on the next one goes on with askNewFirst.
type move struct {
	d        *Dataplane
	from, to side
}

// moveStep is a part of a move behind which a start may be killed.
type moveStep func() error

func (m *move) prepare() []moveStep { return []moveStep{m.makeTable, m.askOldFirst, m.promise} }
func (m *move) finish() []moveStep {
	return []moveStep{m.askNewFirst, m.carry, m.commit, m.askNewOnly}
}

func inOrder(steps []moveStep) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// newMove is one from the table in use to one of another size.
func (d *Dataplane) newMove(size uint32) *move {
	from := side{d.table(), d.about.note.Conns, d.path.Conns}
	return &move{d, from, side{d.tableOf(size), size, nil}}
}

// Close lets go of a table that was not taken into use.
func (m *move) Close() error {
	if m.to.conns == m.d.path.Conns {
		return nil
	}
	return m.to.conns.Close()
}

// takeOver swaps the program in on the links that there are. Where a start was killed while connections
// moved, it is one that asks both tables, and the move goes on.
func (d *Dataplane) takeOver() (err error) {
	if d.about.note.Next == 0 {
		return d.adoptLinks()
	}
	m := d.newMove(d.about.note.Next)
	if m.to.conns, err = ebpf.LoadPinnedMap(d.pins.table(m.to.name()), nil); err != nil {
		return fmt.Errorf("connections were moving: %s: %w", m.to.name(), err)
	}
	defer m.Close()
	steps := m.finish()
	return inOrder([]moveStep{steps[0], d.adoptLinks, func() error { return inOrder(steps[1:]) }})
}

// resize gives the table the size that is wanted. Where that cannot be, the old one goes on.
func (d *Dataplane) resize(size uint32) error {
	if size == d.about.note.Conns {
		return nil
	}
	m := d.newMove(size)
	if m.to.buckets == m.from.buckets {
		d.about.note.Conns = size
		return d.about.write()
	}
	if used, _ := d.Usage(); used > uint64(size) {
		d.keep(size, fmt.Sprintf("%d entries are in use, and they must fit", used))
		return nil
	}
	defer m.Close()
	if err := inOrder(m.prepare()); err != nil {
		d.keep(size, err.Error())
		return m.abandon()
	}
	return inOrder(m.finish())
}

// keep remembers why the table stays as it is.
func (d *Dataplane) keep(size uint32, why string) {
	d.kept.size, d.kept.why = size, why
	d.log.Error("the connection table keeps its size", "size", d.about.note.Conns, "wanted", size, "why", why)
}

// abandon goes back to the old table alone, before the promise.
func (m *move) abandon() error {
	m.d.about.note.Next = 0
	return errors.Join(m.d.about.write(), m.ask(m.from, nil), m.d.pins.dropTables(m.from.table))
}

func (m *move) makeTable() error {
	spec, err := pathSpec()
	if err != nil {
		return err
	}
	m.to.shape(spec.Maps["conns"])
	if m.to.conns, err = ebpf.NewMap(spec.Maps["conns"]); err != nil {
		return fmt.Errorf("create %s: %w", m.to.name(), err)
	}
	return nil
}

// askOldFirst prepares every interface for connections that have moved already. None has.
func (m *move) askOldFirst() error { return m.ask(m.from, &m.to) }

// promise says that every program on an interface asks both tables.
func (m *move) promise() error {
	if err := waitForPackets(); err != nil {
		return err
	}
	if err := m.to.conns.Pin(m.d.pins.table(m.to.name())); err != nil {
		return fmt.Errorf("pin %s: %w", m.to.name(), err)
	}
	m.d.about.note.Next = m.to.size
	return m.d.about.write()
}

// askNewFirst lets packets take their connections along. Those of an interface that still has the
// program before take them back.
func (m *move) askNewFirst() error { return m.ask(m.to, &m.from) }

// commit makes the new table the one that there is. Nothing is in the old one, nor comes to it.
func (m *move) commit() error {
	d := m.d
	d.about.note.Conns, d.about.note.Next = m.to.size, 0
	if err := d.about.write(); err != nil {
		return err
	}
	d.path.Conns = m.to.conns
	if err := errors.Join(m.from.conns.Close(), d.sweeper.Close(), d.ender.Close()); err != nil {
		return err
	}
	if err := d.loadBeside(d.hz); err != nil {
		return err
	}
	return d.pins.dropTables(m.to.table)
}

// askNewOnly ends the move.
func (m *move) askNewOnly() error { return m.ask(m.to, nil) }

// ask swaps a program in that looks for connections in one table, and in another one behind it.
func (m *move) ask(first side, behind *side) error {
	p, err := m.d.loadProgram(first, behind)
	if err != nil {
		return err
	}
	return m.d.use(p)
}

// loadProgram loads the path once more, on the maps that there are but for the connections.
func (d *Dataplane) loadProgram(first side, behind *side) (*ebpf.Program, error) {
	spec, err := pathSpec()
	if err != nil {
		return nil, err
	}
	var objects struct {
		Weir *ebpf.Program `ebpf:"weir"`
	}
	if err := d.loadAgain("path", spec, first, behind, &objects); err != nil {
		return nil, err
	}
	if err := d.bind(objects.Weir); err != nil {
		return nil, errors.Join(err, objects.Weir.Close())
	}
	return objects.Weir, nil
}

// loadAgain loads objects of a path on the maps that there are but for the connections.
func (d *Dataplane) loadAgain(what string, spec *ebpf.CollectionSpec, first side, behind *side, objects any) error {
	if _, err := setClock(spec); err != nil {
		return err
	}
	maps, err := d.between(spec, first, behind)
	if err != nil {
		return err
	}
	if err := spec.LoadAndAssign(objects, &ebpf.CollectionOptions{MapReplacements: maps}); err != nil {
		return loadError(what, err)
	}
	return nil
}

// between gives a program the tables of a move, and returns the maps that it shares with the path.
func (d *Dataplane) between(spec *ebpf.CollectionSpec, first side, behind *side) (map[string]*ebpf.Map, error) {
	maps := d.share(spec)
	maps["conns"] = first.conns
	if err := first.set(spec); err != nil || behind == nil {
		return maps, err
	}
	maps["conns_before"] = behind.conns
	return maps, behind.setBefore(spec)
}

// use swaps a program in on every interface, for good.
func (d *Dataplane) use(p *ebpf.Program) error {
	old := d.path.Weir
	d.path.Weir = p
	return errors.Join(d.swap(p), old.Close())
}

// moveBuckets are walked in one run of the mover: no packet is handled on its CPU meanwhile.
const moveBuckets = 64

// moveTries: a connection that another CPU has in hand is free again after microseconds.
const (
	moveTries = 1000
	movePause = time.Millisecond
)

// carry moves all that packets did not take along, until nothing is left.
func (m *move) carry() error {
	began := time.Now()
	if err := waitForPackets(); err != nil {
		return err
	}
	mover, err := m.loadMover()
	if err != nil {
		return err
	}
	defer mover.Close()
	var all pathMoveSlice
	for range moveTries {
		walk, err := m.walk(mover)
		if err != nil {
			return err
		}
		all.Moved, all.Lost = all.Moved+walk.Moved, all.Lost+walk.Lost
		if walk.Moved+walk.Lost+walk.Left == 0 {
			m.tell(all, time.Since(began))
			return nil
		}
		if walk.Left > 0 {
			time.Sleep(movePause)
		}
	}
	return errors.New("connections do not leave the old table: start weir again")
}

// tell logs what the mover did; packets have moved connections, too.
func (m *move) tell(all pathMoveSlice, took time.Duration) {
	m.d.log.Info("connections moved to another table", "from", m.from.size, "to", m.to.size,
		"moved", all.Moved, "took", took.Round(time.Millisecond))
	if all.Lost > 0 {
		m.d.log.Error("connections found no place in the new table, and ended", "number", all.Lost)
	}
}

func (m *move) loadMover() (*ebpf.Program, error) {
	spec, err := loadMover()
	if err != nil {
		return nil, fmt.Errorf("mover: %w", err)
	}
	maps, err := m.d.between(spec, m.to, &m.from)
	if err != nil {
		return nil, fmt.Errorf("mover: %w", err)
	}
	delete(maps, "scratch") // where the kernel lets packets interrupt it, they need theirs
	var objects struct {
		Mover *ebpf.Program `ebpf:"mover"`
	}
	if err := spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{MapReplacements: maps}); err != nil {
		return nil, loadError("mover", err)
	}
	return objects.Mover, nil
}

// stride is how far the walk goes from one bucket of the old table to the next. It has no divisor in common with their
// number, so that the walk comes to each once; and it is near the golden section of it, so that at any time the walk has
// been everywhere alike, and the new table is filled everywhere alike.
func stride(buckets uint32) uint32 {
	const golden = 0.6180339887
	step := uint32(golden*float64(buckets)) | 1
	for !coprime(step, buckets) {
		step += 2
	}
	return step
}

func coprime(a, b uint32) bool {
	return new(big.Int).GCD(nil, nil, big.NewInt(int64(a)), big.NewInt(int64(b))).Int64() == 1
}

// walk goes through the old table once.
func (m *move) walk(mover *ebpf.Program) (all pathMoveSlice, err error) {
	step := stride(m.from.buckets)
	for first := uint32(0); first < m.from.buckets; first += moveBuckets {
		s := pathMoveSlice{First: first, Buckets: min(moveBuckets, m.from.buckets-first), Stride: step}
		if err := visit(mover, &s); err != nil {
			return all, err
		}
		all.Moved, all.Lost, all.Left = all.Moved+s.Moved, all.Lost+s.Lost, all.Left+s.Left
	}
	return all, nil
}

// visit has the mover come to the buckets of a slice.
func visit(mover *ebpf.Program, s *pathMoveSlice) error {
	frame := unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s))
	options := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame))}
	if _, err := mover.Run(&options); err != nil {
		return fmt.Errorf("move connections: %w", err)
	}
	copy(frame, options.DataOut)
	return nil
}

// waitForPackets returns when every packet that was in the path has left it, and so met the programs
// that are on the interfaces now.
func waitForPackets() error {
	const global = 1 // MEMBARRIER_CMD_GLOBAL of linux/membarrier.h: waits for all of RCU's readers
	_, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0)
	if errno == unix.EINVAL || errno == unix.ENOSYS {
		time.Sleep(time.Second) // CPUs without a tick are not waited for; a packet takes microseconds
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("wait for packets: %w", os.NewSyscallError("membarrier", errno))
	}
	return nil
}
