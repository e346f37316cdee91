// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// lockMemory keeps the pages of this process, once they are used, from being taken away, its program's too: where a host
// is short of memory and its disk is busy, an advert would wait for one. Where there is a limit nothing is locked, since
// what is asked for beyond it would be refused later.
func lockMemory() error {
	limit, err := memoryLimit()
	if err != nil {
		return err
	}
	if limit != unix.RLIM_INFINITY {
		return fmt.Errorf("no more than %d bytes may be locked: LimitMEMLOCK=infinity in its unit lets it", limit)
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("lock memory: %w", err)
	}
	return nil
}

// memoryLimit is how many bytes may be locked. To who has CAP_IPC_LOCK the limit is none (mlock(2)).
func memoryLimit() (uint64, error) {
	header, have := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&header, &have[0]); err != nil {
		return 0, fmt.Errorf("capabilities: %w", err)
	}
	if have[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0 {
		return unix.RLIM_INFINITY, nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return 0, fmt.Errorf("limit of locked memory: %w", err)
	}
	return limit.Cur, nil
}
