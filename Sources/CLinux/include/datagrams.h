// Datagrams received and answered many at a time, and what a server needs of sockets besides.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

// Each int returned is 0 or more on success and -errno on failure.

// One datagram of a batch, and the answer to it.
struct clinux_datagram {
    const uint8_t *query;
    uint8_t *answer;        // room for the batch's answer_capacity
    uint32_t query_length;  // cut to the batch's query_capacity
    uint32_t answer_length; // to be set by whoever answers; 0, as it is on arrival, for no answer
    // In host order; an IPv4 address, v4-mapped or not, is in the low 32 bits.
    uint64_t source_high, source_low;
    uint16_t source_port;
    uint8_t source_family; // 4, 6, or 0 for neither
};

// Buffers for `capacity` datagrams, allocated once.
struct clinux_batch {
    struct clinux_datagram *datagrams;
    int capacity;
    uint32_t query_capacity, answer_capacity;
    struct clinux_batch_messages *messages; // the kernel's view of them
};

// The address that a socket is bound to, in host order; a wildcard is nobody's.
struct clinux_bound {
    uint64_t high, low;
    uint8_t family; // 4 or 6
};

// NULL without memory.
struct clinux_batch *clinux_batch_create(int capacity, uint32_t query_capacity, uint32_t answer_capacity);
void clinux_batch_destroy(struct clinux_batch *batch);

// Receives what is there, never waiting; the number of datagrams, or -EAGAIN.
int clinux_batch_receive(struct clinux_batch *batch, int fd);

// Sends the answers to the first `count` datagrams, each to the source of its query and from the address that was
// asked, never waiting; the number sent. Those that the kernel refused are counted in `refused`.
int clinux_batch_send(
    struct clinux_batch *batch, int fd, const struct clinux_bound *bound, int count, int *refused);

// Has a UDP socket tell the address that each datagram was sent to, and answer from it. IPv6 refuses a source that is
// local only by a route (AnyIP) unless the socket may bind to any address, so that is allowed.
int clinux_tell_destination(int fd);

// Takes the pending error of a socket and empties its error queue, either of which epoll reports until then.
void clinux_forget_errors(int fd);

// accept4(2), non-blocking and close-on-exec, and the peer.
int clinux_accept_from(int listener, struct sockaddr_storage *peer);

// An eventfd, non-blocking and close-on-exec.
int clinux_eventfd(void);

// The name of an errno, as "EAGAIN"; NULL for none.
const char *clinux_error_name(int number);

// A counter that one thread writes and any thread may read: no more than plain loads and stores, which do not tear.
static inline void clinux_counter_add(uint64_t *counter, uint64_t amount)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + amount, __ATOMIC_RELAXED);
}

static inline uint64_t clinux_counter_load(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}
