// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// The dispatcher: (protocol, prefix, port range) -> label -> socket.
//
// The most specific prefix that has a matching port range wins, then the narrowest range. User space
// flattens that into a hash table of prefixes: each carries every interval that holds for it, those it
// inherits included, so one longest match and one search among disjoint intervals decide, however many
// bindings there are.
//
// The longest match is a binary search among the lengths that prefixes have (Waldvogel and others,
// "Scalable High Speed IP Routing Lookups", 1997): where a longer prefix may match, user space has put a
// marker at the lengths that the search comes through, with the intervals that hold there. So a lookup
// takes one step where all prefixes of a protocol and family are equally long, two for up to three
// lengths, and no more than eight for IPv6's 129. The kernel's own trie takes a step for nearly each bit
// that tells prefixes apart: with a million bindings, 60 ns more with all in the processor's caches, and about a
// microsecond more without.
//
// A set of bindings is a generation: a table, the plan of the search, and the intervals that do not fit
// into the table. A lookup reads once which of the two generations is in force, so it sees all of one set
// or all of the other.
//
// It loads on Linux 5.10: bounded loops, and nothing that needs the kernel's own BTF.

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>

#include <bpf/bpf_helpers.h>

#define AF_INET 2

#define GENERATIONS 2
// In a node of the table, which is as large as a cache line with them. More are elsewhere.
#define INTERVALS_INLINE 3
// An interval has a port at least, so no set has more than 2^16.
#define SEARCH_STEPS 17

// Of a binary search among 129 lengths, 0 to 128.
#define LENGTH_STEPS 8
// Of all kinds, rounded up to a power of two: 33 lengths twice and 129 twice, and number 0, which is none.
#define STEPS 512
// User space makes the table so that no node is further from its place.
#define PROBES 16
// Of 64 bits each.
#define FILTER_WORDS 8192

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

// A prefix, or a marker. The table has it at the place that its hash names, or not far behind; what is behind an unused
// node, whose tag is 0, is not of the same place.
struct node {
	__u64 address[2]; // in network order, in memory; IPv4 in the first four bytes
	__u32 tag;        // see tag()
	struct intervals intervals;
	__u64 unused;
};

// A step of the search: whether there is a node with this many bits of the address.
struct step {
	__u64 mask[2];
	__u16 deeper;  // the number of the next step if there is one
	__u16 shallower; // and if not
	__u32 length;
};

struct plan {
	__u32 mask; // of hashes: the table has places for one more
	__u16 first[KINDS]; // the numbers of the steps to begin with
	// Of hashes. A bit of the filter is set if a node has a hash with it, so most nodes that are not there cost no
	// look into the table.
	__u32 filter_mask;
	struct step steps[STEPS];
	__u64 filter[FILTER_WORDS];
};

// The types of maps in maps have sizes, since the compiler leaves types of theirs out of the object.
struct table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP); // of any size
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct node));
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
	__array(values, struct table);
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GENERATIONS);
	__type(key, __u32);
	__type(value, struct plan);
} plans SEC(".maps");

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

// Of a prefix with that many bits; never 0.
static __always_inline __u32 tag(__u32 kind, __u32 length) { return length << 8 | (kind + 1); }

// The upper half names a place in the table, and the lower one a bit of the filter.
static __always_inline __u64 prefix_hash(__u64 high, __u64 low, __u32 tag)
{
	__u64 hash = high * 0x9E3779B97F4A7C15 + low * 0xC2B2AE3D27D4EB4F + tag * 0x165667B19E3779F9;
	hash ^= hash >> 32;
	return hash * 0xD6E8FEB86659FD93;
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

// The intervals of the longest prefix that contains the address; NULL without any.
static __always_inline struct intervals *longest(struct plan *plan, void *table, __u32 kind, const __u32 *words)
{
	__u64 address[2];
	__builtin_memcpy(address, words, sizeof(address));
	struct intervals *found = NULL;
	__u32 at = plan->first[kind];
	for (int i = 0; i < LENGTH_STEPS && at; i++) {
		struct step *step = &plan->steps[at & (STEPS - 1)];
		__u64 high = address[0] & step->mask[0];
		__u64 low = address[1] & step->mask[1];
		__u32 wanted = tag(kind, step->length);
		__u64 hash = prefix_hash(high, low, wanted);
		__u32 bit = (__u32)hash >> 13 & plan->filter_mask;
		at = step->shallower;
		if (!(plan->filter[bit / 64 & (FILTER_WORDS - 1)] >> bit % 64 & 1))
			continue;
		__u32 index = hash >> 32 & plan->mask;
		for (int probe = 0; probe < PROBES; probe++, index++) {
			struct node *node = bpf_map_lookup_elem(table, &index);
			if (!node || !node->tag)
				break;
			if (node->tag == wanted && node->address[0] == high && node->address[1] == low) {
				found = &node->intervals;
				at = step->deeper;
				break;
			}
		}
	}
	return found;
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
	struct plan *plan = bpf_map_lookup_elem(&plans, &generation);
	void *table = bpf_map_lookup_elem(&tables, &generation);
	if (!plan || !table)
		return SK_PASS;

	// The other family's words read as zero. (A branch on the family would let the compiler merge the
	// loads into one through a computed pointer, which the verifier refuses.)
	__u32 words[4] = {
		ctx->local_ip4 | ctx->local_ip6[0],
		ctx->local_ip6[1],
		ctx->local_ip6[2],
		ctx->local_ip6[3],
	};
	__u32 kind = (ctx->protocol == IPPROTO_UDP ? 2 : 0) + (ctx->family == AF_INET ? 0 : 1);
	struct intervals *found = longest(plan, table, kind, words);
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
		// Keeps the compiler from making one call of the two, of either map, which the kernel could not put in line.
		asm volatile("" : "+r"(counter));
	} else {
		void *counts = bpf_map_lookup_elem(&counters, &chunk);
		counter = counts ? bpf_map_lookup_elem(counts, &within) : NULL;
	}
	struct label *label = bpf_map_lookup_elem(&labels, &number);
	// User space makes a binding's counter before the binding.
	if (!counter || !label)
		return otherwise;

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
