// SPDX-License-Identifier: Apache-2.0

package api

// Reloaded answers POST /v1/reload when the daemon's file was taken. One that was refused is
// answered with status 422 and its complaints as the detail of an Error; nothing has changed then.
type Reloaded struct {
	Revision uint64 `json:"revision" doc:"Revision of the configuration that is wanted now."`
}

// Error is an answer that is not what was asked for, as RFC 9457 has it
// (application/problem+json).
type Error struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}
