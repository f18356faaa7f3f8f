// epoll, accept and network interfaces: system calls that Swift's Glibc module does not import.
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#define CLINUX_READABLE 1u
#define CLINUX_WRITABLE 2u
#define CLINUX_ERROR 4u
// To add only: of several epolls that watch one socket, not all are woken (EPOLLEXCLUSIVE).
#define CLINUX_EXCLUSIVE 8u

// One ready descriptor: the id it was added with, and CLINUX_* flags.
struct clinux_event {
    uint64_t id;
    uint32_t flags;
};

// Each returns 0 or more on success and -errno on failure.
int clinux_epoll_create(void);
int clinux_epoll_add(int epoll, int descriptor, uint32_t flags, uint64_t id);
int clinux_epoll_modify(int epoll, int descriptor, uint32_t flags, uint64_t id);
int clinux_epoll_remove(int epoll, int descriptor);
int clinux_epoll_wait(int epoll, struct clinux_event *events, int capacity, int milliseconds);

// accept4(2), non-blocking and close-on-exec.
int clinux_accept(int listener);

// Whether an interface of the calling thread's namespace is up with its carrier on (IFF_RUNNING): 1 or 0.
int clinux_interface_running(const char *name);

// Restricts the calling thread to the first processor it may run on; clinux_unpin, on the same thread, undoes that.
int clinux_pin(void);
int clinux_unpin(void);

/// Lets the calling thread run on every processor that its process may use. 0, or -errno.
int clinux_use_every_processor(void);

// Has a classic filter pick the same member of a reuseport group for every packet (SO_ATTACH_REUSEPORT_CBPF).
int clinux_attach_reuseport_filter(int socket, uint32_t member);

// How many connections a TCP listener has to accept.
int clinux_accept_queue(int listener);

// The processor that the calling thread is on.
int clinux_processor(void);

// fork(2), which Swift hides because a child of a program with threads may do almost nothing: draw, write, _exit.
int clinux_fork(void);
