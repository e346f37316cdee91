// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// probeRedis wants PONG. A server that loads its data, or has lost its master, answers with an error instead.
func probeRedis(ask model.AskRedis) (probe, error) {
	return conversation(func(t *talk) error {
		if ask.Password != "" {
			if err := t.command("+OK", "AUTH", ask.Password); err != nil {
				return err
			}
		}
		return t.command("+PONG", "PING")
	}), nil
}

// command sends words as an array of bulk strings, which may have any bytes in them, and wants a simple string
// (RESP2: redis.io/docs/latest/develop/reference/protocol-spec).
func (t *talk) command(want string, words ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if err := t.say(words[0], b.String()); err != nil {
		return err
	}
	line, err := t.line()
	switch {
	case err != nil:
		return err
	case line == want:
		return nil
	case strings.HasPrefix(line, "-"):
		return fmt.Errorf("redis: %s", shown(line))
	}
	return fmt.Errorf("redis: %s, expected %s", shown(line), want)
}
