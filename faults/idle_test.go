// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// idleFailover: the master loses its power while all clients are silent, and most of them have been since they came.
func idleFailover(weir string) faults.Fault {
	return faults.Fault{
		Number: 19,
		Paired: true,
		Parts:  []faults.Part{{Name: lost, Unit: "connections"}},
		Beside: "with IPVS's connection sync all of 100 idle connections were reset: it tells of none that has not sent three packets",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := newSharing(t, lab.Config{Forwarding: lab.NAT, Servers: 3, Confined: true, Weir: weir},
				lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"}, size.Of(300, 10_000))
			return suffers(t, s.falls)
		},
	}
}

// young is how old a connection must be to outlive its director.
const young = 200 * time.Millisecond

// falls has new clients come, the last of which are just old enough when the master falls.
func (s *sharing) falls(ctx context.Context, m *faults.Measured) error {
	r, err := s.ready(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return s.load.Begin(ctx) },
		func() error { return sleep(ctx, young) },
	)
	if err != nil {
		return err
	}
	return s.loses(ctx, r, m, lost)
}
