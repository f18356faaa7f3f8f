// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// A reuseport group's program that does what a fixture writes down, with sockets of a BPF_MAP_TYPE_REUSEPORT_SOCKARRAY.
//
// It loads on Linux 5.10.

#define SOCKETS BPF_MAP_TYPE_REUSEPORT_SOCKARRAY
#define SECTION "sk_reuseport"
#define NAME reuseport
#include "probes/reuseport.h"
