// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// VirtualRouter is an address, or several, that one of several directors has, and how it stands on this one: GET /v1/vrrp
// lists them in the order of the configuration. What it counts begins with the daemon.
type VirtualRouter struct {
	Name           string            `json:"name" doc:"Its name in the configuration of this director."`
	Interface      string            `json:"interface" doc:"Interface on which its directors advertise, and its addresses are."`
	ID             uint8             `json:"id" doc:"Its number, the same on all its directors (VRID)."`
	Version        uint8             `json:"version" doc:"Version of the protocol that it speaks."`
	AdvertiseMS    int64             `json:"advertise_ms" doc:"Milliseconds from advert to advert, as configured here."`
	State          string            `json:"state" enum:"init,backup,master,fault" doc:"What this director is in it."`
	Since          time.Time         `json:"since,omitzero" doc:"When it became that; absent: it has not begun."`
	Why            string            `json:"why" doc:"Why it is that, on one line; empty: it has not begun."`
	Priority       uint8             `json:"priority" doc:"Of this director; the highest is master."`
	Written        uint8             `json:"written_priority" doc:"The same as configured, before what is tracked changes it."`
	Tracked        string            `json:"tracked,omitempty" doc:"What is wrong with what it tracks, and what each takes off its priority; absent: nothing is."`
	Group          string            `json:"group,omitempty" doc:"Group of virtual routers of which a director is master together or not at all; absent: it stands alone."`
	Master         string            `json:"master,omitempty" doc:"Address of the director that advertises as master; absent: it is this one, or nobody is known."`
	MasterPriority *uint8            `json:"master_priority,omitempty" doc:"The priority that that one advertises; absent with it."`
	Addresses      []string          `json:"addresses" nullable:"false" doc:"What the master has, each with the length of the network that comes with it."`
	MAC            string            `json:"mac,omitempty" doc:"The virtual router's own, where the addresses are, whoever is master; absent: they are at that of the master's interface."`
	Auth           string            `json:"auth,omitempty" enum:"enforce,permissive,receive-only" doc:"How adverts are signed, and whose are believed; absent: they are not signed."`
	Silent         string            `json:"silent,omitempty" doc:"What of its paths and witnesses says nothing that should; absent: nothing of that kind."`
	Held           string            `json:"held,omitempty" doc:"Why it does not take over from a master who is silent; absent: nothing keeps it from that."`
	Routes         []string          `json:"routes,omitempty" doc:"What the master has among its routes besides, as ip route has it; absent: nothing."`
	Conflict       string            `json:"conflict,omitempty" doc:"What somebody advertises that cannot be right; absent: nothing of late."`
	Mastered       uint64            `json:"mastered" doc:"How often it became master here, however shortly it was that."`
	Sent           uint64            `json:"sent" doc:"Adverts sent."`
	Unsent         uint64            `json:"unsent" doc:"Adverts that the kernel did not take."`
	Received       uint64            `json:"received" doc:"Adverts received and believed."`
	Discarded      map[string]uint64 `json:"discarded" nullable:"false" doc:"Adverts received and not believed, by why. What has not happened may be absent."`
}

// SteppedDown answers POST /v1/vrrp/step-down.
type SteppedDown struct {
	Routers []string `json:"routers" nullable:"false" doc:"Names of the virtual routers of which this director was master, and is backup now."`
}
