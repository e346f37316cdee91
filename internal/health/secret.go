// SPDX-License-Identifier: Apache-2.0

package health

import (
	"github.com/weir-lb/weir/internal/trust"
)

// secretIn reads a password each time that it is needed, since it may be replaced while we run. Without a path it
// is empty.
func secretIn(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	secret, err := trust.Secret(path)
	if err != nil {
		return "", ownFault{err}
	}
	return secret, nil
}
