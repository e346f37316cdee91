// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// transfer sends bytes to the TCP echo of a server while they come back, and says how long it took.
// That is for people: how long it may take is nothing that a busy machine can tell.
func transfer(ctx context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "ADDRESS", "SIZE"); err != nil {
		return "", err
	}
	to, err := target(args[0])
	if err != nil {
		return "", err
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return "", misuse(err.Error())
	}
	began := time.Now()
	conn, err := s.lab.Client.Dial(ctx, "tcp", s.lab.Client.Address.In(family(to)), to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := thereAndBack(ctx, conn, lab.Question(size)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes there and back in %d ms\n", size, time.Since(began).Milliseconds()), nil
}

func thereAndBack(ctx context.Context, conn net.Conn, text []byte) error {
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()
	written := make(chan error, 1)
	go func() { // ends when all is written, or with the connection
		_, err := conn.Write(text)
		written <- err
	}()
	back := make([]byte, len(text))
	n, err := io.ReadFull(conn, back)
	if err != nil {
		return fmt.Errorf("%d of %d bytes came back: %w", n, len(text), errors.Join(err, context.Cause(ctx)))
	}
	if !bytes.Equal(back, text) {
		return errors.New("other bytes came back")
	}
	return <-written
}
