// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime/debug"
)

// release is the version of a released binary: go build -ldflags "-X main.release=1.2.3".
var release string

// build says which version this is, and of which commit, as far as the binary knows.
func build() (version, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return orUnknown(release), ""
	}
	dirty := ""
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			commit = setting.Value
		case "vcs.modified":
			if setting.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	if commit != "" {
		commit += dirty
	}
	if release != "" {
		return release, commit
	}
	return orUnknown(info.Main.Version), commit
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}
