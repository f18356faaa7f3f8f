// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Says which member of a reuseport group inherits the connections of one that no longer listens.
//
// It needs Linux 5.14, for what the context shows of the connection.

#define SOCKETS BPF_MAP_TYPE_REUSEPORT_SOCKARRAY
#define SECTION "sk_reuseport/migrate"
#define NAME reuseport_migrate
#define MIGRATES
#include "probes/reuseport.h"
