// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// The dispatcher: (protocol, prefix, port range) -> label -> socket.
//
// The most specific prefix that has a matching port range wins, then the narrowest range. User space
// flattens that into the trie: each node carries every interval that holds for its prefix, those it
// inherits included, so one longest-prefix match and one search among disjoint intervals decide,
// however many bindings there are.
//
// A set of bindings is a generation: a trie, and the intervals that do not fit into its nodes. A lookup
// reads once which of the two generations is in force, so it sees all of one set or all of the other.
//
// It loads on Linux 5.10: bounded loops, and nothing that needs the kernel's own BTF.

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>

#include <bpf/bpf_helpers.h>

#define AF_INET 2

#define GENERATIONS 2
// In a node of the trie, which fills the 96 bytes that the kernel allocates for it. More are elsewhere.
#define INTERVALS_INLINE 3
// An interval has a port at least, so no set has more than 2^16.
#define SEARCH_STEPS 17

// SocketLookup checks the maps' sizes against its own idea of them.
#define LABELS 4096
// TCP and UDP, each over IPv4 and IPv6.
#define KINDS 4
// Twice as many as sockets can be chosen from, so that a set of them can replace another.
#define SLOTS 32
#define SHARES 64

// What an interval does while its label has no live socket; the default is to drop.
#define TARGET_PASS (1u << 31)

#define COUNTERS_SHIFT 10
#define CHUNKS 2048

struct prefix {
	__u32 length; // in bits, counted from `protocol`
	__u8 protocol;
	// The family keeps ::/0 from matching IPv4, which it would if IPv4 were stored as ::ffff:0:0/96.
	__u8 family;
	__u16 zero;
	__u8 address[16]; // network order; IPv4 in the first four bytes
};

struct interval {
	__u16 first;
	__u16 last;
	__u32 binding; // the number of its counter
	__u32 target;  // the number of a label, and TARGET_PASS
};

// Disjoint. One that is not in use has a last port below its first.
//
// More than fit are elsewhere, in ascending order: then the first's `first` is 65535, its `last` is 0, and it has the
// index of the first of them in place of a counter, and how many there are in place of a target.
struct intervals {
	struct interval at[INTERVALS_INLINE];
};

// The types of maps in maps have sizes, since the compiler leaves types of theirs out of the object.
struct trie {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__uint(key_size, sizeof(struct prefix));
	__uint(value_size, sizeof(struct intervals));
};

struct ranges {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP); // of any size
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct interval));
};

// What a binding has done, or all of them.
struct counter {
	__u64 hits;   // led to a socket
	__u64 misses; // bound, but without a live socket
	__u64 errors; // sockets that could not be led to: closed, or connected since
};

struct counters {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << COUNTERS_SHIFT);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct counter));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATIONS);
	__type(key, __u32);
	__array(values, struct trie);
} tries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATIONS);
	__type(key, __u32);
	__array(values, struct ranges);
} ranges SEC(".maps");

// Piece by piece, since most dispatchers have few bindings and the kernel would allocate all for each processor. The
// first piece has a map of its own, which costs one lookup less, and no grace period when a dispatcher is made.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << COUNTERS_SHIFT);
	__type(key, __u32);
	__type(value, struct counter);
} first_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CHUNKS);
	__type(key, __u32);
	__array(values, struct counters);
} counters SEC(".maps");

struct total {
	__u64 lookups;
	struct counter all;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct total);
} totals SEC(".maps");

struct control {
	__u32 generation; // in force
	__u32 seed;       // of the flow hash, so that nobody can aim at one socket
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

// The sockets of one label for one protocol and family. User space gives each an equal part of the shares; a
// change is one write, and whatever bytes of old and new a lookup reads, each names a socket of one of them.
struct sharing {
	__u32 count;    // of sockets
	__u32 slots;    // bit N: slot N has one of them
	__u32 draining; // bit N: slot N has a socket that gets no new flows; nothing here looks at it
	__u8 shares[SHARES];
};

struct label {
	struct sharing kinds[KINDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LABELS);
	__type(key, __u32);
	__type(value, struct label);
} labels SEC(".maps");

// Eight-byte values, so that user space can read back the cookie of the socket in a slot.
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, LABELS * KINDS * SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

static __always_inline __u32 mix(__u32 hash, __u32 word)
{
	hash = (hash ^ word) * 0x9E3779B1;
	return hash ^ (hash >> 15);
}

static __always_inline __u32 flow_hash(struct bpf_sk_lookup *ctx, const __u32 *local, __u32 seed)
{
	// The other family's words read as zero.
	__u32 hash = mix(seed, ctx->remote_ip4 | ctx->remote_ip6[0]);
	hash = mix(hash, ctx->remote_ip6[1]);
	hash = mix(hash, ctx->remote_ip6[2]);
	hash = mix(hash, ctx->remote_ip6[3]);
	hash = mix(hash, local[0]);
	hash = mix(hash, local[1]);
	hash = mix(hash, local[2]);
	hash = mix(hash, local[3]);
	hash = mix(hash, (__u32)ctx->remote_port << 16 | ctx->local_port);
	return mix(hash, hash >> 13);
}

static __always_inline long assign(struct bpf_sk_lookup *ctx, __u32 slot)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &slot);
	if (!sk)
		return -ENOENT;
	// Without flags: a reuseport group spreads its flows, and a program before us keeps its choice.
	long error = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return error;
}

SEC("sk_lookup")
int dispatch(struct bpf_sk_lookup *ctx)
{
	__u32 zero = 0;
	struct total *total = bpf_map_lookup_elem(&totals, &zero);
	struct control *in_force = bpf_map_lookup_elem(&control, &zero);
	if (!total || !in_force)
		return SK_PASS;
	total->lookups++;

	// Read once: it may change between two reads.
	__u32 generation = *(volatile __u32 *)&in_force->generation;
	void *trie = bpf_map_lookup_elem(&tries, &generation);
	if (!trie)
		return SK_PASS;

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

	struct intervals *found = bpf_map_lookup_elem(trie, &key);
	if (!found)
		return SK_PASS;

	__u32 port = ctx->local_port;
	struct interval *interval = NULL;
#pragma unroll
	for (int i = 0; i < INTERVALS_INLINE; i++)
		if (found->at[i].first <= port && port <= found->at[i].last)
			interval = &found->at[i];
	if (!interval) {
		if (found->at[0].first != 65535 || found->at[0].last != 0)
			return SK_PASS;
		void *others = bpf_map_lookup_elem(&ranges, &generation);
		if (!others)
			return SK_PASS;
		// The last that does not begin past the port is from `low` on, and before `low + count`.
		__u32 low = found->at[0].binding;
		__u32 count = found->at[0].target;
		for (int step = 0; step < SEARCH_STEPS && count > 1; step++) {
			__u32 middle = low + count / 2;
			struct interval *at = bpf_map_lookup_elem(others, &middle);
			if (!at)
				return SK_PASS;
			if (at->first <= port) {
				low = middle;
				count -= count / 2;
			} else {
				count /= 2;
			}
		}
		interval = bpf_map_lookup_elem(others, &low);
		if (!interval || port < interval->first || port > interval->last)
			return SK_PASS;
	}

	__u32 number = interval->target & (LABELS - 1);
	int otherwise = interval->target & TARGET_PASS ? SK_PASS : SK_DROP;
	__u32 chunk = interval->binding >> COUNTERS_SHIFT;
	__u32 within = interval->binding & ((1 << COUNTERS_SHIFT) - 1);
	struct counter *counter;
	if (chunk == 0) {
		counter = bpf_map_lookup_elem(&first_counters, &within);
	} else {
		void *counts = bpf_map_lookup_elem(&counters, &chunk);
		counter = counts ? bpf_map_lookup_elem(counts, &within) : NULL;
	}
	struct label *label = bpf_map_lookup_elem(&labels, &number);
	// User space makes a binding's counter before the binding.
	if (!counter || !label)
		return otherwise;

	__u32 kind = (ctx->protocol == IPPROTO_UDP ? 2 : 0) + (ctx->family == AF_INET ? 0 : 1);
	struct sharing *sharing = &label->kinds[kind];
	__u32 slots = sharing->slots;
	__u32 base = (number * KINDS + kind) * SLOTS;
	__u32 hash = sharing->count > 1 ? flow_hash(ctx, words, in_force->seed) : 0;
	__u32 slot = sharing->shares[hash % SHARES] % SLOTS;
	// After the slot that the flow belongs to, all others once; no more than one turn even where none lives.
	for (int i = 0; i < SLOTS; i++, slot = (slot + 1) % SLOTS) {
		if (!(slots & 1u << slot))
			continue;
		long error = assign(ctx, base + slot);
		if (!error || error == -EEXIST) {
			counter->hits++;
			total->all.hits++;
			return SK_PASS;
		}
		counter->errors++;
		total->all.errors++;
	}
	counter->misses++;
	total->all.misses++;
	return otherwise;
}

char _license[] SEC("license") = "GPL";
