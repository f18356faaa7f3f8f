// C shims: libbpf, and system calls that Swift's Glibc module lacks or cannot import.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "events.h"
