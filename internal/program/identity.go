// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is who a program runs as.
type identity struct {
	uid        uint32
	credential *syscall.Credential // nil: as weir does
}

// identityOf refuses a user that this process may not become: to run as somebody else than meant is no way out.
func identityOf(name string) (identity, error) {
	own := identity{uid: uint32(os.Geteuid())}
	if name == "" {
		return own, nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return own, fmt.Errorf("user %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return own, fmt.Errorf("user %s: %w", name, err)
	}
	switch {
	case uint32(uid) == own.uid:
		return own, nil
	case !mayChangeUser():
		return own, fmt.Errorf("user %s: this process may not change to it: give it CAP_SETUID and CAP_SETGID, or leave the user out", name)
	}
	return withGroups(found, uint32(uid))
}

func withGroups(of *user.User, uid uint32) (identity, error) {
	gid, err := strconv.ParseUint(of.Gid, 10, 32)
	if err != nil {
		return identity{}, fmt.Errorf("user %s: %w", of.Username, err)
	}
	ids, err := of.GroupIds()
	if err != nil {
		return identity{}, fmt.Errorf("groups of user %s: %w", of.Username, err)
	}
	credential := &syscall.Credential{Uid: uid, Gid: uint32(gid)}
	for _, id := range ids {
		if id, err := strconv.ParseUint(id, 10, 32); err == nil {
			credential.Groups = append(credential.Groups, uint32(id))
		}
	}
	return identity{uid, credential}, nil
}

// mayChangeUser asks for what the kernel will ask for (capabilities(7)).
func mayChangeUser() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if unix.Capget(&header, &sets[0]) != nil {
		return false
	}
	const needed = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return sets[0].Effective&needed == needed
}
