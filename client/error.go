// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/json"
	"net/http"

	"github.com/weir-lb/weir/api"
)

// Error is an answer of the daemon that is not what was asked for.
type Error struct {
	Status int    // of HTTP
	Detail string // for people
}

func (e *Error) Error() string { return e.Detail }

// refused reads an error from an answer. What is no RFC 9457 error has its status line at least.
func refused(response *http.Response) *Error {
	out := &Error{Status: response.StatusCode, Detail: "the daemon answers " + response.Status}
	var body api.Error
	if json.NewDecoder(response.Body).Decode(&body) == nil && body.Detail != "" {
		out.Detail = body.Detail
	}
	return out
}
