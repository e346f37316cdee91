// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// killAttempts is how often a connection is looked at that changes while it is being killed: few
// change once, and none for long, since its packets change nothing but the time when it is settled.
const killAttempts = 3

// ender is the program that ends connections, and where it reads which; and the one that ends counts.
type ender struct {
	// mu guards both: what is written down is one caller's until the program has run.
	mu      sync.Mutex
	end     *ebpf.Program
	endings *ebpf.Map
	settle  *ebpf.Program // settle.go
}

func (d *Dataplane) loadEnder() error {
	spec, err := loadEnder()
	if err != nil {
		return fmt.Errorf("end: %w", err)
	}
	if err := d.table().set(spec); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	var objects struct {
		End     *ebpf.Program `ebpf:"end"`
		Endings *ebpf.Map     `ebpf:"endings"`
		Settle  *ebpf.Program `ebpf:"settle"`
	}
	if err := spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{MapReplacements: d.share(spec)}); err != nil {
		return loadError("end", err)
	}
	d.ender.end, d.ender.endings, d.ender.settle = objects.End, objects.Endings, objects.Settle
	return nil
}

// Close may be called of one that was never loaded.
func (e *ender) Close() error {
	return errors.Join(e.end.Close(), e.endings.Close(), e.settle.Close())
}

// run ends what is written down, as far as it has not changed, and notes which was ended.
func (e *ender) run(endings []enderEnding) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := make([]uint32, pathLimitMAX_ENDINGS)
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := e.endings.BatchUpdate(keys[:len(endings)], endings, nil); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	if _, err := e.end.Run(&ebpf.RunOptions{Context: uint32(len(endings))}); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	var cursor ebpf.MapBatchCursor
	if _, err := e.endings.BatchLookup(&cursor, keys[:len(endings)], endings, nil); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}

// Kill ends every connection that is wanted, as if it had never been, and says how many. They are
// chosen before the first one ends: a client that begins anew is not met again.
func (d *Dataplane) Kill(ctx context.Context, wanted func(Connection) bool) (killed uint64, err error) {
	read, err := d.reader()
	if err != nil {
		return 0, err
	}
	k := killing{d: d, wanted: func(e pathConn) bool { return word(e.Word).isForward() && wanted(read(e)) }}
	left, err := k.choose(ctx)
	for attempt := 0; err == nil && len(left) > 0 && attempt < killAttempts; attempt++ {
		left, err = k.endAll(ctx, left)
	}
	return k.killed, err
}

// killing is one call of Kill.
type killing struct {
	d      *Dataplane
	wanted func(pathConn) bool
	killed uint64
}

// chosen is a connection by its place and the life of this place: eight bytes, for there may be millions.
type chosen struct{ position, life uint32 }

func (k *killing) choose(ctx context.Context) (out []chosen, err error) {
	err = k.d.eachEntry(func(position uint32, e pathConn) bool {
		if k.wanted(e) {
			out = append(out, chosen{position, word(e.Word).life()})
		}
		return ctx.Err() == nil
	})
	return out, errors.Join(err, ctx.Err())
}

// endAll returns those that must be looked at again, since something came in between.
func (k *killing) endAll(ctx context.Context, all []chosen) (left []chosen, err error) {
	for some := range slices.Chunk(all, int(pathLimitMAX_ENDINGS)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		changed, err := k.endSome(some)
		if err != nil {
			return nil, err
		}
		left = append(left, changed...)
	}
	return left, nil
}

func (k *killing) endSome(some []chosen) (left []chosen, err error) {
	endings, ids, err := k.write(some)
	if err != nil || len(endings) == 0 {
		return nil, err
	}
	if err := k.d.ender.run(endings); err != nil {
		return nil, err
	}
	for _, e := range endings {
		if e.Ended == 0 {
			left = append(left, chosen{e.Position, word(e.Word).life()})
		}
	}
	k.killed += uint64(len(endings) - len(left))
	k.tell(endings, ids)
	return left, nil
}

// write notes what shall end, as it is now. It reads again what was chosen: the first time an entry may
// have been read while another flow got its place, half of it the one and half the other. What is read
// now, after that life had begun, is all of it, or its word is another one before it can be ended.
func (k *killing) write(some []chosen) (out []enderEnding, ids []model.Identity, err error) {
	var e pathConn
	for _, c := range some {
		if err := k.d.path.Conns.Lookup(c.position, &e); err != nil {
			return nil, nil, fmt.Errorf("read connections: %w", err)
		}
		if word(e.Word).life() == c.life && k.wanted(e) {
			out = append(out, enderEnding{Word: e.Word, Position: c.position})
			ids = append(ids, identityOf(flowOf(e)))
		}
	}
	return out, ids, nil
}

// tell says which of them have ended: other directors know them, too.
func (k *killing) tell(endings []enderEnding, ids []model.Identity) {
	k.d.mu.Lock()
	hear := k.d.endsHeard
	k.d.mu.Unlock()
	var ended []model.Identity
	for i, e := range endings {
		if e.Ended != 0 {
			ended = append(ended, ids[i])
		}
	}
	if hear != nil && len(ended) > 0 {
		hear(ended)
	}
}
