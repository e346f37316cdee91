// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-lb/weir/internal/trust"
)

// Keys are what the directors of a virtual router have in common: adverts that are signed with any of them are
// believed, the first one signs. To change the key, write the new one as the second on each director, then exchange
// the two on each, then take the old one away.
type Keys []Key

// Key is one of them. It prints as its id, never as itself.
type Key struct {
	secret *secret // a pointer, so that nothing that prints a struct around it prints the key
}

type secret struct {
	id  uint8 // on the wire, 1..255
	key []byte
}

// What the draft has of keys: the least leave 128 bits to who searches with a quantum computer.
const (
	leastKey = 32
	mostKey  = 64
	mostKeys = 4
)

func keyForm() trust.Keys { return trust.Keys{Least: leastKey, Most: mostKey} }

func (k Key) String() string   { return "key " + strconv.Itoa(int(k.secret.id)) }
func (k Key) GoString() string { return k.String() }

// Equal says whether both are the same keys in the same order.
func (k Keys) Equal(other Keys) bool {
	return slices.EqualFunc(k, other, func(a, b Key) bool { return a.secret.id == b.secret.id && bytes.Equal(a.secret.key, b.secret.key) })
}

// with is the key of an id; nil: there is none.
func (k Keys) with(id uint8) *secret {
	for _, each := range k {
		if each.secret.id == id {
			return each.secret
		}
	}
	return nil
}

// LoadKeys reads a file with keys, which nobody can read but its owner.
func LoadKeys(path string) (Keys, error) {
	text, err := trust.Secret(path)
	if err != nil {
		return nil, err
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// ParseKeys reads a key a line: base64 or hex, behind its id where others know it by one. An error never tells the key.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	err := keyForm().Parse(text, func(line string) error {
		key, err := parseKey(line)
		if err != nil {
			return err
		}
		if err := keys.unfit(key); err != nil {
			return err
		}
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// unfit is why one is not to be another one of them.
func (k Keys) unfit(key Key) error {
	if slices.ContainsFunc(k, func(before Key) bool { return bytes.Equal(before.secret.key, key.secret.key) }) {
		return fmt.Errorf("the same key again: take it away")
	}
	if k.with(key.secret.id) != nil {
		return fmt.Errorf("a second key with the id %d: write another id from 1 to 255 before it, the same on each director", key.secret.id)
	}
	if len(k) == mostKeys {
		return fmt.Errorf("more than %d keys: take away what no director signs with any more", mostKeys)
	}
	return nil
}

func parseKey(line string) (Key, error) {
	id, text := 0, line
	if words := strings.Fields(line); len(words) == 2 {
		var err error
		if id, err = strconv.Atoi(words[0]); err != nil || id < 1 || id > 255 {
			return Key{}, fmt.Errorf("an id that is not from 1 to 255: write it before the key, or leave it out")
		}
		text = words[1]
	}
	text = strings.TrimPrefix(text, "hex:") // as keepalived has it
	raw, err := keyForm().Key(text)
	if err != nil {
		return Key{}, err
	}
	if id == 0 {
		id = idOf(raw)
	}
	return Key{&secret{uint8(id), raw}}, nil
}

// idOf is the id of a key that has none written: all directors find the same one. It says nothing about the key.
func idOf(raw []byte) int {
	sum := sha256.Sum256(append([]byte("weir VRRP, id of a key: "), raw...))
	return int(sum[0])%255 + 1
}
