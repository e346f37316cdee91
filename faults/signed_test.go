// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 15 where adverts are signed.
const (
	signedMoves     = "signed_transitions" // while signing begins, keys change, and forged adverts come
	signedUncounted = "signed_uncounted"   // reasons that the directors did not count
	signedUntold    = "signed_untold"      // directors that have no problem by the forger
)

// signing is two directors that sign their adverts after a while, and a stranger on their link who has no key.
type signing struct {
	*pair
	plain  lab.Redundancy
	forged int
}

// becomesPlain has the directors sign nothing, whatever the run before has left, and know of nobody.
func (s signing) becomesPlain(ctx context.Context, _ *faults.Measured) error {
	if err := s.reload(ctx, s.plain); err != nil {
		return err
	}
	return s.peaceful(ctx, s.together)
}

// isNotFooled has the directors begin to sign, resign once each, and change their keys. All of that a stranger hears. Then
// he says what he can.
func (s signing) isNotFooled(ctx context.Context, m *faults.Measured) error {
	e, err := newEar(s.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	one, two := randomKey(1), randomKey(2)
	moved, err := s.counted(ctx, func() error { return s.beginToSign(ctx, one) })
	note(m, signedMoves, float64(moved), "")
	if err != nil {
		return err
	}
	recorded, err := e.records(ctx, s.resigns)
	if err != nil {
		return err
	}
	moved, err = s.counted(ctx, func() error { return s.changeKeys(ctx, one, two) })
	note(m, signedMoves, float64(moved), "")
	if err != nil {
		return err
	}
	r, err := s.agreed(ctx)
	if err != nil {
		return err
	}
	return s.isPlagued(ctx, m, e, r, recorded)
}

// beginToSign takes the steps that the documentation has, each on one director and then on the other one.
func (s signing) beginToSign(ctx context.Context, key string) error {
	if err := s.lab.WriteRouterKeys(key); err != nil {
		return err
	}
	for _, mode := range []string{"receive-only", "permissive", "enforce"} {
		signed := s.plain
		signed.Signed = mode
		for i, d := range s.lab.Directors {
			s.config[d] = s.serves(d) + s.lab.VirtualRouters(d, signed)
			if err := d.Configure(s.config[d]); err != nil {
				return err
			}
			if err := s.reloads(ctx, d, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// changeKeys ends with the new key alone.
func (s signing) changeKeys(ctx context.Context, old, next string) error {
	for _, text := range []string{old + next, next + old, next} {
		if err := s.lab.WriteRouterKeys(text); err != nil {
			return err
		}
		for i, d := range s.lab.Directors {
			if err := s.reloads(ctx, d, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// reloads has a director read its configuration. The first one of the two is for longer alone with it than a backup waits.
func (s signing) reloads(ctx context.Context, d *lab.Director, number int) error {
	if _, err := s.daemons[d].Reload(ctx); err != nil || number > 0 {
		return err
	}
	return sleep(ctx, 4*s.plain.Advertise)
}

// resigns has each director say once that it is master no more, the better one last: it is master then.
func (s signing) resigns(ctx context.Context) error {
	for range 2 {
		r, err := s.agreed(ctx)
		if err != nil {
			return err
		}
		if _, err := s.daemons[r.master].StepDown(ctx); err != nil {
			return err
		}
		if _, err := s.becomes(ctx, r.backup, "master"); err != nil {
			return err
		}
	}
	return nil
}

// records returns the adverts of IPv4 that came while something happened.
func (e *ear) records(ctx context.Context, happen func(context.Context) error) (frames [][]byte, err error) {
	done := make(chan error, 1)
	go func() { done <- happen(ctx) }()
	for {
		e.hear(time.Now().Add(20*time.Millisecond), func(frame []byte) bool {
			layers, _ := packet.Parse(frame) // what is broken is none
			if ip, ok := packet.Find[packet.IPv4](layers); ok && ip.Protocol == protocolVRRP {
				frames = append(frames, bytes.Clone(frame))
			}
			return true
		})
		select {
		case err := <-done:
			return frames, err
		default:
		}
	}
}

const (
	advertAt      = 14 + 20 // in a frame of IPv4
	trailerLength = 28
)

// isPlagued has everything come that a stranger can say: what the directors have said, changed or not, with the old key
// and the new one, and what is not signed, or with a key of his own.
func (s signing) isPlagued(ctx context.Context, m *faults.Measured, e *ear, r roles, old [][]byte) error {
	recorded, err := e.records(ctx, func(ctx context.Context) error { return sleep(ctx, 5*s.plain.Advertise) })
	if err != nil {
		return err
	}
	if !resigned(old, r.master.Address.IPv4) || len(recorded) == 0 || len(recorded[0]) < advertAt+12+trailerLength {
		return errors.New("the stranger has not heard the master resign, or heard adverts that are not signed")
	}
	before, err := s.discarded(ctx)
	if err != nil {
		return err
	}
	moved, err := s.counted(ctx, func() error {
		random := rand.New(rand.NewPCG(15, 15))
		for range s.forged {
			if err := e.say(s.forge(random, e, r, recorded, old)); err != nil {
				return err
			}
			time.Sleep(200 * time.Microsecond) // whose socket is full loses what is true, too
		}
		return sleep(ctx, 5*s.plain.Advertise)
	})
	note(m, signedMoves, float64(moved), "")
	if err != nil {
		return err
	}
	now, err := s.discarded(ctx)
	note(m, signedUncounted, 0, "")
	for _, reason := range []string{"unsigned", "key", "hmac", "replay", "trailer", "checksum"} {
		of := heard{r.backup, lab.RouterName(lab.IPv4)}
		if now[of][reason] == before[of][reason] {
			m.Figures[signedUncounted]++
		}
	}
	return errors.Join(err, s.areTold(ctx, m, e, r))
}

// areTold wants each director to say in its status who is not believed, and what to do. What was told when he did not
// need a key yet is said for ten seconds before anything else is.
func (s signing) areTold(ctx context.Context, m *faults.Measured, e *ear, r roles) error {
	const patience = 15 * time.Second
	a := master(s.lab.Stranger.Address.IPv4, 255, s.lab.VIP.IPv4)
	for end := time.Now().Add(patience); ; {
		if err := errors.Join(e.shout(a), sleep(ctx, s.plain.Advertise)); err != nil {
			return err
		}
		untold := 0
		for _, d := range []*lab.Director{r.master, r.backup} {
			status, err := s.daemons[d].Status(ctx)
			if err != nil {
				return err
			}
			if !isNamed(status.Problems, a.from) {
				untold++
			}
		}
		if untold == 0 || time.Now().After(end) {
			note(m, signedUntold, float64(untold), "")
			return nil
		}
	}
}

// isNamed says whether a problem says who does not sign, and what to do.
func isNamed(problems []api.Problem, who netip.Addr) bool {
	return slices.ContainsFunc(problems, func(p api.Problem) bool {
		return strings.HasPrefix(p.Why, who.String()+" advertises id 51 and does not sign that") && p.Fix != ""
	})
}

// resigned says whether the last word of priority 0 is among what was heard.
func resigned(frames [][]byte, of netip.Addr) bool {
	for _, frame := range frames {
		if bytes.Equal(frame[14+12:14+16], of.AsSlice()) && frame[advertAt+2] == 0 {
			return true
		}
	}
	return false
}

// forge is a frame with something that nobody is to believe.
func (s signing) forge(random *rand.Rand, e *ear, r roles, recorded, old [][]byte) []byte {
	stranger, vip := s.lab.Stranger.Address.IPv4, s.lab.VIP.IPv4
	names := []netip.Addr{stranger, r.master.Address.IPv4, r.backup.Address.IPv4}
	a := master(names[random.IntN(3)], []uint8{0, 254, 255}[random.IntN(3)], vip)
	switch random.IntN(6) {
	case 0: // not signed
		return a.frame(e.mac, groupMAC)
	case 1: // with a key of his own, under the number of the right one, and under another one
		return sign(a, e.mac, uint8(2+random.IntN(2)))
	case 2: // as it was said with the key that is gone, the master's last word among it
		return old[random.IntN(len(old))]
	case 3: // as it was said a moment ago
		return recorded[random.IntN(len(recorded))]
	}
	frame := bytes.Clone(recorded[random.IntN(len(recorded))]) // the same, changed, with the checksum right or wrong
	bit := random.IntN((len(frame) - advertAt) * 8)
	frame[advertAt+bit/8] ^= 1 << (bit % 8)
	if random.IntN(2) == 0 && len(frame) == advertAt+12+trailerLength {
		resum(frame)
	}
	return frame
}

// resum makes the checksum of an advert of one address right: over IPv4 it does not cover the trailer.
func resum(frame []byte) {
	text := frame[advertAt : advertAt+12]
	text[6], text[7] = 0, 0
	pseudo := append(bytes.Clone(frame[14+12:14+20]), 0, protocolVRRP, 0, byte(len(text)))
	binary.BigEndian.PutUint16(text[6:], packet.Checksum(append(pseudo, text...)))
}

// sign is an advert with a trailer of draft-cassen-vrrp-auth-hmac and a key that nobody else has.
func sign(a advert, from packet.MAC, number uint8) []byte {
	now := time.Now()
	text := a.text()
	behind := binary.BigEndian.AppendUint32([]byte{1, number, 0, 0}, uint32(now.Unix()))
	behind = binary.BigEndian.AppendUint32(behind, uint32(now.Nanosecond()))
	whole := append(append([]byte{4, a.version, a.id, 0}, a.from.AsSlice()...), make([]byte, 12)...)
	whole = append(append(whole, text[:6]...), 0, 0)
	whole = append(append(append(whole, text[8:]...), behind...), make([]byte, 16)...)
	h := hmac.New(sha256.New, []byte("a key that nobody else has, of 32 bytes"))
	h.Write(whole)
	return packet.Build(packet.Ethernet{Source: from, Destination: groupMAC},
		packet.IPv4{Source: a.from, Destination: a.to, TTL: a.ttl, Protocol: protocolVRRP},
		packet.Payload(append(append(text, behind...), h.Sum(nil)[:16]...)))
}

// randomKey is a line with a key, as it stands in the file.
func randomKey(number int) string {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(rand.Uint32())
	}
	return fmt.Sprintf("%d %s\n", number, hex.EncodeToString(key))
}
