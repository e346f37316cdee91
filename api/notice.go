// SPDX-License-Identifier: Apache-2.0

package api

// Notice is a way to tell people, or another program, what happens, and how that goes: GET /v1/notices lists them in
// the order of the configuration. What it counts begins with the daemon.
type Notice struct {
	Number   int      `json:"number" doc:"Its place in the configuration, from 1 on."`
	Kind     string   `json:"kind" enum:"exec,mail,webhook,fifo,syslog" doc:"The key that makes it, in the configuration."`
	Channel  string   `json:"channel" doc:"Where it goes, for people, such as: mail to ops@example.org. Without secrets."`
	Services []string `json:"services,omitempty" doc:"Names of the services that it is for. Absent: all."`
	Events   []string `json:"events,omitempty" enum:"server_down,server_up,service_down,service_up,panic_begin,panic_end,maintenance_begin,maintenance_end,certificate_ends,certificate_renewed,vrrp_master,vrrp_backup,vrrp_fault,vrrp_stop,vrrp_conflict_begin,vrrp_conflict_end,vrrp_held_begin,vrrp_held_end,vrrp_silent_begin,vrrp_silent_end,sync_ready,sync_lost" doc:"The events that it is for. Absent: all."`
	Severity string   `json:"severity" enum:"info,warning,critical" doc:"What it is for is as grave as this, or graver."`
	Sent     uint64   `json:"sent" doc:"Messages that got through."`
	Failed   uint64   `json:"failed" doc:"Attempts that failed."`
	Dropped  uint64   `json:"dropped" doc:"Events that nobody is told of: too many waited, or nobody took them."`
	Waiting  int      `json:"waiting" doc:"Events that wait, for their digest to end or for the next attempt."`
	Error    string   `json:"error" doc:"Why the last attempt failed; empty if it did not."`
}

// NoticeTested answers POST /v1/notices/{number}/test, when it is known what came of it.
type NoticeTested struct {
	Number  int    `json:"number" doc:"Number of the notice."`
	Channel string `json:"channel" doc:"Where the test went, for people."`
	Sent    bool   `json:"sent" doc:"Whether it got through."`
	Error   string `json:"error" doc:"Why it did not; else empty."`
}
