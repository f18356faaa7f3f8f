// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Like reuseport, with sockets of a BPF_MAP_TYPE_SOCKMAP, which need be in no group.

#define SOCKETS BPF_MAP_TYPE_SOCKMAP
#define SECTION "sk_reuseport"
#define NAME reuseport_sockmap
#include "probes/reuseport.h"
