// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// A version of the dispatcher whose large maps have half the room: no state can be upgraded to it.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#undef __uint
#define __uint(name, val) int(*name)[(val) > 1024 ? (val) / 2 : (val)]

#include "../dispatch.bpf.c"
