// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Keys is the form of a file with keys, each on a line of its own. Lines that are empty, or begin with #, are none. An
// error never tells a key.
type Keys struct {
	Least, Most int // bytes of a key
}

// Parse has add called with each line that is a key's.
func (k Keys) Parse(text string, add func(line string) error) error {
	found := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := add(line); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("there is no key in it: %s", k.fix())
	}
	return nil
}

// Key is what is written in hex or base64.
func (k Keys) Key(text string) ([]byte, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		raw, err = base64.StdEncoding.DecodeString(text)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("this is no key: %s", k.fix())
	case len(raw) < k.Least || len(raw) > k.Most:
		return nil, fmt.Errorf("a key of %d bytes: %s", len(raw), k.fix())
	case bytes.Count(raw, raw[:1]) == len(raw):
		return nil, fmt.Errorf("a key of which all bytes are the same: %s", k.fix())
	}
	return raw, nil
}

func (k Keys) fix() string {
	size := fmt.Sprint(k.Least)
	if k.Most > k.Least {
		size = fmt.Sprintf("%d to %d", k.Least, k.Most)
	}
	return fmt.Sprintf("write %s random bytes in base64 or hex: `head -c %d /dev/urandom | base64` makes them", size, k.Least)
}
