// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// A lookup that is dropped refuses the packet: RST for TCP, ICMP port unreachable for UDP.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("sk_lookup")
int drop(struct bpf_sk_lookup *ctx)
{
	return SK_DROP;
}

char _license[] SEC("license") = "GPL";
