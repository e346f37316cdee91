// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/weir-lb/weir/api"
)

// refuse makes the mux's own refusals (no such path, no such method) errors as RFC 9457 has them,
// like all others of the API.
func refuse(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &refusal{ResponseWriter: w, request: r}
		}
		mux.ServeHTTP(w, r)
	})
}

// refusal writes an error in the place of whatever a handler writes.
type refusal struct {
	http.ResponseWriter
	request *http.Request
}

func (r *refusal) WriteHeader(status int) {
	r.Header().Set("Content-Type", "application/problem+json")
	r.ResponseWriter.WriteHeader(status)
	// Whoever has gone does not miss it.
	_ = json.NewEncoder(r.ResponseWriter).Encode(api.Error{
		Title:  http.StatusText(status),
		Status: status,
		Detail: fmt.Sprintf("there is no %s %s; /openapi.json lists what there is", r.request.Method, r.request.URL.Path),
	})
}

func (r *refusal) Write(text []byte) (int, error) { return len(text), nil }
