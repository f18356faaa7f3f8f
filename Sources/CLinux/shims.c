#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

// Not in every libc's headers; the numbers are the kernel's ABI.
#ifndef IP_RECVORIGDSTADDR
#define IP_RECVORIGDSTADDR 20
#endif
#ifndef IP_ORIGDSTADDR
#define IP_ORIGDSTADDR IP_RECVORIGDSTADDR
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif
#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR IPV6_RECVORIGDSTADDR
#endif

// MARK: libbpf

// A verifier log says why at its end, so that is what must fit; libbpf's own buffer is smaller.
#define LOG_LIMIT (16 << 20)

// Of this thread, since libbpf's callback has no context argument.
static _Thread_local struct {
    char *text;
    size_t length, capacity;
} said;

static void forget(void)
{
    said.length = 0;
    if (said.text)
        said.text[0] = 0;
}

static int listen_to_libbpf(enum libbpf_print_level level, const char *format, va_list arguments)
{
    if (level == LIBBPF_DEBUG)
        return 0;
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size <= 0 || said.length + size >= LOG_LIMIT)
        return 0;
    if (said.length + size >= said.capacity) {
        size_t capacity = 2 * (said.length + size + 1);
        char *text = realloc(said.text, capacity);
        if (!text)
            return 0;
        said.text = text;
        said.capacity = capacity;
    }
    vsnprintf(said.text + said.length, size + 1, format, arguments);
    said.length += size;
    return size;
}

// Before main, so that no thread ever sees libbpf's default, which writes to stderr.
__attribute__((constructor)) static void redirect_libbpf(void) { libbpf_set_print(listen_to_libbpf); }

const char *clinux_bpf_log(void) { return said.text ? said.text : ""; }

static int load(struct bpf_object *opened, struct bpf_object **object)
{
    if (!opened)
        return -errno;
    int error = bpf_object__load(opened);
    if (error) {
        bpf_object__close(opened);
        return error;
    }
    *object = opened;
    return 0;
}

int clinux_bpf_load(const char *path, struct bpf_object **object)
{
    forget();
    return load(bpf_object__open_file(path, NULL), object);
}

static bool has_layout(const struct bpf_map *map, int pinned)
{
    struct clinux_map_shape shape;
    return map && !clinux_bpf_map_shape(pinned, &shape) && bpf_map__type(map) == shape.type &&
           bpf_map__key_size(map) == shape.key_size && bpf_map__value_size(map) == shape.value_size &&
           bpf_map__max_entries(map) == shape.max_entries;
}

int clinux_bpf_load_with(const char *path, const char *const *names, const int *maps, int count, int *misfit,
                         struct bpf_object **object)
{
    forget();
    *misfit = -1;
    struct bpf_object *opened = bpf_object__open_file(path, NULL);
    if (!opened)
        return -errno;
    for (int i = 0; i < count; i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(opened, names[i]);
        int error = 0;
        if (!has_layout(map, maps[i])) {
            *misfit = i;
            error = -EINVAL;
        } else {
            error = bpf_map__reuse_fd(map, maps[i]);
        }
        if (error) {
            bpf_object__close(opened);
            return error;
        }
    }
    return load(opened, object);
}

int clinux_bpf_program_tag(int program, uint32_t *id, uint8_t tag[8])
{
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    int error = bpf_obj_get_info_by_fd(program, &info, &size);
    if (error)
        return error;
    *id = info.id;
    memcpy(tag, info.tag, 8);
    return 0;
}

int clinux_bpf_load_pass(void)
{
    forget();
    const struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_SK_LOOKUP);
    return bpf_prog_load(BPF_PROG_TYPE_SK_LOOKUP, "pass", "GPL", instructions,
                         sizeof(instructions) / sizeof(instructions[0]), &options);
}

int clinux_bpf_attach_netns(int program, int netns, uint32_t flags)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
    return bpf_link_create(program, netns, BPF_SK_LOOKUP, &options);
}

int clinux_bpf_update_link(int link, int program, int old)
{
    LIBBPF_OPTS(bpf_link_update_opts, options, .flags = old < 0 ? 0 : BPF_F_REPLACE, .old_prog_fd = old < 0 ? 0 : old);
    return bpf_link_update(link, program, &options);
}

int clinux_bpf_link_information(int link, struct clinux_link_information *information)
{
    struct bpf_link_info info = {};
    uint32_t size = sizeof(info);
    int error = bpf_obj_get_info_by_fd(link, &info, &size);
    if (error)
        return error;
    *information = (struct clinux_link_information){info.id, info.type, info.netns.attach_type, info.prog_id,
                                                    info.netns.netns_ino};
    return 0;
}

int clinux_bpf_program_id(int program, uint32_t *id)
{
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    int error = bpf_obj_get_info_by_fd(program, &info, &size);
    *id = info.id;
    return error;
}

int clinux_bpf_link_namespace(int link, uint32_t *inode)
{
    struct bpf_link_info info = { 0 };
    uint32_t size = sizeof(info);
    int error = bpf_obj_get_info_by_fd(link, &info, &size);

    *inode = error ? 0 : info.netns.netns_ino;
    return error;
}

int clinux_bpf_open_pinned(const char *path, uint32_t flags)
{
    LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = flags);
    return bpf_obj_get_opts(path, &options);
}

int clinux_bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size, uint32_t value_size,
                          uint32_t max_entries, uint32_t flags)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
    return bpf_map_create(type, name, key_size, value_size, max_entries, &options);
}

int clinux_bpf_map_shape(int map, struct clinux_map_shape *shape)
{
    struct bpf_map_info info = {};
    __u32 size = sizeof(info);
    int error = bpf_obj_get_info_by_fd(map, &info, &size);
    if (error)
        return error;
    *shape = (struct clinux_map_shape){info.type, info.key_size, info.value_size, info.max_entries};
    return 0;
}

static struct bpf_sk_lookup lookup_context(const struct clinux_lookup *lookup)
{
    struct bpf_sk_lookup context = {
        .family = lookup->family,
        .protocol = lookup->protocol,
        .remote_port = htons(lookup->remote_port),
        .local_port = lookup->local_port,
        .ingress_ifindex = lookup->ingress_ifindex,
    };
    if (lookup->family == AF_INET) {
        memcpy(&context.remote_ip4, lookup->remote, sizeof(context.remote_ip4));
        memcpy(&context.local_ip4, lookup->local, sizeof(context.local_ip4));
    } else {
        memcpy(context.remote_ip6, lookup->remote, sizeof(context.remote_ip6));
        memcpy(context.local_ip6, lookup->local, sizeof(context.local_ip6));
    }
    return context;
}

int clinux_bpf_test_run(int program, const struct clinux_lookup *lookup, uint32_t *returned, uint64_t *cookie)
{
    struct bpf_sk_lookup context = lookup_context(lookup), after = {};
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &context, .ctx_size_in = sizeof(context), .ctx_out = &after,
                .ctx_size_out = sizeof(after));
    int error = bpf_prog_test_run_opts(program, &options);
    if (error)
        return error;
    *returned = options.retval;
    *cookie = after.cookie;
    return 0;
}

int clinux_bpf_time_run(int program, const struct clinux_lookup *lookup, int repetitions, uint32_t *nanoseconds)
{
    struct bpf_sk_lookup context = lookup_context(lookup);
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &context, .ctx_size_in = sizeof(context),
                .repeat = repetitions);
    int error = bpf_prog_test_run_opts(program, &options);
    if (!error)
        *nanoseconds = options.duration;
    return error;
}

// MARK: namespaces and threads

int clinux_current_network_namespace(void)
{
    // Not /proc/self, which is the main thread's.
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int clinux_enter_network_namespace(int netns) { return setns(netns, CLONE_NEWNET) ? -errno : 0; }

int clinux_new_network_namespace(void)
{
    int home = clinux_current_network_namespace();
    if (home < 0)
        return home;
    if (unshare(CLONE_NEWNET)) {
        int error = errno;
        close(home);
        return -error;
    }
    int fresh = clinux_current_network_namespace();
    if (setns(home, CLONE_NEWNET))
        abort();
    close(home);
    return fresh;
}

int clinux_socket_as(uid_t uid, int domain, int type)
{
    // setfsuid(2) cannot fail visibly: asking for an impossible user tells the present one.
    uid_t own = (uid_t)setfsuid((uid_t)-1);
    setfsuid(uid);
    bool changed = (uid_t)setfsuid((uid_t)-1) == uid;
    int fd = changed ? socket(domain, type, 0) : -1;
    int error = changed ? errno : EPERM;
    setfsuid(own);
    if ((uid_t)setfsuid((uid_t)-1) != own)
        abort();
    return fd < 0 ? -error : fd;
}

int clinux_touch_netlink(int netns)
{
    int home = clinux_current_network_namespace();
    if (home < 0)
        return home;
    int error = setns(netns, CLONE_NEWNET) ? -errno : 0;
    if (!error) {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
        error = fd < 0 ? -errno : 0;
        if (fd >= 0)
            close(fd);
        if (setns(home, CLONE_NEWNET))
            abort();
    }
    close(home);
    return error;
}

// MARK: privilege

static int capabilities(uint64_t *effective, const uint64_t *set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {};
    if (syscall(SYS_capget, &header, data))
        return -errno;
    if (effective)
        *effective = data[0].effective | (uint64_t)data[1].effective << 32;
    if (!set)
        return 0;
    data[0].effective = (uint32_t)*set;
    data[1].effective = (uint32_t)(*set >> 32);
    return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int clinux_set_effective(uint64_t mask) { return capabilities(NULL, &mask); }

int clinux_limit_effective(uint64_t mask, uint64_t *before)
{
    int error = capabilities(before, NULL);
    if (error)
        return error;
    mask &= *before;
    return capabilities(NULL, &mask);
}

// Not in every libc's headers.
#ifndef FSCONFIG_CMD_CREATE
#define FSCONFIG_CMD_CREATE 6
#endif

int clinux_bpf_file_system(void)
{
    int context = (int)syscall(SYS_fsopen, "bpf", 1 /* FSOPEN_CLOEXEC */);
    if (context < 0)
        return -errno;
    int mount = -1;
    if (!syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
        mount = (int)syscall(SYS_fsmount, context, 1 /* FSMOUNT_CLOEXEC */, 0);
    int error = mount < 0 ? -errno : 0;
    close(context);
    return error ? error : mount;
}

int clinux_is_bpf_file_system(const char *path)
{
    struct statfs status;
    return statfs(path, &status) ? -errno : status.f_type == 0xCAFE4A11;
}

// MARK: datagrams

static int domain_of(int fd)
{
    int domain;
    socklen_t size = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) ? -errno : domain;
}

// Switches an option on at the IPv4 level, and on an IPv6 socket at the IPv6 level too: an IPv4 packet
// on a dual-stack socket obeys the IPv4 options.
static int enable(int fd, int ipv4, int ipv6)
{
    int domain = domain_of(fd), on = 1;
    if (domain < 0)
        return domain;
    if (domain != AF_INET && domain != AF_INET6)
        return -EAFNOSUPPORT;
    if (domain == AF_INET6 && setsockopt(fd, SOL_IPV6, ipv6, &on, sizeof(on)))
        return -errno;
    return setsockopt(fd, SOL_IP, ipv4, &on, sizeof(on)) ? -errno : 0;
}

int clinux_enable_destination(int fd)
{
    // This one carries the address that the packet bears and its port; PKTINFO has no port.
    return enable(fd, IP_RECVORIGDSTADDR, IPV6_RECVORIGDSTADDR);
}

int clinux_enable_error_queue(int fd) { return enable(fd, IP_RECVERR, IPV6_RECVERR); }

// An IPv6 socket gives and takes IPv4 addresses only as ::ffff:a.b.c.d.
static void map_to_ipv6(struct sockaddr_storage *address)
{
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof(v4));
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = v4.sin_port};
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&v6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
    memset(address, 0, sizeof(*address));
    memcpy(address, &v6, sizeof(v6));
}

ssize_t clinux_receive_datagram(int fd, void *buffer, size_t length, int flags,
                                struct sockaddr_storage *source, struct sockaddr_storage *destination)
{
    struct iovec vector = {.iov_base = buffer, .iov_len = length};
    _Alignas(struct cmsghdr) char control[512];
    struct sockaddr_storage from = {}, to = {};
    struct msghdr message = {
        .msg_name = &from,
        .msg_namelen = sizeof(from),
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    ssize_t received = recvmsg(fd, &message, flags);
    if (received < 0)
        return -errno;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level == SOL_IP && part->cmsg_type == IP_ORIGDSTADDR)
            memcpy(&to, CMSG_DATA(part), sizeof(struct sockaddr_in));
        if (part->cmsg_level == SOL_IPV6 && part->cmsg_type == IPV6_ORIGDSTADDR)
            memcpy(&to, CMSG_DATA(part), sizeof(struct sockaddr_in6));
    }
    if (to.ss_family == AF_INET && from.ss_family == AF_INET6)
        map_to_ipv6(&to);
    if (source)
        *source = from;
    if (destination)
        *destination = to;
    return received;
}

static socklen_t size_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

ssize_t clinux_send_datagram(int fd, const void *buffer, size_t length, int flags,
                             const struct sockaddr_storage *destination, const struct sockaddr_storage *source)
{
    int domain = domain_of(fd);
    if (domain < 0)
        return domain;
    struct sockaddr_storage to = *destination, from = {};
    if (source)
        from = *source;
    if (domain == AF_INET6 && to.ss_family == AF_INET)
        map_to_ipv6(&to);
    if (domain == AF_INET6 && from.ss_family == AF_INET)
        map_to_ipv6(&from);

    struct iovec vector = {.iov_base = (void *)buffer, .iov_len = length};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {};
    struct msghdr message = {
        .msg_name = &to,
        .msg_namelen = size_of(&to),
        .msg_iov = &vector,
        .msg_iovlen = 1,
    };
    struct cmsghdr *part = (struct cmsghdr *)control;
    if (from.ss_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst = ((struct sockaddr_in *)&from)->sin_addr};
        part->cmsg_level = SOL_IP;
        part->cmsg_type = IP_PKTINFO;
        part->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(part), &info, sizeof(info));
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(info));
    } else if (from.ss_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)&from)->sin6_addr)) {
        // Takes v4-mapped addresses too.
        struct in6_pktinfo info = {.ipi6_addr = ((struct sockaddr_in6 *)&from)->sin6_addr};
        part->cmsg_level = SOL_IPV6;
        part->cmsg_type = IPV6_PKTINFO;
        part->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(part), &info, sizeof(info));
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(info));
    }
    ssize_t sent = sendmsg(fd, &message, flags | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

