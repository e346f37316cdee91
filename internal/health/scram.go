// SPDX-License-Identifier: Apache-2.0

package health

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/secure/precis"
)

// scramSHA256 is the mechanism of RFC 7677.
const scramSHA256 = "SCRAM-SHA-256"

// maxScramRounds bounds what a server can make us compute: some 10 ms. PostgreSQL asks for 4096.
const maxScramRounds = 100_000

// scram is the client's side of RFC 5802, without channel binding. The name of the user is left empty: PostgreSQL
// knows it already, and takes none from here.
type scram struct {
	password string
	nonce    string
	expected []byte // ServerSignature
}

// The first message of RFC 5802 section 7: "n,," says that there is no channel binding.
const (
	scramHeader = "n,,"
	scramBare   = "n=,r="
)

// newScram prepares the password as PostgreSQL does: what SASLprep (RFC 4013) does not allow is taken as it is.
func newScram(password string) *scram {
	if prepared, err := precis.OpaqueString.String(password); err == nil {
		password = prepared
	}
	return &scram{password: password, nonce: rand.Text()}
}

func (s *scram) first() string { return scramHeader + scramBare + s.nonce }

// final answers the server's first message (RFC 5802 section 3).
func (s *scram) final(challenge string) (string, error) { return s.finalAs(scramBare, challenge) }

// finalAs is for somebody with a name.
func (s *scram) finalAs(bare, challenge string) (string, error) {
	nonce, salt, rounds, err := parseChallenge(challenge)
	switch {
	case err != nil:
		return "", err
	case !strings.HasPrefix(nonce, s.nonce) || nonce == s.nonce:
		return "", errors.New("scram: the server's nonce is not ours and more")
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, salt, rounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("scram: %w", err)
	}
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(scramHeader)) + ",r=" + nonce
	said := bare + s.nonce + "," + challenge + "," + without // AuthMessage
	clientKey := signedBy(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	proof := make([]byte, len(clientKey))
	subtle.XORBytes(proof, clientKey, signedBy(storedKey[:], said))
	s.expected = signedBy(signedBy(salted, "Server Key"), said)
	return without + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// believes tells whether the server's last message shows that it knows the password.
func (s *scram) believes(verdict string) bool {
	text, ok := strings.CutPrefix(verdict, "v=")
	signature, err := base64.StdEncoding.DecodeString(text)
	return ok && err == nil && s.expected != nil && hmac.Equal(signature, s.expected)
}

func signedBy(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// parseChallenge reads r=NONCE,s=SALT,i=ROUNDS.
func parseChallenge(text string) (nonce string, salt []byte, rounds int, err error) {
	parts := strings.Split(text, ",")
	bad := errors.New("scram: the server's challenge cannot be read")
	if len(parts) < 3 || !strings.HasPrefix(parts[0], "r=") || !strings.HasPrefix(parts[1], "s=") || !strings.HasPrefix(parts[2], "i=") {
		return "", nil, 0, bad
	}
	if salt, err = base64.StdEncoding.DecodeString(parts[1][2:]); err != nil {
		return "", nil, 0, bad
	}
	if rounds, err = strconv.Atoi(parts[2][2:]); err != nil || rounds < 1 {
		return "", nil, 0, bad
	}
	if rounds > maxScramRounds {
		return "", nil, 0, fmt.Errorf("scram: the server wants %d rounds, more than %d", rounds, maxScramRounds)
	}
	return parts[0][2:], salt, rounds, nil
}
