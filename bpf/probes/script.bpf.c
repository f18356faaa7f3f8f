// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// What a fixture writes down is done for each lookup, operation by operation, and what came of each is kept: the
// result of bpf_sk_assign, and the socket that the context showed afterwards.
//
// It loads on Linux 5.10: no loop that cannot be unrolled, no field that came later.

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2

// SocketLookup takes these from the maps' sizes.
#define OPERATIONS 8
#define SLOTS 8

enum kind {
	PASS, // and so does a script that ends without a verdict
	DROP,
	SELECT, // the socket in slot `argument`
	CLEAR, // no socket
	// The script is about packets that have this; others pass, and leave no trace.
	ONLY_FAMILY,
	ONLY_PROTOCOL,
	ONLY_LOCAL_PORT,
	ONLY_REMOTE_PORT,
};

// The slot had no socket, which is no errno.
#define EMPTY_SLOT -10000

struct operation {
	__u32 kind;
	__u32 argument;
	__u64 flags; // of bpf_sk_assign
};

struct operations {
	struct operation at[OPERATIONS];
};

// After one operation.
struct outcome {
	__s32 performed;
	__s32 result;
	// Of the selected socket, as the context shows it; all zero for none.
	__u32 selected, family, type, protocol, state, port;
};

// Of the last run, but for the number of runs.
struct record {
	__u64 runs;
	__u64 time; // tells the order of several programs
	__u32 family, protocol, remote_port, local_port; // ports in host order
	__u32 remote[4], local[4]; // network order; IPv4 in the first
	struct outcome outcomes[OPERATIONS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct operations);
} operations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

static __always_inline void note_packet(struct bpf_sk_lookup *ctx, struct record *record)
{
	record->runs++;
	record->time = bpf_ktime_get_ns();
	record->family = ctx->family;
	record->protocol = ctx->protocol;
	record->remote_port = bpf_ntohs(ctx->remote_port);
	record->local_port = ctx->local_port;
	// The other family's words read as zero.
	record->remote[0] = ctx->remote_ip4 | ctx->remote_ip6[0];
	record->remote[1] = ctx->remote_ip6[1];
	record->remote[2] = ctx->remote_ip6[2];
	record->remote[3] = ctx->remote_ip6[3];
	record->local[0] = ctx->local_ip4 | ctx->local_ip6[0];
	record->local[1] = ctx->local_ip6[1];
	record->local[2] = ctx->local_ip6[2];
	record->local[3] = ctx->local_ip6[3];
	__builtin_memset(record->outcomes, 0, sizeof(record->outcomes));
}

// Whether the script is about this packet at all.
static __always_inline int concerns(struct bpf_sk_lookup *ctx, const struct operations *todo)
{
	// Through variables that the compiler knows nothing of: it would merge the loads into one through a
	// computed pointer, which the verifier refuses.
	__u32 family = ctx->family, protocol = ctx->protocol;
	__u32 local_port = ctx->local_port, remote_port = bpf_ntohs(ctx->remote_port);

	barrier_var(family);
	barrier_var(protocol);
	barrier_var(local_port);
	barrier_var(remote_port);
#pragma unroll
	for (int i = 0; i < OPERATIONS; i++) {
		__u32 wanted = todo->at[i].argument;

		switch (todo->at[i].kind) {
		case ONLY_FAMILY:
			if (family != wanted)
				return 0;
			break;
		case ONLY_PROTOCOL:
			if (protocol != wanted)
				return 0;
			break;
		case ONLY_LOCAL_PORT:
			if (local_port != wanted)
				return 0;
			break;
		case ONLY_REMOTE_PORT:
			if (remote_port != wanted)
				return 0;
			break;
		default:
			break;
		}
	}
	return 1;
}

static __always_inline void note_selected(struct bpf_sk_lookup *ctx, struct outcome *outcome)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return;
	outcome->selected = 1;
	outcome->family = sk->family;
	outcome->type = sk->type;
	outcome->protocol = sk->protocol;
	outcome->state = sk->state;
	outcome->port = sk->src_port;
}

SEC("sk_lookup")
int script(struct bpf_sk_lookup *ctx)
{
	__u32 zero = 0;
	struct operations *todo = bpf_map_lookup_elem(&operations, &zero);
	struct record *record = bpf_map_lookup_elem(&records, &zero);

	if (!todo || !record || !concerns(ctx, todo))
		return SK_PASS;
	note_packet(ctx, record);
#pragma unroll
	for (int i = 0; i < OPERATIONS; i++) {
		struct operation *operation = &todo->at[i];
		struct outcome *outcome = &record->outcomes[i];
		__u32 kind = operation->kind;

		outcome->performed = 1;
		if (kind == PASS) {
			note_selected(ctx, outcome);
			return SK_PASS;
		}
		if (kind == DROP) {
			note_selected(ctx, outcome);
			return SK_DROP;
		}
		if (kind == SELECT) {
			__u32 slot = operation->argument;
			struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &slot);

			if (sk) {
				outcome->result = bpf_sk_assign(ctx, sk, operation->flags);
				bpf_sk_release(sk);
			} else {
				outcome->result = EMPTY_SLOT;
			}
		} else if (kind == CLEAR) {
			outcome->result = bpf_sk_assign(ctx, 0, operation->flags);
		}
		note_selected(ctx, outcome);
	}
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
