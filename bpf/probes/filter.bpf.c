// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// A program of another type: a link for lookups must take no such thing.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("socket")
int filter(struct __sk_buff *skb)
{
	return 0;
}

char _license[] SEC("license") = "GPL";
