// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// The dispatcher: (protocol, prefix, port range) -> label -> socket.
//
// The most specific prefix that has a matching port range wins, then the narrowest range. User space
// flattens that into the trie: each node carries every interval that holds for its prefix, those it
// inherits included, so one longest-prefix match and one search among disjoint intervals decide,
// however many bindings there are.
//
// It loads on Linux 5.10: no loop that cannot be unrolled, nothing that needs the kernel's own BTF.

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_helpers.h>

#define AF_INET 2

// A power of two, because the search halves it. SocketLookup takes the limits from the maps' sizes.
#define INTERVALS 64
#define LABELS 16384
// TCP and UDP, each over IPv4 and IPv6.
#define SLOTS_PER_LABEL 4

// What an interval does while its label has no live socket; the default is to drop.
#define FLAG_PASS 1

struct prefix {
	__u32 length; // in bits, counted from `protocol`
	__u8 protocol;
	// The family keeps ::/0 from matching IPv4, which it would if IPv4 were stored as ::ffff:0:0/96.
	__u8 family;
	__u8 address[16]; // network order; IPv4 in the first four bytes
} __attribute__((packed));

struct interval {
	__u16 first;
	__u16 last;
	__u32 label;
	__u32 flags;
};

// Disjoint, in ascending order.
struct intervals {
	__u32 count;
	struct interval at[INTERVALS];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct prefix);
	__type(value, struct intervals);
} bindings SEC(".maps");

// Eight-byte values, so that user space can read back the cookie of the socket in a slot.
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, LABELS * SLOTS_PER_LABEL);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("sk_lookup")
int dispatch(struct bpf_sk_lookup *ctx)
{
	struct prefix key = {
		.length = 8 * (sizeof(key) - sizeof(key.length)),
		.protocol = ctx->protocol,
		.family = ctx->family,
	};
	// The other family's words read as zero. (A branch on the family would let the compiler merge the
	// loads into one through a computed pointer, which the verifier refuses.)
	__u32 words[4] = {
		ctx->local_ip4 | ctx->local_ip6[0],
		ctx->local_ip6[1],
		ctx->local_ip6[2],
		ctx->local_ip6[3],
	};
	__builtin_memcpy(key.address, words, sizeof(words));

	struct intervals *found = bpf_map_lookup_elem(&bindings, &key);
	if (!found)
		return SK_PASS;

	// The last interval that does not begin past the port.
	__u32 port = ctx->local_port;
	__u32 at = 0;
#pragma unroll
	for (__u32 step = INTERVALS / 2; step > 0; step /= 2) {
		__u32 next = at + step;
		if (next < INTERVALS && next < found->count && found->at[next].first <= port)
			at = next;
	}
	// Always true, but not to every verifier.
	if (at >= INTERVALS)
		return SK_PASS;
	struct interval *interval = &found->at[at];
	if (at >= found->count || port < interval->first || port > interval->last)
		return SK_PASS;

	__u32 slot = interval->label * SLOTS_PER_LABEL;
	if (ctx->protocol == IPPROTO_UDP)
		slot += 2;
	if (ctx->family != AF_INET)
		slot += 1;
	long error = -1;
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &slot);
	if (sk) {
		// Without flags: a reuseport group spreads its flows, and a program before us keeps its choice.
		error = bpf_sk_assign(ctx, sk, 0);
		bpf_sk_release(sk);
	}
	if (error)
		return interval->flags & FLAG_PASS ? SK_PASS : SK_DROP;
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
