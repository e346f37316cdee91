// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
)

// vrrpCommand lists the virtual routers, and what this director is in each.
func vrrpCommand(env Env) *cobra.Command {
	return look{name: "vrrp", short: "virtual routers: which director is master, since when and why", wide: true, ask: showRouters}.command(env)
}

func showRouters(ctx context.Context, daemon *client.Client, out *output) error {
	routers, err := daemon.VirtualRouters(ctx)
	if err != nil {
		return err
	}
	const stateColumn, trackedColumn, conflictColumn = 5, 21, 22
	t := newTable("ROUTER", "GROUP", "INTERFACE", ">ID", ">VERSION", "STATE", ">PRIORITY", "MASTER", "SINCE", "ADDRESSES", "MAC", "AUTH", "ROUTES", "WHY",
		">ADVERTISE", ">MASTERED", ">SENT", ">UNSENT", ">RECEIVED", "DISCARDED", ">WRITTEN", "TRACKED", "CONFLICT")
	if !out.isWide() {
		t.hide("GROUP", "INTERFACE", "VERSION", "MAC", "AUTH", "ROUTES", "ADVERTISE", "MASTERED", "SENT", "UNSENT", "RECEIVED", "DISCARDED", "WRITTEN", "TRACKED", "CONFLICT")
	}
	for _, r := range routers {
		t.add(r.Name, cmp.Or(r.Group, "-"), r.Interface, strconv.Itoa(int(r.ID)), strconv.Itoa(int(r.Version)), r.State, strconv.Itoa(int(r.Priority)),
			masterOf(r), sinceOf(r.Since), addressesOf(r, out.isWide()), cmp.Or(r.MAC, "-"), cmp.Or(r.Auth, "-"), cmp.Or(strings.Join(r.Routes, ", "), "-"), r.Why, (time.Duration(r.AdvertiseMS) * time.Millisecond).String(),
			number(&r.Mastered), number(&r.Sent), number(&r.Unsent), number(&r.Received), discarded(r.Discarded),
			strconv.Itoa(int(r.Written)), r.Tracked, r.Conflict)
	}
	t.paint = func(column int, text string) string {
		switch {
		case column == stateColumn:
			return out.paint(routerStates[text], text)
		case column == trackedColumn && text != "":
			return out.paint(yellow, text)
		case column == conflictColumn && text != "":
			return out.paint(red, text)
		}
		return text
	}
	return out.print(routers, t.write)
}

// routerStates are the colours of what a director is. A backup is as well as a master.
var routerStates = map[string]colour{"master": green, "backup": green, "init": yellow, "fault": red}

func masterOf(r api.VirtualRouter) string {
	switch {
	case r.State == "master":
		return "this one"
	case r.Master == "":
		return "-"
	case r.MasterPriority == nil:
		return r.Master
	}
	return fmt.Sprintf("%s (%d)", r.Master, *r.MasterPriority)
}

func sinceOf(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateTime)
}

// addressesOf is the first one, and how many more there are, where there is no room for all.
func addressesOf(r api.VirtualRouter, all bool) string {
	if n := len(r.Addresses); n > 1 && !all {
		return fmt.Sprintf("%s +%d", r.Addresses[0], n-1)
	}
	return strings.Join(r.Addresses, ",")
}

// discarded names what was discarded, and how often: ttl 3, checksum 1.
func discarded(counts map[string]uint64) string {
	var out []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		if counts[why] > 0 {
			out = append(out, fmt.Sprintf("%s %d", why, counts[why]))
		}
	}
	return cmp.Or(strings.Join(out, ", "), "0")
}
