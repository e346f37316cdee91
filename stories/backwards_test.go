// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// backwards sends datagrams whose fragments leave in reverse order, each after the one before has
// come. All of them belong to one connection. It prints how many came through, by which server.
func backwards(ctx context.Context, s *stage, args []string) (string, error) {
	return choose(ctx, s, args, map[string]word{
		"ask":    reversing(askBackwards),
		"answer": reversing(answerBackwards),
	})
}

// reversing says one thing some times over one socket, and counts the servers.
func reversing(one func(ctx context.Context, s *stage, conn net.Conn, text []byte) (string, error)) word {
	return func(ctx context.Context, s *stage, args []string) (string, error) {
		if err := exactly(args, "ADDRESS", "SIZE", "TIMES"); err != nil {
			return "", err
		}
		to, err := target(args[0])
		if err != nil {
			return "", err
		}
		size, e1 := strconv.Atoi(args[1])
		times, e2 := strconv.Atoi(args[2])
		if e1 != nil || e2 != nil {
			return "", misuse("SIZE and TIMES are numbers")
		}
		conn, err := s.bound(ctx, to)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()
		servers := map[string]int{}
		for i := range times {
			server, err := one(ctx, s, conn, lab.Question(size))
			if err != nil {
				return countText(servers), fmt.Errorf("datagram %d of %d: %w", i+1, times, err)
			}
			servers[server]++
		}
		return countText(servers), nil
	}
}

// askBackwards has the client send the fragments.
func askBackwards(ctx context.Context, s *stage, conn net.Conn, question []byte) (string, error) {
	from, to := ends(conn)
	if err := s.sendBackwards(&s.lab.Client.Node, from, to, question); err != nil {
		return "", err
	}
	answer, err := lab.ReadReply(ctx, conn, question)
	return answer.Server, err
}

// answerBackwards has the server send them, to a client that asked for something short, and whose
// socket takes nothing but what comes from the service.
func answerBackwards(ctx context.Context, s *stage, conn net.Conn, text []byte) (string, error) {
	if _, err := conn.Write([]byte("who?")); err != nil {
		return "", err
	}
	answer, err := lab.ReadReply(ctx, conn, []byte("who?"))
	if err != nil {
		return "", err
	}
	server, err := s.host(answer.Server)
	if err != nil {
		return "", err
	}
	client, service := ends(conn)
	if err := s.sendBackwards(server, netip.AddrPortFrom(answer.Local, service.Port()), client, text); err != nil {
		return "", err
	}
	got := make([]byte, len(text)+1)
	n, err := conn.Read(got)
	if err == nil && !bytes.Equal(got[:n], text) {
		err = fmt.Errorf("%d bytes came, not the %d that were sent", n, len(text))
	}
	return answer.Server, err
}

func (s *stage) sendBackwards(host *lab.Node, from, to netip.AddrPort, text []byte) error {
	s.fragmented++
	pieces := fragments(from, to, s.fragmented, text)
	slices.Reverse(pieces)
	return sendRaw(host, to.Addr(), pieces)
}

func countText(servers map[string]int) string {
	var text strings.Builder
	for _, server := range slices.Sorted(maps.Keys(servers)) {
		fmt.Fprintf(&text, "%s %d\n", server, servers[server])
	}
	return text.String()
}

// fragmentSize is a multiple of 8 that fits with all headers into every link and tunnel of a lab.
const fragmentSize = 1280

// fragments are the pieces of a datagram as IP packets, the first one first.
func fragments(from, to netip.AddrPort, id uint32, text []byte) [][]byte {
	datagram := packet.Build(header(from, to, packet.Fragment{}, false), packet.UDP{Source: from.Port(), Destination: to.Port()}, packet.Payload(text))
	datagram = datagram[len(datagram)-len(text)-8:] // from the UDP header on, with its checksum
	var out [][]byte
	for at := 0; at < len(datagram); at += fragmentSize {
		end := min(at+fragmentSize, len(datagram))
		part := packet.Fragment{Offset: uint16(at / 8), ID: id}
		if end < len(datagram) {
			part.Flags = packet.MoreFragments
		}
		out = append(out, piece(from, to, part, datagram[at:end]))
	}
	return out
}

func piece(from, to netip.AddrPort, part packet.Fragment, body []byte) []byte {
	if to.Addr().Is4() {
		return packet.Build(header(from, to, part, true), packet.Payload(body))
	}
	part.Next = packet.ProtocolUDP
	return packet.Build(header(from, to, part, true), part, packet.Payload(body))
}
