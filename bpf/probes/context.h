// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Notes the context of each lookup, read byte by byte, in halves of words, and in words, as far as
// CONTEXT_END. Each load has a place of its own, as wide as a register: a narrow load that leaves
// anything in the rest of the register is seen too.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

// The compiler's own: libbpf's is no constant expression.
#define AT(member) __builtin_offsetof(struct bpf_sk_lookup, member)
#define CONTEXT_BEGIN AT(family)
#define CONTEXT_SIZE (CONTEXT_END - CONTEXT_BEGIN)
// Of so many lookups; later ones are counted.
#define KEPT 8

struct image {
	__u64 u8[CONTEXT_SIZE];
	__u64 u16[CONTEXT_SIZE / 2];
	__u64 u32[CONTEXT_SIZE / 4];
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
	__type(value, struct image);
} contexts SEC(".maps");

// Volatile, so that the compiler makes each load as wide as it is written.
#define LOAD(type, offset) (*(volatile type *)((char *)ctx + (offset)))

static __always_inline int note(struct bpf_sk_lookup *ctx)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&lookups, &zero);
	if (!count)
		return SK_PASS;
	__u32 index = *count;
	*count += 1;
	struct image *image = bpf_map_lookup_elem(&contexts, &index);
	if (!image)
		return SK_PASS;
#pragma unroll
	for (int i = 0; i < CONTEXT_SIZE; i++)
		image->u8[i] = LOAD(__u8, CONTEXT_BEGIN + i);
#pragma unroll
	for (int i = 0; i < CONTEXT_SIZE / 2; i++)
		image->u16[i] = LOAD(__u16, CONTEXT_BEGIN + 2 * i);
#pragma unroll
	for (int i = 0; i < CONTEXT_SIZE / 4; i++)
		image->u32[i] = LOAD(__u32, CONTEXT_BEGIN + 4 * i);
	return SK_PASS;
}
