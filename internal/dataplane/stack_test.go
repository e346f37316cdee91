// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Linux 6.1 gives a chain of calls so many bytes of stack, and rounds up what each function has (MAX_BPF_STACK,
// check_max_stack_depth). Newer kernels round less, and would not tell.
const (
	mostStack  = 512
	stackRound = 32
)

func TestStackFitsOldestKernel(t *testing.T) {
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadPath, loadTraced, loadSweeper, loadEnder, loadMover, loadChecks, loadSyncer, loadBench} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for name, program := range spec.Programs {
			stack := framesOf(program.Instructions)
			if depth, chain := stack.deepest(name, nil); depth > mostStack {
				t.Errorf("%s: %d bytes of stack on the way %s", name, depth, strings.Join(chain, " > "))
			}
		}
	}
}

// stackFrames are the functions of a program.
type stackFrames map[string]*frame

type frame struct {
	bytes int
	calls []string // functions, and those that helpers call back
}

func framesOf(code asm.Instructions) stackFrames {
	out := stackFrames{}
	var now *frame
	var pointers [11]bool // registers that hold the frame pointer as it is
	for _, ins := range code {
		if name := ins.Symbol(); name != "" {
			now = &frame{}
			out[name] = now
			pointers = [11]bool{asm.R10: true}
		}
		now.look(ins, &pointers)
	}
	return out
}

func (f *frame) look(ins asm.Instruction, pointers *[11]bool) {
	op := ins.OpCode
	switch {
	case ins.IsFunctionCall() || ins.IsFunctionReference():
		f.calls = append(f.calls, ins.Reference())
	case op.Class() == asm.LdXClass && ins.Src == asm.R10, op.Class().IsStore() && ins.Dst == asm.R10:
		f.bytes = max(f.bytes, -int(ins.Offset))
	case op.Class().IsALU() && op.ALUOp() == asm.Add && op.Source() == asm.ImmSource && pointers[ins.Dst]:
		f.bytes = max(f.bytes, -int(ins.Constant))
	}
	if ins.Dst < asm.R10 && !op.Class().IsStore() {
		pointers[ins.Dst] = op.Class() == asm.ALU64Class && op.ALUOp() == asm.Mov && op.Source() == asm.RegSource && ins.Src == asm.R10
	}
}

func (f stackFrames) deepest(name string, above []string) (depth int, chain []string) {
	if f[name] == nil || slices.Contains(above, name) {
		return 0, nil
	}
	above = append(slices.Clip(above), name)
	for _, called := range f[name].calls {
		if below, way := f.deepest(called, above); below > depth {
			depth, chain = below, way
		}
	}
	return depth + (max(f[name].bytes, 1)+stackRound-1)/stackRound*stackRound, append([]string{name}, chain...)
}
