// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// What `make bench-dispatch` compares the dispatcher with, too: the least that a program can do which leads a packet to
// a socket. No dispatcher can be quicker.

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_helpers.h>

#define AF_INET 2

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("sk_lookup")
int assign(struct bpf_sk_lookup *ctx)
{
	__u32 kind = (ctx->protocol == IPPROTO_UDP ? 0 : 1) + (ctx->family == AF_INET ? 0 : 2);
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &kind);
	if (!sk)
		return SK_PASS;
	bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
