// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/cli"
	"github.com/weir-lb/weir/internal/doctor"
)

// lookAndJudge joins the command line to what looks at the host.
func lookAndJudge(_ context.Context, o cli.DoctorOptions) (api.Doctor, error) {
	daemon := doctor.Daemon{Status: o.Status, Silent: o.Silent, Clients: o.Clients}
	facts, err := doctor.Look(time.Now(), o.BPFFS, o.Spec, daemon)
	if err != nil {
		return api.Doctor{}, err
	}
	return doctor.Report(doctor.Judge(facts)), nil
}
