// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// LimitMSS makes no route offer larger TCP segments than limit says; 0: as it was before weir. It
// never raises what a route offers, and leaves those that are stuck.
func (j *Journal) LimitMSS(limit func(Route) int) error {
	if err := j.restoreMSS(limit); err != nil {
		return err
	}
	routes, err := Routes()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range routes {
		most := limit(r)
		if r.Stuck != "" || most == 0 || r.MSS <= most {
			continue
		}
		if err := j.setMSS(r, most); err != nil {
			errs = append(errs, fmt.Errorf("route %s on %s: offer segments of %d bytes: %w", r.Destination, r.Link, most, err))
		}
	}
	return errors.Join(errs...)
}

// restoreMSS puts back what an earlier limit made of routes, and this one would not.
func (j *Journal) restoreMSS(limit func(Route) int) error {
	routes, err := Routes()
	if err != nil {
		return err
	}
	return j.restore(func(c change) bool {
		return c.Kind == routeChange && !slices.ContainsFunc(routes, func(r Route) bool {
			return c.same(routeTo(r)) && r.advmss == limit(r)
		})
	})
}

func (j *Journal) setMSS(r Route, mss int) error {
	if err := j.record(routeTo(r)); err != nil {
		return err
	}
	return r.message.write(mss)
}

// routeTo is the change of a route, with the segment size that it says now.
func routeTo(r Route) change {
	return change{
		Kind: routeChange, Old: strconv.Itoa(r.advmss), Link: r.Link,
		Index: r.id.link, Prefix: r.id.destination, Table: r.id.table, Metric: r.id.metric, TOS: r.id.tos,
	}
}

// undoRoute gives the route its old segment size, and leaves all else of it as it is now. One that
// was made anew meanwhile, without weir's, is left alone.
func (c change) undoRoute() error {
	old, err := strconv.Atoi(c.Old)
	if err != nil {
		return err
	}
	routes, err := Routes()
	if err != nil {
		return err
	}
	for _, r := range routes {
		if c.same(routeTo(r)) && r.advmss != 0 && r.advmss != old {
			return r.message.write(old)
		}
	}
	return nil
}
