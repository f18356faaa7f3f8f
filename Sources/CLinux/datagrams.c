#define _GNU_SOURCE
#include "datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

// Room for PKTINFO of both families and for what an inherited socket may have switched on besides.
#define CONTROL_SIZE 256

struct slot {
    struct sockaddr_storage name;
    struct iovec received, sent;
    _Alignas(struct cmsghdr) unsigned char control[CONTROL_SIZE];
};

struct clinux_batch_messages {
    struct slot *slots;
    struct mmsghdr *received, *sent;
    unsigned char *bytes;
    int used; // how many of `received` the kernel has written to
};

static void expect(struct clinux_batch_messages *messages, int i)
{
    struct msghdr *header = &messages->received[i].msg_hdr;

    header->msg_namelen = sizeof(messages->slots[i].name);
    header->msg_controllen = CONTROL_SIZE;
    header->msg_flags = 0;
}

struct clinux_batch *clinux_batch_create(int capacity, uint32_t query_capacity, uint32_t answer_capacity)
{
    // Not a multiple of the page size: buffers at equal offsets in their pages would share a few cache sets.
    size_t stride = ((size_t)query_capacity + answer_capacity + 127) / 64 * 64 + 64;
    struct clinux_batch *batch = calloc(1, sizeof(*batch));
    struct clinux_batch_messages *messages = calloc(1, sizeof(*messages));

    if (!batch || !messages) {
        free(batch);
        free(messages);
        return NULL;
    }
    batch->capacity = capacity;
    batch->query_capacity = query_capacity;
    batch->answer_capacity = answer_capacity;
    batch->messages = messages;
    batch->datagrams = calloc(capacity, sizeof(*batch->datagrams));
    messages->slots = calloc(capacity, sizeof(*messages->slots));
    messages->received = calloc(capacity, sizeof(*messages->received));
    messages->sent = calloc(capacity, sizeof(*messages->sent));
    messages->bytes = calloc(capacity, stride);
    if (!batch->datagrams || !messages->slots || !messages->received || !messages->sent || !messages->bytes) {
        clinux_batch_destroy(batch);
        return NULL;
    }
    for (int i = 0; i < capacity; i++) {
        struct slot *slot = &messages->slots[i];
        struct msghdr *header = &messages->received[i].msg_hdr;

        slot->received = (struct iovec){.iov_base = messages->bytes + i * stride, .iov_len = query_capacity};
        slot->sent = (struct iovec){.iov_base = messages->bytes + i * stride + query_capacity};
        header->msg_name = &slot->name;
        header->msg_iov = &slot->received;
        header->msg_iovlen = 1;
        header->msg_control = slot->control;
        expect(messages, i);
        batch->datagrams[i].query = slot->received.iov_base;
        batch->datagrams[i].answer = slot->sent.iov_base;
    }
    return batch;
}

void clinux_batch_destroy(struct clinux_batch *batch)
{
    if (!batch)
        return;
    free(batch->messages->slots);
    free(batch->messages->received);
    free(batch->messages->sent);
    free(batch->messages->bytes);
    free(batch->messages);
    free(batch->datagrams);
    free(batch);
}

static uint64_t word(const unsigned char *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof(value));
    return __builtin_bswap64(value);
}

static void describe_source(const struct sockaddr_storage *name, struct clinux_datagram *datagram)
{
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;

        datagram->source_family = 4;
        datagram->source_port = ntohs(v4->sin_port);
        datagram->source_high = 0;
        datagram->source_low = ntohl(v4->sin_addr.s_addr);
    } else if (name->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;

        datagram->source_port = ntohs(v6->sin6_port);
        datagram->source_high = word(v6->sin6_addr.s6_addr);
        datagram->source_low = word(v6->sin6_addr.s6_addr + 8);
        datagram->source_family = 6;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            datagram->source_family = 4;
            datagram->source_low &= 0xffffffff;
        }
    } else {
        datagram->source_family = 0;
    }
}

int clinux_batch_receive(struct clinux_batch *batch, int fd)
{
    struct clinux_batch_messages *messages = batch->messages;

    for (int i = 0; i < messages->used; i++)
        expect(messages, i);
    messages->used = 0;
    int count = recvmmsg(fd, messages->received, batch->capacity, MSG_DONTWAIT, NULL);
    if (count < 0)
        return -errno;
    messages->used = count;
    for (int i = 0; i < count; i++) {
        struct clinux_datagram *datagram = &batch->datagrams[i];

        datagram->query_length = messages->received[i].msg_len;
        datagram->answer_length = 0;
        describe_source(&messages->slots[i].name, datagram);
    }
    return count;
}

// Turns what came with a query into what its answer is sent with: the address asked, and no interface, since the route
// back need not be the way it came. A link-local address means nothing without its interface, which is kept. What
// was sent to the address that the socket is bound to needs no telling.
static void answer_from(const struct msghdr *received, struct msghdr *sent, const struct clinux_bound *bound)
{
    sent->msg_control = NULL;
    sent->msg_controllen = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(received); part; part = CMSG_NXTHDR((struct msghdr *)received, part)) {
        if (part->cmsg_level == SOL_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(part), sizeof(info));
            if (bound->family == 4 && ntohl(info.ipi_spec_dst.s_addr) == bound->low)
                continue;
            // For a broadcast or multicast query, spec_dst is the address of this host to answer from.
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(part), &info, sizeof(info));
        } else if (part->cmsg_level == SOL_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(part), sizeof(info));
            if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
                continue;
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
                if (bound->family == 6 && word(info.ipi6_addr.s6_addr) == bound->high &&
                    word(info.ipi6_addr.s6_addr + 8) == bound->low)
                    continue;
                info.ipi6_ifindex = 0;
            }
            memcpy(CMSG_DATA(part), &info, sizeof(info));
        } else {
            continue;
        }
        sent->msg_control = part;
        sent->msg_controllen = CMSG_ALIGN(part->cmsg_len);
    }
}

int clinux_batch_send(
    struct clinux_batch *batch, int fd, const struct clinux_bound *bound, int count, int *refused)
{
    struct clinux_batch_messages *messages = batch->messages;
    int answers = 0, done = 0, sent = 0, tried = 0;

    for (int i = 0; i < count; i++) {
        struct slot *slot = &messages->slots[i];
        struct msghdr *header = &messages->sent[answers].msg_hdr;

        if (!batch->datagrams[i].answer_length)
            continue;
        slot->sent.iov_len = batch->datagrams[i].answer_length;
        header->msg_name = &slot->name;
        header->msg_namelen = messages->received[i].msg_hdr.msg_namelen;
        header->msg_iov = &slot->sent;
        header->msg_iovlen = 1;
        answer_from(&messages->received[i].msg_hdr, header, bound);
        answers++;
    }
    while (done < answers) {
        int accepted = sendmmsg(fd, messages->sent + done, answers - done, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (accepted > 0) {
            done += accepted;
            sent += accepted;
            tried = 0;
        } else if (errno == EINTR) {
            continue;
        } else if (errno == EAGAIN || errno == EBADF || errno == ENOTSOCK) {
            // Those that follow would meet with the same.
            break;
        } else if (!tried) {
            // It may have been the error of an earlier answer, which is told once, to whoever comes next.
            tried = 1;
        } else {
            done++;
            tried = 0;
        }
    }
    *refused = answers - sent;
    return sent;
}

int clinux_tell_destination(int fd)
{
    int domain, on = 1;
    socklen_t size = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size))
        return -errno;
    if (domain == AF_INET)
        return setsockopt(fd, SOL_IP, IP_PKTINFO, &on, sizeof(on)) ? -errno : 0;
    // Tells IPv4 destinations of a dual-stack socket too, as v4-mapped addresses.
    if (setsockopt(fd, SOL_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)))
        return -errno;
    return setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &on, sizeof(on)) ? -errno : 0;
}

void clinux_forget_errors(int fd)
{
    int error;
    socklen_t size = sizeof(error);
    char byte;

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    for (int i = 0; i < 1024 && recv(fd, &byte, 1, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0; i++)
        ;
}

int clinux_accept_from(int listener, struct sockaddr_storage *peer)
{
    socklen_t size = sizeof(*peer);
    int fd = accept4(listener, (struct sockaddr *)peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int clinux_eventfd(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

const char *clinux_error_name(int number) { return strerrorname_np(number); }
