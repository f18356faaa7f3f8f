// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// What `make bench-dispatch` compares the dispatcher with: a program of the shape that cloudflare/tubular has, written
// for that. Ports are part of the key, so a lookup asks the trie twice: for the port, and for bindings of all ports.

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_helpers.h>

#define AF_INET 2

struct prefix {
	__u32 length; // in bits, counted from `protocol`
	__u8 protocol;
	__u8 zero;
	__u16 port; // 0 for all
	__u8 address[16]; // network order; IPv4 as ::ffff:0:0/96
};

struct binding {
	__u32 label;
	__u32 length; // of the prefix
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct prefix);
	__type(value, struct binding);
} bindings SEC(".maps");

struct destination {
	__u32 label;
	__u32 family;
	__u32 protocol;
};

struct place {
	__u32 socket;
	__u32 counter;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct destination);
	__type(value, struct place);
} destinations SEC(".maps");

struct counter {
	__u64 lookups;
	__u64 misses;
	__u64 errors;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("sk_lookup")
int two_lookups(struct bpf_sk_lookup *ctx)
{
	struct prefix key = {
		.length = 8 * (sizeof(key) - sizeof(key.length)),
		.protocol = ctx->protocol,
		.port = ctx->local_port,
	};
	// The other family's words read as zero.
	__u32 words[4] = {
		ctx->local_ip6[0],
		ctx->local_ip6[1],
		ctx->local_ip6[2] | (ctx->family == AF_INET ? __builtin_bswap32(0xffff) : 0),
		ctx->local_ip6[3] | ctx->local_ip4,
	};
	__builtin_memcpy(key.address, words, sizeof(words));

	struct binding *one = bpf_map_lookup_elem(&bindings, &key);
	key.port = 0;
	struct binding *all = bpf_map_lookup_elem(&bindings, &key);
	struct binding *binding = one;
	if (!one || (all && all->length > one->length))
		binding = all;
	if (!binding)
		return SK_PASS;

	struct destination destination = {
		.label = binding->label,
		.family = ctx->family,
		.protocol = ctx->protocol,
	};
	struct place *place = bpf_map_lookup_elem(&destinations, &destination);
	if (!place)
		return SK_DROP;
	struct counter *counter = bpf_map_lookup_elem(&counters, &place->counter);
	if (!counter)
		return SK_DROP;
	counter->lookups++;
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &place->socket);
	if (!sk) {
		counter->misses++;
		return SK_DROP;
	}
	long error = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	if (error) {
		counter->errors++;
		return SK_DROP;
	}
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
