// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// identification is our side of RFC 4253 section 4.2. Both sides begin at once, and some servers wait for it.
const identification = "SSH-2.0-weir"

// probeSSH wants the server's identification.
func probeSSH(model.AskSSH) (probe, error) {
	return conversation(func(t *talk) error {
		if err := t.say(identification, identification+"\r\n"); err != nil {
			return err
		}
		return t.identified()
	}), nil
}

// identified reads as far as the identification. There may be lines before it (RFC 4253 section 4.2), and in
// these a server says why it does not go on: "Exceeded MaxStartups".
func (t *talk) identified() error {
	first := ""
	for {
		line, err := t.line()
		switch {
		case err != nil:
			return unidentified(err, first)
		case strings.HasPrefix(line, "SSH-2.0-"), strings.HasPrefix(line, "SSH-1.99-"): // RFC 4253 section 5.1
			return nil
		case strings.HasPrefix(line, "SSH-"):
			return fmt.Errorf("ssh: %s, expected SSH-2.0", shown(line))
		case first == "":
			first = line
		}
	}
}

func unidentified(err error, first string) error {
	switch {
	case first == "":
		return err
	case errors.Is(err, errSilent):
		return fmt.Errorf("%w, only %s", err, shown(first))
	}
	return fmt.Errorf("ssh: %s", shown(first))
}
