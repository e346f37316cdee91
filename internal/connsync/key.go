// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/weir-lb/weir/internal/trust"
)

// Keys are what directors have in common: all of them open, the first one seals. To change the key, write the new
// one as the second on each director, then exchange the two on each, then take the old one away.
type Keys []Key

// Key is one of them. It prints as its id, never as itself.
type Key struct {
	secret *secret // a pointer, so that nothing that prints a struct around it prints the key
}

type secret struct {
	id   keyID
	aead cipher.AEAD
}

// keyID says which key a datagram is sealed with, and nothing about the key.
type keyID [4]byte

const (
	keySize  = chacha20poly1305.KeySize
	mostKeys = 2
)

func (k Key) String() string   { return "key " + hex.EncodeToString(k.secret.id[:]) }
func (k Key) GoString() string { return k.String() }

// with is the key of an id; nil: there is none.
func (k Keys) with(id keyID) *secret {
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

const keyFix = "write 32 random bytes in base64 or hex: `head -c 32 /dev/urandom | base64` makes them"

// ParseKeys reads a key a line. Lines that are empty, or begin with #, are none. An error never tells the key.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseKey(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		case keys.with(key.secret.id) != nil:
			return nil, fmt.Errorf("line %d: the same key again: take it away", i+1)
		case len(keys) == mostKeys:
			return nil, fmt.Errorf("line %d: more than %d keys: take away what no director seals with any more", i+1, mostKeys)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key in it: %s", keyFix)
	}
	return keys, nil
}

func parseKey(line string) (Key, error) {
	raw, err := hex.DecodeString(line)
	if err != nil {
		raw, err = base64.StdEncoding.DecodeString(line)
	}
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("this is no key: %s", keyFix)
	case len(raw) != keySize:
		return Key{}, fmt.Errorf("a key of %d bytes: %s", len(raw), keyFix)
	case bytes.Count(raw, raw[:1]) == keySize:
		return Key{}, fmt.Errorf("a key of which all bytes are the same: %s", keyFix)
	}
	return makeKey(raw)
}

func makeKey(raw []byte) (Key, error) {
	aead, err := chacha20poly1305.NewX(raw)
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(append([]byte("weir connection sync, id of a key: "), raw...))
	return Key{&secret{id: keyID(sum[:4]), aead: aead}}, nil
}
