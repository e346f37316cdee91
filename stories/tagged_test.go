// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"net/netip"
	"strconv"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// tagged sends a datagram to a UDP echo in a frame with an 802.1Q tag, as if the router had put it
// there, and waits at the client for the answer.
func tagged(ctx context.Context, s *stage, args []string) (string, error) {
	args, wait, err := waiting(args)
	if err != nil {
		return "", err
	}
	if err := exactly(args, "VLAN", "ADDRESS"); err != nil {
		return "", err
	}
	vlan, err := strconv.ParseUint(args[0], 10, 12)
	if err != nil {
		return "", misuse(err.Error())
	}
	to, err := target(args[1])
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	answer, err := s.askTagged(ctx, uint16(vlan), to)
	return answer.String(), err
}

func (s *stage) askTagged(ctx context.Context, vlan uint16, to netip.AddrPort) (lab.Answer, error) {
	conn, err := s.bound(ctx, to)
	if err != nil {
		return lab.Answer{}, err
	}
	defer conn.Close()
	from, _ := ends(conn)
	question := lab.Question(1000)
	link := packet.Ethernet{Type: packet.EtherTypeVLAN}
	if link.Source, err = mac(s.lab.Router, lab.SecondLink); err != nil {
		return lab.Answer{}, err
	}
	if link.Destination, err = mac(&s.director().Node, lab.FirstLink); err != nil {
		return lab.Answer{}, err
	}
	const priority = 5
	frame := packet.Build(link, packet.VLAN{ID: vlan, Priority: priority}, header(from, to, packet.Fragment{}, false),
		packet.UDP{Source: from.Port(), Destination: to.Port()}, packet.Payload(question))
	if err := sendFrame(s.lab.Router, lab.SecondLink, frame); err != nil {
		return lab.Answer{}, err
	}
	return lab.ReadReply(ctx, conn, question)
}
