// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/vrrp"
)

// routerKey is where the key of virtual routers may be.
const routerKey = "/etc/weir/vrrp.key"

// routerAuth is how adverts are signed: not at all where the key is left out.
func (s scope) routerAuth(n *yaml.Node) (out model.VRRPAuth) {
	if n == nil {
		return out
	}
	s = s.in("auth")
	values := s.mapping(n, "it", authKeys)
	if values == nil {
		return out
	}
	if mode := values["mode"]; mode != nil {
		word, _ := s.word(mode, "mode", authModes)
		out.Mode, _ = model.ParseVRRPAuthMode(word)
	}
	if file := values["key_file"]; file != nil {
		out.KeyFile = s.keyFile(file, func(path string) error { _, err := vrrp.LoadKeys(path); return err })
		return out
	}
	s.complain(n, mistake{"no key_file", fmt.Sprintf("write \"{key_file: %s}\"; ", routerKey) + makeKey(routerKey)})
	return out
}

func authNode(a model.VRRPAuth) *yaml.Node {
	pairs := []pair{{"key_file", textNode(a.KeyFile)}}
	if a.Mode != model.AuthEnforce {
		pairs = append(pairs, pair{"mode", textNode(a.Mode.String())})
	}
	return mapNode(pairs...)
}
