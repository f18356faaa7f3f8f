// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// What a program is shown of a packet, with the interface that it came in by (Linux 5.17).

#define CONTEXT_END (AT(ingress_ifindex) + sizeof(__u32))

#include "context.h"

SEC("sk_lookup")
int ingress(struct bpf_sk_lookup *ctx)
{
	return note(ctx);
}

char _license[] SEC("license") = "GPL";
