// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Notes what a program is shown of the socket that an earlier program selected for the same packet.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

// Of so many lookups; later ones are counted.
#define KEPT 8

struct selection {
	__u64 some;
	__u64 bound_dev_if, family, type, protocol, mark, priority;
	__u64 src_ip4, src_ip6[4], src_port, dst_port, dst_ip4, dst_ip6[4], state, rx_queue_mapping;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lookups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KEPT);
	__type(key, __u32);
	__type(value, struct selection);
} selections SEC(".maps");

// Volatile, so that no two loads become one that is wider.
#define WORD(member) (*(volatile __u32 *)&(member))

SEC("sk_lookup")
int selected(struct bpf_sk_lookup *ctx)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&lookups, &zero);
	if (!count)
		return SK_PASS;
	__u32 index = *count;
	*count += 1;
	struct selection *seen = bpf_map_lookup_elem(&selections, &index);
	if (!seen)
		return SK_PASS;
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return SK_PASS;
	seen->some = 1;
	seen->bound_dev_if = WORD(sk->bound_dev_if);
	seen->family = WORD(sk->family);
	seen->type = WORD(sk->type);
	seen->protocol = WORD(sk->protocol);
	seen->mark = WORD(sk->mark);
	seen->priority = WORD(sk->priority);
	seen->src_ip4 = WORD(sk->src_ip4);
	seen->src_ip6[0] = WORD(sk->src_ip6[0]);
	seen->src_ip6[1] = WORD(sk->src_ip6[1]);
	seen->src_ip6[2] = WORD(sk->src_ip6[2]);
	seen->src_ip6[3] = WORD(sk->src_ip6[3]);
	seen->src_port = WORD(sk->src_port);
	seen->dst_port = WORD(sk->dst_port);
	seen->dst_ip4 = WORD(sk->dst_ip4);
	seen->dst_ip6[0] = WORD(sk->dst_ip6[0]);
	seen->dst_ip6[1] = WORD(sk->dst_ip6[1]);
	seen->dst_ip6[2] = WORD(sk->dst_ip6[2]);
	seen->dst_ip6[3] = WORD(sk->dst_ip6[3]);
	seen->state = WORD(sk->state);
	seen->rx_queue_mapping = WORD(sk->rx_queue_mapping);
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
