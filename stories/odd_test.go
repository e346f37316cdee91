// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"net/netip"
	"strconv"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// odd sends a datagram to a UDP echo, with something between the IP header and UDP's that most packets
// do not have.
func odd(ctx context.Context, s *stage, args []string) (string, error) {
	args, wait, err := waiting(args)
	if err != nil {
		return "", err
	}
	if err := exactly(args, "ADDRESS", "N"); err != nil {
		return "", err
	}
	to, err := target(args[0])
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return "", misuse(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := s.bound(ctx, to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	from, _ := ends(conn)
	question := lab.Question(1000)
	layers := append(oddHeaders(from, to, n), packet.UDP{Source: from.Port(), Destination: to.Port()}, packet.Payload(question))
	if err := sendRaw(&s.lab.Client.Node, to.Addr(), [][]byte{packet.Build(layers...)}); err != nil {
		return "", err
	}
	answer, err := lab.ReadReply(ctx, conn, question)
	return answer.String(), err
}

func oddHeaders(from, to netip.AddrPort, n int) []packet.Layer {
	if to.Addr().Is4() {
		recordRoute := make([]byte, 4*n) // RFC 791 section 3.1; room for n-1 addresses, and the end of options
		copy(recordRoute, []byte{7, byte(4*n - 1), 4})
		return []packet.Layer{packet.IPv4{Source: from.Addr(), Destination: to.Addr(), TTL: 64, Options: recordRoute}}
	}
	layers := []packet.Layer{packet.IPv6{Source: from.Addr(), Destination: to.Addr(), HopLimit: 64}}
	kind := packet.ProtocolHopByHop
	for range n {
		layers = append(layers, packet.Extension{Kind: kind, Body: []byte{1, 4, 0, 0, 0, 0}}) // PadN, RFC 8200 section 4.2
		kind = packet.ProtocolDstOptions
	}
	return layers
}
