// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"math/rand/v2"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// session runs a machine. It belongs to the speaker.
type session struct {
	want    model.BFDWant
	machine *machine
	mouth   *mouth // nil: there is none
	tally   *tally
	news    *news
	told    model.BFDSeen // last
}

func newSession(now time.Time, want model.BFDWant, discriminator uint32, n *news) *session {
	return &session{want: want, machine: newMachine(now, want.BFDSession, discriminator, rand.Float64), tally: &tally{}, news: n}
}

// is says whether what is wanted is this session.
func (s *session) is(want model.BFDWant) bool {
	return s.want.Name == want.Name && s.want.Interface == want.Interface && s.want.Peer == want.Peer
}

// isFor says whether packets from there are of its peer.
func (s *session) isFor(link int, source model.Addr) bool {
	return s.want.Link == link && s.want.Peer == source
}

// settle makes it as it is wanted; deaf is why nothing can be heard.
func (s *session) settle(now time.Time, want model.BFDWant, deaf string) {
	if s.mouth != nil && (want.Fault != "" || s.mouth.from != want.Source || s.mouth.link != want.Link) {
		s.hangUp()
	}
	s.want = want
	s.do(s.machine.become(now, want.BFDSession, s.hindrance(deaf)))
}

// hindrance is why it cannot run; "": it can, and has a socket.
func (s *session) hindrance(deaf string) string {
	switch {
	case s.want.Fault != "":
		return s.want.Fault
	case deaf != "":
		return deaf
	case s.mouth != nil:
		return ""
	}
	var err error
	if s.mouth, err = open(s.want); err != nil {
		return err.Error()
	}
	return ""
}

// isStuck says whether it waits for a socket, which is tried again.
func (s *session) isStuck() bool { return s.want.Fault == "" && s.machine.fault != "" }

func (s *session) hear(now time.Time, c control) Reason {
	out, why := s.machine.hear(now, c)
	s.do(out)
	return why
}

func (s *session) tick(now time.Time) { s.do(s.machine.tick(now)) }

func (s *session) end(now time.Time, most time.Duration) {
	s.do(s.machine.end(now, most))
}

// do sends, and tells what has changed. Of what ends nothing is told any more: its name may be another's by now.
func (s *session) do(out []control) {
	for _, c := range out {
		s.say(c)
	}
	if s.told != s.machine.seen && s.machine.seen.State != model.BFDAdminDown {
		s.told = s.machine.seen
		s.news.add(Change{s.want.Name, s.told})
	}
}

func (s *session) say(c control) {
	err := s.mouth.say(c)
	if err != nil {
		s.tally.unsent.Add(1)
		s.machine.silence(err.Error())
		return
	}
	s.tally.sent.Add(1)
	s.machine.silence("")
}

func (s *session) hangUp() {
	if s.mouth != nil {
		s.mouth.close()
		s.mouth = nil
	}
}
