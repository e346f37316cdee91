// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// buckets is how many entries the tables of dh and sh have, as in IPVS by default
// (CONFIG_IP_VS_DH_TAB_BITS and CONFIG_IP_VS_SH_TAB_BITS are 8).
const buckets = 1 << bucketBits

const bucketBits = 8

// present are the servers among which buckets are dealt out, by their index in the list: the last added
// first, as IPVS has them, also those of weight 0.
func present(servers []model.ServerWant) (out []int) {
	for i, server := range slices.Backward(servers) {
		if !server.Absent && server.Leaving == 0 {
			out = append(out, i)
		}
	}
	return out
}

// fold makes 32 bits of an address, as IPVS does: those of IPv4, and of IPv6 the four words mixed.
func fold(a netip.Addr) uint32 {
	if a.Is4() {
		bytes := a.As4()
		return binary.BigEndian.Uint32(bytes[:])
	}
	bytes := a.As16()
	var out uint32
	for i := 0; i < len(bytes); i += 4 {
		out ^= binary.BigEndian.Uint32(bytes[i:])
	}
	return out
}

// bucketOf is the kernel's hash_32.
func bucketOf(key uint32) int { return int(key * 0x61c88647 >> (32 - bucketBits)) }

// clientKey is what sh and mh hash.
func (a Ask) clientKey(port bool) uint32 {
	key := fold(a.Client.Addr())
	if port {
		key += uint32(a.Client.Port())
	}
	return key
}

// client names what clientKey hashes.
func (a Ask) client(port bool) string {
	if port {
		return a.Client.String()
	}
	return a.Client.Addr().String()
}

// named is the server that an address names.
type named struct {
	table    []int // of servers: buckets, or the consistent hash
	at       int   // what the address names
	of       string
	noun     string
	nouns    string
	fallback bool   // it is set
	flag     string // that it is set by; "": there is none
}

func (a Ask) explainNamed(slot Slot, found bool, n named) Choice {
	if len(n.table) == 0 {
		return Choice{Why: nobodyTakes}
	}
	c := Choice{Slot: slot, Found: found, Compared: dealt(n.table, n.nouns)}
	c.Why = fmt.Sprintf("%s %d of %d, that of %s, ", n.noun, n.at, len(n.table), n.of)
	switch home := n.table[n.at]; {
	case found && home == slot.Server:
		c.Why += "is this server's"
	case found:
		c.Why += fmt.Sprintf("is that of %s, which takes no connections; %s has others asked", a.Name(home), n.flag)
	case n.fallback:
		c.Why += fmt.Sprintf("is that of %s, and %s", a.Name(home), nobodyTakes)
	case n.flag != "":
		c.Why += fmt.Sprintf("is that of %s, which takes no connections; without %s no other one is asked", a.Name(home), n.flag)
	default:
		c.Why += fmt.Sprintf("is that of %s, which takes no connections", a.Name(home))
	}
	return c
}
