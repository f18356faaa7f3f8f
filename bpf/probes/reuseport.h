// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// What a fixture writes down is done whenever a reuseport group asks for one of its members, operation by operation,
// and what came of each is kept. The includer says what holds the sockets (SOCKETS, a map type), what the program is
// called (NAME), its section (SECTION), and whether it also says who inherits connections (MIGRATES).

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// SocketLookup takes these from the maps' sizes.
#define OPERATIONS 4
#define SLOTS 16

enum kind {
	PASS, // and so does a script that ends without a verdict
	DROP,
	SELECT, // the socket in slot `argument`
};

struct operation {
	__u32 kind;
	__u32 argument;
	__u64 flags; // of bpf_sk_select_reuseport
};

struct operations {
	struct operation at[OPERATIONS];
};

// Of the last run, but for the counters.
struct record {
	__u64 runs, migrations;
	__u32 ip_protocol, eth_protocol, bind_inany, hash, length;
	__u32 source_port, destination_port; // host order, from the transport header
	__u32 performed; // operations
	__s32 results[OPERATIONS];
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

// Eight-byte values, so that user space can read back the cookie of the socket in a slot.
struct {
	__uint(type, SOCKETS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

SEC(SECTION)
int NAME(struct sk_reuseport_md *ctx)
{
	__u32 zero = 0;
	struct operations *todo = bpf_map_lookup_elem(&operations, &zero);
	struct record *record = bpf_map_lookup_elem(&records, &zero);
	__u16 ports[2] = {};

	if (!todo || !record)
		return SK_PASS;
#ifdef MIGRATES
	// The script is for connections that lose their listener; new ones are spread by hash.
	if (!ctx->migrating_sk) {
		record->runs++;
		return SK_PASS;
	}
	record->migrations++;
#else
	record->runs++;
#endif
	record->ip_protocol = ctx->ip_protocol;
	record->eth_protocol = bpf_ntohs(ctx->eth_protocol);
	record->bind_inany = ctx->bind_inany;
	record->hash = ctx->hash;
	record->length = ctx->len;
	// The data begins with the transport header. A connection that migrates comes without a packet.
	bpf_skb_load_bytes(ctx, 0, ports, sizeof(ports));
	record->source_port = bpf_ntohs(ports[0]);
	record->destination_port = bpf_ntohs(ports[1]);
	record->performed = 0;
#pragma unroll
	for (int i = 0; i < OPERATIONS; i++) {
		struct operation *operation = &todo->at[i];
		__u32 slot = operation->argument;

		if (operation->kind == PASS)
			return SK_PASS;
		if (operation->kind == DROP)
			return SK_DROP;
		record->results[i] = bpf_sk_select_reuseport(ctx, &sockets, &slot, operation->flags);
		record->performed = i + 1;
	}
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
