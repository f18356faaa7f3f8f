// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Three maps that can hold sockets. The socket under key 0 gets every packet that it can be given: that of the hash
// before that of the array before that of the array with values of four bytes. Without one, ordinary lookup decides.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} narrow SEC(".maps");

// The verifier wants each map named where it is looked up.
#define TRY(map)                                                                                                       \
	do {                                                                                                           \
		struct bpf_sock *sk = bpf_map_lookup_elem(&map, &key);                                                 \
		if (sk) {                                                                                              \
			bpf_sk_assign(ctx, sk, 0);                                                                     \
			bpf_sk_release(sk);                                                                            \
			return SK_PASS;                                                                                \
		}                                                                                                      \
	} while (0)

SEC("sk_lookup")
int slots(struct bpf_sk_lookup *ctx)
{
	__u32 key = 0;

	TRY(hash);
	TRY(array);
	TRY(narrow);
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
