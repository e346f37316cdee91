// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
)

// SyncPort is where directors tell each other of their connections, over UDP.
const SyncPort = 8849

// ConnectionSync is what a director's configuration has behind the services, for the directors to tell each other of
// their connections.
func (l *Lab) ConnectionSync(d *Director) string {
	return fmt.Sprintf("sync: {interface: %s, peers: [%s], key_file: %q}\n", FirstLink, l.peers(d, IPv4), l.syncKey())
}

// syncKey is the file with the key of all directors. They have one user, too.
func (l *Lab) syncKey() string { return filepath.Join(l.room.dir, "sync.key") }

func (l *Lab) makeSyncKey() error {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	text := base64.StdEncoding.EncodeToString(key) + "\n"
	if err := os.WriteFile(l.syncKey(), []byte(text), 0o600); err != nil || l.confined == nil {
		return err
	}
	return l.confined.own(l.syncKey())
}
