// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

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

const mostKeys = 2

func keyForm() trust.Keys {
	return trust.Keys{Least: chacha20poly1305.KeySize, Most: chacha20poly1305.KeySize}
}

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

// ParseKeys reads a key a line. An error never tells the key.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	err := keyForm().Parse(text, func(line string) error {
		key, err := parseKey(line)
		switch {
		case err != nil:
			return err
		case keys.with(key.secret.id) != nil:
			return fmt.Errorf("the same key again: take it away")
		case len(keys) == mostKeys:
			return fmt.Errorf("more than %d keys: take away what no director seals with any more", mostKeys)
		}
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

func parseKey(line string) (Key, error) {
	raw, err := keyForm().Key(line)
	if err != nil {
		return Key{}, err
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
