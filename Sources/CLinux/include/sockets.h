// Calls on sockets that Swift's Glibc module does not import, and what sock_diag tells of them.
#pragma once

#include <stdint.h>
#include <sys/socket.h>

// Each returns 0 or more on success and -errno on failure.

// Joins a multicast group, IPv4 or IPv6, on a device.
int clinux_join(int fd, const struct sockaddr_storage *group, const char *device);

// connect(2) with AF_UNSPEC.
int clinux_disconnect(int fd);

// TCP_INFO's tcpi_options and tcpi_pmtu.
int clinux_tcp_info(int fd, uint32_t *options, uint32_t *path_mtu);

// The sequence number of the first byte that a TCP socket has not sent yet. Takes CAP_NET_ADMIN, and leaves the
// socket without SO_REUSEADDR, as TCP_REPAIR does.
int clinux_tcp_sequence(int fd, uint32_t *sequence);

// The cookie of the socket that the kernel finds for a pair of endpoints, asked in the calling thread's namespace.
// -ENOENT if it finds none, or cannot look for sockets of this protocol.
int clinux_find_socket(int protocol, const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
                       uint64_t *cookie);

// ICMP echo through loopback and back on a raw socket: what was sent to loopback before, from this processor, has
// been dealt with when this returns. -ETIMEDOUT after five seconds.
int clinux_echo(int family);

// An MPTCP socket.
int clinux_mptcp_socket(int family);

// The network namespace of a socket, as a new fd. Takes CAP_NET_ADMIN in it.
int clinux_socket_network_namespace(int fd);
