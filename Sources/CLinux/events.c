#define _GNU_SOURCE
#include "events.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int result(int value) { return value < 0 ? -errno : value; }

static uint32_t to_epoll(uint32_t flags)
{
    return (flags & CLINUX_READABLE ? EPOLLIN : 0u) | (flags & CLINUX_WRITABLE ? EPOLLOUT : 0u) |
        (flags & CLINUX_EXCLUSIVE ? EPOLLEXCLUSIVE : 0u);
}

int clinux_epoll_create(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

static int control(int epoll, int operation, int descriptor, uint32_t flags, uint64_t id)
{
    struct epoll_event event = { .events = to_epoll(flags), .data.u64 = id };

    return result(epoll_ctl(epoll, operation, descriptor, &event));
}

int clinux_epoll_add(int epoll, int descriptor, uint32_t flags, uint64_t id)
{
    return control(epoll, EPOLL_CTL_ADD, descriptor, flags, id);
}

int clinux_epoll_modify(int epoll, int descriptor, uint32_t flags, uint64_t id)
{
    return control(epoll, EPOLL_CTL_MOD, descriptor, flags, id);
}

int clinux_epoll_remove(int epoll, int descriptor) { return control(epoll, EPOLL_CTL_DEL, descriptor, 0, 0); }

int clinux_epoll_wait(int epoll, struct clinux_event *events, int capacity, int milliseconds)
{
    struct epoll_event ready[64];
    int count = epoll_wait(epoll, ready, capacity < 64 ? capacity : 64, milliseconds);

    for (int i = 0; i < count; i++) {
        events[i].id = ready[i].data.u64;
        events[i].flags = (ready[i].events & EPOLLIN ? CLINUX_READABLE : 0u) |
            (ready[i].events & EPOLLOUT ? CLINUX_WRITABLE : 0u) |
            (ready[i].events & (EPOLLERR | EPOLLHUP) ? CLINUX_ERROR : 0u);
    }
    return result(count);
}

int clinux_accept(int listener)
{
    return result(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int clinux_interface_running(const char *name)
{
    struct ifreq request = { 0 };
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int running;

    if (descriptor < 0)
        return -errno;
    strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
    running = result(ioctl(descriptor, SIOCGIFFLAGS, &request));
    // The interface is marked running before its queue is activated, both under one lock. Setting
    // unchanged flags takes that lock, so the queue is active when this returns.
    if (running == 0 && (request.ifr_flags & IFF_RUNNING))
        running = ioctl(descriptor, SIOCSIFFLAGS, &request) < 0 ? -errno : 1;
    close(descriptor);
    return running;
}

static _Thread_local cpu_set_t allowed;

int clinux_pin(void)
{
    cpu_set_t first;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return -errno;
    CPU_ZERO(&first);
    for (int processor = 0; processor < CPU_SETSIZE; processor++) {
        if (CPU_ISSET(processor, &allowed)) {
            CPU_SET(processor, &first);
            break;
        }
    }
    return result(sched_setaffinity(0, sizeof(first), &first));
}

int clinux_attach_reuseport_filter(int socket, uint32_t member)
{
    struct sock_filter answer = { .code = BPF_RET | BPF_K, .k = member };
    struct sock_fprog filter = { .len = 1, .filter = &answer };

    return result(setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof(filter)));
}

int clinux_accept_queue(int listener)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof(info);

    // Of a listener, tcpi_unacked is the length of its queue.
    return getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ? -errno : (int)info.tcpi_unacked;
}

int clinux_processor(void) { return result(sched_getcpu()); }

int clinux_unpin(void) { return result(sched_setaffinity(0, sizeof(allowed), &allowed)); }

int clinux_use_every_processor(void)
{
    cpu_set_t all;

    // The kernel leaves out those that the process may not use.
    memset(&all, 0xFF, sizeof(all));
    return result(sched_setaffinity(0, sizeof(all), &all));
}

int clinux_fork(void) { return result(fork()); }
