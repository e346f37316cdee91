// SPDX-License-Identifier: Apache-2.0

package address

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Sysctl reads a kernel setting. The path has slashes, as below /proc/sys, because the dots of
// "net.ipv4.conf.eth0.100.forwarding" do not say where the name of the interface ends.
func Sysctl(path string) (string, error) {
	raw, err := os.ReadFile(sysctlFile(path))
	if err != nil {
		return "", fmt.Errorf("sysctl: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// writeSysctl never creates a file, whatever is mounted there.
func writeSysctl(path, value string) error {
	file, err := os.OpenFile(sysctlFile(path), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("sysctl: %w", err)
	}
	defer file.Close()
	if _, err := file.WriteString(value + "\n"); err != nil {
		return fmt.Errorf("sysctl: set %s to %q: %w", path, value, err)
	}
	return nil
}

func sysctlFile(path string) string { return filepath.Join("/proc/sys", path) }
