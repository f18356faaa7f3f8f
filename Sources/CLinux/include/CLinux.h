// C shims: libbpf, and system calls that Swift's Glibc module lacks or cannot import.
//
// Every function returns 0 or more on success and -errno on failure; errno itself is not part of the
// contract. Descriptors that are returned are the caller's to close, and close on exec.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "datagrams.h"
#include "events.h"
#include "identity.h"
#include "processes.h"
#include "sockets.h"

// MARK: libbpf

// What libbpf and the verifier had to say during this thread's last clinux_bpf_load;
// empty if nothing. Valid until the next of them on this thread. Nothing is written to stderr.
const char *clinux_bpf_log(void);

// Opens and loads the object at `path`, all its maps and programs.
int clinux_bpf_load(const char *path, struct bpf_object **object);

// The same, with maps of those names in place of its own: `count` of them. If the object has none of a name, or has it
// laid out differently, `misfit` is its index, else -1.
int clinux_bpf_load_with(const char *path, const char *const *names, const int *maps, int count, int *misfit,
                         struct bpf_object **object);

// What bpf_prog_info says of the program behind an fd: its number, and the hash of its instructions.
int clinux_bpf_program_tag(int program, uint32_t *id, uint8_t tag[8]);

// Loads a program that passes every lookup, for probing: no object file, no map. Returns its fd.
int clinux_bpf_load_pass(void);

// Attaches a loaded sk_lookup program to the network namespace behind an fd. Returns the link's fd.
int clinux_bpf_attach_netns(int program, int netns, uint32_t flags);

// Points a link at another program; `old` is the one it must have for that, or -1.
int clinux_bpf_update_link(int link, int program, int old);

// What bpf_link_info says. Swift cannot import its union.
struct clinux_link_information {
    uint32_t id, type, attach_type, program, netns;
};
int clinux_bpf_link_information(int link, struct clinux_link_information *information);

int clinux_bpf_program_id(int program, uint32_t *id);

// The inode of the network namespace that a link is attached to; 0 once that is being dismantled.
int clinux_bpf_link_namespace(int link, uint32_t *inode);

// A pinned map or program, as a new fd. From Swift, the padding of libbpf's options may hold anything, which it refuses.
int clinux_bpf_open_pinned(const char *path, uint32_t flags);

// What bpf_map_info says.
// libbpf refuses options with anything but zeros in their padding (EINVAL), and optimised Swift leaves that undefined.

/// bpf_map_create_opts with these flags.
int clinux_bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size, uint32_t value_size,
                          uint32_t max_entries, uint32_t flags);

struct clinux_map_shape {
    uint32_t type, key_size, value_size, max_entries;
};
int clinux_bpf_map_shape(int map, struct clinux_map_shape *shape);

// What BPF_PROG_TEST_RUN shows an sk_lookup program. Struct bpf_sk_lookup has members that Swift cannot import.
struct clinux_lookup {
    uint32_t family;   // AF_INET or AF_INET6
    uint32_t protocol; // IPPROTO_TCP or IPPROTO_UDP
    uint8_t remote[16], local[16]; // network order; IPv4 in the first four
    uint16_t remote_port, local_port; // host order
    uint32_t ingress_ifindex;
};

// Runs an sk_lookup program without a packet: `returned` is SK_DROP (0) or SK_PASS (1), `cookie` that of
// the selected socket, or 0.
int clinux_bpf_test_run(int program, const struct clinux_lookup *lookup, uint32_t *returned, uint64_t *cookie);

// The same many times, and how many nanoseconds one took on average.
int clinux_bpf_time_run(int program, const struct clinux_lookup *lookup, int repetitions, uint32_t *nanoseconds);

// MARK: namespaces and threads

// Makes a network namespace and returns an fd that keeps it; the calling thread stays where it was.
// A failure to come back (which takes losing CAP_SYS_ADMIN in between) aborts: a thread that is lost in
// another namespace must not go on.
int clinux_new_network_namespace(void);

// An fd for the calling thread's network namespace.
int clinux_current_network_namespace(void);

// Moves the calling thread, and only it, to the network namespace behind an fd.
int clinux_enter_network_namespace(int netns);

// Opens a socket that belongs to user `uid`: the user whose sockets may share a port with it (SO_REUSEPORT).
// Only the calling thread's file-system identity changes, and only for the call; a thread that could not have
// its own back aborts.
int clinux_socket_as(uid_t uid, int domain, int type);
// Opens and closes a netlink socket in the network namespace behind an fd.
int clinux_touch_netlink(int netns);

// MARK: privilege

// Makes only the capabilities of `mask` (bit N is capability N) effective in the calling thread; `before` is what
// was. Those that stay permitted can be taken back by clinux_set_effective.
int clinux_limit_effective(uint64_t mask, uint64_t *before);
int clinux_set_effective(uint64_t mask);

// A BPF file system that is mounted nowhere and goes with the fd; reach its files through /proc/self/fd/N.
int clinux_bpf_file_system(void);

// Whether a path is in a BPF file system: 1 or 0.
int clinux_is_bpf_file_system(const char *path);

// MARK: datagrams

// Asks for the destination of every datagram, for both families on a dual-stack socket, so that
// clinux_receive_datagram can tell it, port included.
int clinux_enable_destination(int fd);

// Receives one datagram; returns its length, cut to `length`. `destination` is what the sender wrote on
// it: address and port, after clinux_enable_destination; else ss_family is AF_UNSPEC. On an IPv6 socket
// IPv4 addresses are v4-mapped. `flags` are recvmsg's, such as MSG_DONTWAIT. Either may be NULL.
ssize_t clinux_receive_datagram(int fd, void *buffer, size_t length, int flags,
                                struct sockaddr_storage *source, struct sockaddr_storage *destination);

// Sends one datagram to `destination` from the address of `source` and the socket's own port. Either may
// be IPv4 on an IPv6 socket. A NULL or wildcard source leaves the choice to the kernel.
ssize_t clinux_send_datagram(int fd, const void *buffer, size_t length, int flags,
                             const struct sockaddr_storage *destination, const struct sockaddr_storage *source);

// Queues ICMP errors on a UDP socket for clinux_next_error, for both families on a dual-stack socket.
int clinux_enable_error_queue(int fd);

