// SPDX-License-Identifier: Apache-2.0

package dataplane

// `make generate` sets the compiler and its flags, and runs these.
//
//go:generate go tool bpf2go -target bpfel -type addr -type flow -type hop -type event -type slot -type slot_block -type bucket -type host -type reverse -type forwarding -type service_flag -type server_flag -type leaving -type scheduler -type conn_state -type conn_flag -type event_kind -type xdp_mode -type tunnel -type tunnel_flag -type held -type held_kind -type limit -type verdict -type sweep -type move_slice -type check_awaited path ../../bpf/weir.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types -type trace -type trace_note -type kind traced ../../bpf/traced.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types sweeper ../../bpf/sweep.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types -type ending ender ../../bpf/end.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types -type collect_slice -type collects -type digest_slice -type arrival -type arrived -type arrive_slice syncer ../../bpf/sync.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types mover ../../bpf/move.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types -type addr -type check_way checks ../../bpf/check.bpf.c
//go:generate sh ./verdicts.sh ../../bpf/types.h verdicts_gen.go
