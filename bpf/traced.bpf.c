// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * traced.bpf.c: the path, with eyes. The daemon puts it in the other one's place while somebody runs
 * `weir trace`, with the same maps, and takes it off again: so nothing of it is in the way of packets else.
 */
#define TRACED
#include "weir.bpf.c"
