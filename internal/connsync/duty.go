// SPDX-License-Identifier: Apache-2.0

package connsync

import "github.com/weir-lb/weir/internal/model"

// Duty is what a director serves: it tells of these connections, and is told nothing of them. Of all others it is told.
type Duty struct {
	Role   Role
	Serves func(model.Identity) bool // asked if the role is RoleSome
}

func (d Duty) has(id model.Identity) bool {
	return d.Role == RoleAll || d.Role == RoleSome && d.Serves != nil && d.Serves(id)
}
