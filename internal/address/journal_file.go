// SPDX-License-Identifier: Apache-2.0

package address

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// journalVersion is the format of the file. A version that does not know it refuses the file.
const journalVersion = 1

// newSuffix is of a file that is about to replace the one without.
const newSuffix = ".new"

// journalFile is the journal on the disk.
type journalFile struct {
	Version int      `json:"version"`
	Boot    string   `json:"boot"` // the kernel's boot id
	Changes []change `json:"changes"`
}

// readChanges reads the file at path. None of the changes outlives the kernel that they were made
// in, so a file of an earlier boot says nothing about this one.
func readChanges(path string) ([]change, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := parseJournal(raw)
	if err != nil {
		return nil, fmt.Errorf("%w (it lists what weir changed on this host and must put back: "+
			"mend the file, or put the host back by hand or by a reboot and remove the file)", err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	if file.Boot != boot {
		return nil, nil
	}
	return file.Changes, nil
}

func parseJournal(raw []byte) (journalFile, error) {
	var file journalFile
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return journalFile{}, fmt.Errorf("not a journal: %w", err)
	}
	if decoder.More() {
		return journalFile{}, errors.New("not a journal: it goes on after its end")
	}
	if file.Version != journalVersion {
		return journalFile{}, fmt.Errorf("journal of version %d, this weir knows %d", file.Version, journalVersion)
	}
	return file, nil
}

// writeChanges replaces the file at path in one step, and returns once it is on the disk.
func writeChanges(path string, changes []change) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(journalFile{journalVersion, boot, changes}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := writeDurably(path+newSuffix, append(raw, '\n')); err != nil {
		return err
	}
	if err := os.Rename(path+newSuffix, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// removeChanges removes the file, and its successor if a crash left one half written.
func removeChanges(path string) error {
	for _, name := range []string{path + newSuffix, path} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func writeDurably(path string, raw []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(raw)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func bootID() (string, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(raw)), err
}
