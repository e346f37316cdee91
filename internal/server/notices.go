// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

func notices(in report.Snapshot) []api.Notice {
	out := []api.Notice{}
	for i, n := range in.Notices {
		one := api.Notice{
			Number:   i + 1,
			Kind:     n.Notice.How.Kind(),
			Channel:  n.Notice.How.String(),
			Services: n.Notice.Services,
			Severity: cmp.Or(n.Notice.Least, model.Info).String(),
			Sent:     n.Sent,
			Failed:   n.Failed,
			Dropped:  n.Dropped,
			Waiting:  n.Waiting,
			Error:    n.Error,
		}
		for _, kind := range n.Notice.Kinds {
			one.Events = append(one.Events, string(kind))
		}
		out = append(out, one)
	}
	return out
}

// noticeNumber is as the request has it: whatever it is, what it is not is the number of a notice.
type noticeNumber struct {
	Number string `path:"number" doc:"Its place in the configuration, from 1 on."`
}

// testNotice adds the request that sends a test. One that does not get through is what was asked for, and no error.
func (s *Server) testNotice(routes huma.API) {
	op := huma.Operation{
		OperationID: "notices-test",
		Method:      http.MethodPost,
		Path:        "/v1/notices/{number}/test",
		Summary:     "Send a test by a notice, and say whether it got through",
		Description: "It is answered when that is known, after at most 30 seconds. A test says that it is one, and is not counted.",
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}
	huma.Register(routes, op, func(ctx context.Context, q *noticeNumber) (*answer[api.NoticeTested], error) {
		snapshot, err := s.director.Snapshot(ctx)
		if err != nil {
			return nil, huma.Error503ServiceUnavailable(err.Error())
		}
		number, err := strconv.Atoi(q.Number)
		if err != nil || number < 1 || number > len(snapshot.Notices) {
			return nil, huma.Error404NotFound(fmt.Sprintf("there is no notice %q; `weir notify` lists them, with their numbers", q.Number))
		}
		notice := snapshot.Notices[number-1].Notice
		tested := api.NoticeTested{Number: number, Channel: notice.How.String(), Sent: true}
		if err := s.director.TestNotice(ctx, notice); err != nil {
			tested.Sent, tested.Error = false, err.Error()
		}
		return &answer[api.NoticeTested]{tested}, nil
	})
}
