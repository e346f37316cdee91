// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// Trace is a packet's way through the director: one of those that GET /v1/trace streams, one a line.
type Trace struct {
	Time      time.Time    `json:"time" doc:"When it came in."`
	Missed    uint64       `json:"missed" doc:"Packets before it that came too fast to be told."`
	Interface string       `json:"interface" doc:"Where it came in; of a VLAN, the interface below."`
	Packet    string       `json:"packet" doc:"Its headers."`
	Stages    []TraceStage `json:"stages" nullable:"false" doc:"What was asked on the way, in this order."`
	Verdict   string       `json:"verdict" doc:"How it ended: one of the names in GET /v1/counters."`
	Means     string       `json:"means" doc:"What that means."`
	Sent      string       `json:"sent,omitempty" doc:"Its headers as it was sent on. Absent where it was not."`
	FrameIn   *Frame       `json:"frame_in,omitempty" doc:"Its bytes as it came. Absent unless frames were asked for."`
	FrameSent *Frame       `json:"frame_sent,omitempty" doc:"Its bytes as it was sent on. Absent unless frames were asked for."`
}

// TraceStage is something that was asked on the way, and the answer.
type TraceStage struct {
	Name   string `json:"name" doc:"parse, connection, service, template, server or forward."`
	Result string `json:"result" doc:"What came of it, in words."`
}

// Frame is a frame, or its beginning.
type Frame struct {
	Bytes  []byte `json:"bytes" doc:"The first 2,048 bytes at most, in base64."`
	Length int    `json:"length" doc:"Bytes of the whole frame."`
}
