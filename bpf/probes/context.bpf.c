// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// What a program is shown of a packet, without the interface that it came in by.

#define CONTEXT_END (AT(local_port) + sizeof(__u32))

#include "context.h"

SEC("sk_lookup")
int context(struct bpf_sk_lookup *ctx)
{
	return note(ctx);
}

char _license[] SEC("license") = "GPL";
