// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Another version of the dispatcher, to upgrade to: it decides alike, with other instructions.

#include <linux/bpf.h>

#define SK_PASS                                                              \
	({                                                                   \
		int pass;                                                    \
		asm volatile("%0 = 0; %0 += 1" : "=r"(pass));                \
		pass;                                                        \
	})

#include "../dispatch.bpf.c"
