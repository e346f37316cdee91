// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/weir-lb/weir/internal/model"
)

var allows = cmp.AllowUnexported(control{})

// sample is a packet of which no field is another one's value.
var sample = control{diag: diagSignaled, state: model.BFDInit, poll: true, independent: true, demand: true, multiplier: 5,
	mine: 0x01020304, yours: 0x0a0b0c0d, minTx: time.Second, minRx: 100 * time.Millisecond, minEcho: 7 * time.Microsecond}

// theirs is the same as gopacket has it.
func theirs(c control) *layers.BFD {
	states := map[model.BFDState]layers.BFDState{model.BFDAdminDown: layers.BFDStateAdminDown, model.BFDDown: layers.BFDStateDown,
		model.BFDInit: layers.BFDStateInit, model.BFDUp: layers.BFDStateUp}
	return &layers.BFD{Version: 1, Diagnostic: layers.BFDDiagnostic(c.diag), State: states[c.state], Poll: c.poll, Final: c.final,
		ControlPlaneIndependent: c.independent, Demand: c.demand, DetectMultiplier: layers.BFDDetectMultiplier(c.multiplier),
		MyDiscriminator: layers.BFDDiscriminator(c.mine), YourDiscriminator: layers.BFDDiscriminator(c.yours),
		DesiredMinTxInterval:  layers.BFDTimeInterval(c.minTx.Microseconds()),
		RequiredMinRxInterval: layers.BFDTimeInterval(c.minRx.Microseconds()), RequiredMinEchoRxInterval: layers.BFDTimeInterval(c.minEcho.Microseconds())}
}

func each() (out []control) {
	for _, state := range onWire {
		for _, change := range []func(*control){
			func(*control) {},
			func(c *control) { c.poll, c.final = false, true },
			func(c *control) { c.demand = false },
			func(c *control) { c.independent = false },
			func(c *control) { c.diag, c.minRx, c.minEcho = diagNone, 0, 0 },
			func(c *control) { c.multiplier, c.minTx = 255, 4294967295*time.Microsecond },
		} {
			c := sample
			c.state = state
			change(&c)
			out = append(out, c)
		}
	}
	return out
}

// TestGopacketReadsWhatWeWrite, and we what it writes.
func TestGopacketReadsWhatWeWrite(t *testing.T) {
	for _, c := range each() {
		var got layers.BFD
		if err := got.DecodeFromBytes(c.bytes(), gopacket.NilDecodeFeedback); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		got.BaseLayer = layers.BaseLayer{}
		if diff := cmp.Diff(theirs(c), &got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c, diff)
		}
		buffer := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, theirs(c)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buffer.Bytes(), c.bytes()) {
			t.Errorf("%+v:\n%x, gopacket has\n%x", c, c.bytes(), buffer.Bytes())
		}
		back, why := parse(buffer.Bytes(), hops)
		if diff := cmp.Diff(c, back, allows); why != Taken || diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
}

// changed is the sample with some of its bytes changed.
func changed(change func([]byte) []byte) []byte { return change(sample.bytes()) }

func with(at int, value byte) func([]byte) []byte {
	return func(b []byte) []byte { b[at] = value; return b }
}

// TestWhatIsDiscardedUnread has a row for each packet that does not count whatever session it is for: section 6.8.6, in
// its order, behind section 5 of RFC 5881.
func TestWhatIsDiscardedUnread(t *testing.T) {
	authenticated := func(length byte) func([]byte) []byte {
		return func(b []byte) []byte {
			b[1], b[3] = b[1]|authBit, length
			return append(b, 1, 4, 0, 'x') // a password of one letter
		}
	}
	for _, c := range []struct {
		name string
		ttl  int
		text []byte
		want Reason
	}{
		{"one that a router passed on", 254, sample.bytes(), ReasonTTL},
		{"nothing", hops, nil, ReasonLength},
		{"of version 0", hops, changed(with(0, 0<<5)), ReasonVersion},
		{"of version 2", hops, changed(with(0, 2<<5)), ReasonVersion},
		{"that is cut off", hops, sample.bytes()[:23], ReasonLength},
		{"that says that it is shorter than it must be", hops, changed(with(3, 23)), ReasonLength},
		{"that says that it is longer than it is", hops, changed(with(3, 25)), ReasonLength},
		{"with authentication that has no room", hops, changed(authenticated(25)), ReasonLength},
		{"with no detection time", hops, changed(with(2, 0)), ReasonMultiplier},
		{"for many", hops, changed(with(1, 2<<6|multipoint)), ReasonMultipoint},
		{"of no session", hops, changed(func(b []byte) []byte { clear(b[4:8]); return b }), ReasonDiscriminator},
		{"in init, for nobody", hops, changed(func(b []byte) []byte { clear(b[8:12]); return b }), ReasonState},
		{"up, for nobody", hops, changed(func(b []byte) []byte { b[1] = 3 << 6; clear(b[8:12]); return b }), ReasonState},
		{"down, for nobody", hops, changed(func(b []byte) []byte { b[1] = 1 << 6; clear(b[8:12]); return b }), Taken},
		{"admin-down, for nobody", hops, changed(func(b []byte) []byte { b[1] = 0; clear(b[8:12]); return b }), Taken},
		{"with authentication", hops, changed(authenticated(28)), ReasonAuth},
		{"that is followed by something", hops, append(sample.bytes(), 1, 2, 3), Taken},
		{"that has more than it has to", hops, changed(func(b []byte) []byte { b[3] = 27; return append(b, 1, 2, 3) }), Taken},
	} {
		if _, got := parse(c.text, c.ttl); got != c.want {
			t.Errorf("a packet %s: %s, want %s", c.name, got, c.want)
		}
	}
}

// FuzzParse: whatever comes is discarded for a reason, or says the same when it is written again.
func FuzzParse(f *testing.F) {
	for _, c := range each() {
		f.Add(c.bytes(), hops)
	}
	f.Add(append(sample.bytes(), 1, 2, 3), hops)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, b []byte, ttl int) {
		c, why := parse(b, ttl)
		if why != Taken {
			if c != (control{}) || why >= reasons {
				t.Fatalf("%s: %+v", why, c)
			}
			return
		}
		again, why := parse(c.bytes(), hops)
		if why != Taken || again != c {
			t.Fatalf("%s: %+v became %+v", why, c, again)
		}
		if !bytes.Equal(c.bytes()[4:], b[4:headLength]) {
			t.Fatalf("%x became %x", b, c.bytes())
		}
	})
}

// TestReasonsHaveNames: they are what people see.
func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]Reason{}
	for r := range reasons {
		if before, twice := seen[r.String()]; r.String() == "" || twice {
			t.Errorf("reason %d is %q, as %d", r, r, before)
		}
		seen[r.String()] = r
	}
}
