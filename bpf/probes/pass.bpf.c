// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Ordinary lookup is unchanged when a program selects nothing and passes.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("sk_lookup")
int pass(struct bpf_sk_lookup *ctx)
{
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
