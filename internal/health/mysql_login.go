// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// The plugins by which we can show that we know a password.
const (
	mysqlNative  = "mysql_native_password"
	mysqlCaching = "caching_sha2_password"
)

// mysqlProof is an answer to a nonce. To a plugin that we cannot, it is one to that which all servers know: they say
// then what they want.
func mysqlProof(plugin, password string, nonce []byte) (proof []byte, by string) {
	if plugin != mysqlCaching {
		plugin = mysqlNative
	}
	if password == "" {
		return nil, plugin
	}
	if plugin == mysqlCaching {
		once := sha256.Sum256([]byte(password))
		twice := sha256.Sum256(once[:])
		salted := sha256.Sum256(append(twice[:], nonce...))
		subtle.XORBytes(salted[:], salted[:], once[:])
		return salted[:], plugin
	}
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	salted := sha1.Sum(append(bytes.Clone(nonce), twice[:]...))
	subtle.XORBytes(salted[:], salted[:], once[:])
	return salted[:], plugin
}

// maxLogin is how often a server may ask for more.
const maxLogin = 8

// authenticate answers what the server asks behind the login.
func (s *mysqlSession) authenticate(plugin string, nonce []byte) error {
	for range maxLogin {
		packet, err := s.read()
		if err != nil {
			return err
		}
		switch what, _ := packet.byte(); what {
		case mysqlOK:
			return nil
		case mysqlSwitch:
			plugin, nonce, err = s.change(packet)
		case mysqlMoreData:
			err = s.prove(plugin, nonce, packet)
		default:
			err = errMySQLAnswer
		}
		if err != nil {
			return err
		}
	}
	return errors.New("mysql: there is no end of the login")
}

// change goes on with another plugin (Protocol::AuthSwitchRequest).
func (s *mysqlSession) change(packet mysqlPacket) (string, []byte, error) {
	wanted := packet.word()
	if wanted != mysqlNative && wanted != mysqlCaching {
		return "", nil, fmt.Errorf("mysql: the server wants %s, which we cannot", shown(wanted))
	}
	nonce := bytes.TrimSuffix(packet, []byte{0})
	proof, plugin := mysqlProof(wanted, s.password, nonce)
	return plugin, nonce, s.write("the login", proof)
}

// prove is for a caching_sha2_password that the server does not have in its cache: the password itself is wanted,
// over TLS as it is, and otherwise encrypted for the server.
func (s *mysqlSession) prove(plugin string, nonce []byte, packet mysqlPacket) error {
	const known, wanted, keyPlease = 0x03, 0x04, 0x02
	what, _ := packet.byte()
	switch {
	case plugin != mysqlCaching || what != known && what != wanted:
		return errMySQLAnswer
	case what == known:
		return nil // OK comes next
	case s.secure:
		return s.write("the login", []byte(s.password+"\x00"))
	}
	if err := s.write("the login", []byte{keyPlease}); err != nil {
		return err
	}
	key, err := s.read()
	if err != nil {
		return err
	}
	secret, err := mysqlEncrypted(key[1:], s.password, nonce)
	if err != nil {
		return err
	}
	return s.write("the login", secret)
}

// mostRSA is how long a key may be, in bytes: time to encrypt grows with it. crypto/tls has the same bound.
const mostRSA = 1024

// mysqlEncrypted is a password that the owner of a key can read, and only for this nonce.
func mysqlEncrypted(key []byte, password string, nonce []byte) ([]byte, error) {
	block, _ := pem.Decode(key)
	if block == nil || len(nonce) == 0 {
		return nil, errMySQLAnswer
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	public, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("mysql: the server's key is none of RSA")
	}
	if public.Size() > mostRSA {
		return nil, fmt.Errorf("mysql: the server's key has %d bits, more than %d", public.N.BitLen(), mostRSA*8)
	}
	plain := []byte(password + "\x00")
	for i := range plain {
		plain[i] ^= nonce[i%len(nonce)]
	}
	out, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, plain, nil)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	return out, nil
}
