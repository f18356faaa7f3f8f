#define _GNU_SOURCE

#include "sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int clinux_join(int fd, const struct sockaddr_storage *group, const char *device)
{
    int index = if_nametoindex(device), result;
    if (!index)
        return -errno;
    if (group->ss_family == AF_INET) {
        struct ip_mreqn request = {.imr_multiaddr = ((const struct sockaddr_in *)group)->sin_addr,
                                   .imr_ifindex = index};
        result = setsockopt(fd, SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request));
    } else {
        struct ipv6_mreq request = {.ipv6mr_multiaddr = ((const struct sockaddr_in6 *)group)->sin6_addr,
                                    .ipv6mr_interface = index};
        result = setsockopt(fd, SOL_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof(request));
    }
    return result ? -errno : 0;
}

int clinux_disconnect(int fd)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    return connect(fd, &nobody, sizeof(nobody)) ? -errno : 0;
}

int clinux_tcp_info(int fd, uint32_t *options, uint32_t *path_mtu)
{
    struct tcp_info info = {};
    socklen_t size = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
        return -errno;
    *options = info.tcpi_options;
    *path_mtu = info.tcpi_pmtu;
    return 0;
}

int clinux_tcp_sequence(int fd, uint32_t *sequence)
{
    // -1 ends the repair without a window probe, which would be a packet of its own.
    int on = 1, off = -1, queue = 2 /* TCP_SEND_QUEUE */, result = 0;
    socklen_t size = sizeof(*sequence);
    if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
        return -errno;
    if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) ||
        getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, sequence, &size))
        result = -errno;
    if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) && !result)
        result = -errno;
    return result;
}

static __be16 put(const struct sockaddr_storage *endpoint, __be32 address[4])
{
    if (endpoint->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)endpoint;
        memcpy(address, &v4->sin_addr, 4);
        return v4->sin_port;
    }
    const struct sockaddr_in6 *v6 = (const void *)endpoint;
    memcpy(address, &v6->sin6_addr, 16);
    return v6->sin6_port;
}

int clinux_find_socket(int protocol, const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
                       uint64_t *cookie)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } question = {
        .header = {.nlmsg_len = sizeof(question), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = local->ss_family, .sdiag_protocol = protocol, .idiag_states = -1},
    };
    struct inet_diag_sockid *id = &question.request.id;
    // UDP's lookup takes the source of a packet for what everything else calls the socket's peer.
    const struct sockaddr_storage *source = protocol == IPPROTO_UDP ? remote : local;
    const struct sockaddr_storage *destination = protocol == IPPROTO_UDP ? local : remote;
    id->idiag_sport = put(source, id->idiag_src);
    id->idiag_dport = put(destination, id->idiag_dst);
    id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;

    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return -errno;
    _Alignas(struct nlmsghdr) char buffer[8192];
    int result = 0;
    ssize_t length = 0;
    if (send(netlink, &question, sizeof(question), 0) < 0 || (length = recv(netlink, buffer, sizeof(buffer), 0)) < 0)
        result = -errno;
    close(netlink);
    if (result)
        return result;
    const struct nlmsghdr *answer = (const void *)buffer;
    if (!NLMSG_OK(answer, (size_t)length))
        return -EBADMSG;
    if (answer->nlmsg_type == NLMSG_ERROR)
        return ((const struct nlmsgerr *)NLMSG_DATA(answer))->error ?: -EBADMSG;
    const struct inet_diag_msg *found = NLMSG_DATA(answer);
    *cookie = found->id.idiag_cookie[0] | (uint64_t)found->id.idiag_cookie[1] << 32;
    return 0;
}

int clinux_echo(int family)
{
    int v6 = family == AF_INET6;
    int raw = socket(family, SOCK_RAW | SOCK_CLOEXEC, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (raw < 0)
        return -errno;
    // Type, code, checksum, identifier, sequence. The kernel fills in ICMPv6's checksum; this is ICMP's.
    uint16_t identifier = (uint16_t)raw ^ (uint16_t)getpid();
    unsigned char echo[8] = {v6 ? 128 : 8, 0, 0, 0, identifier >> 8, identifier & 0xff, 0, 1};
    uint32_t sum = 0x0800 + identifier + 1;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    if (!v6) {
        echo[2] = sum >> 8;
        echo[3] = sum;
    }
    struct sockaddr_in loopback4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 loopback6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const void *to = v6 ? (void *)&loopback6 : (void *)&loopback4;
    int result = sendto(raw, echo, sizeof(echo), 0, to, v6 ? sizeof(loopback6) : sizeof(loopback4)) < 0 ? -errno : 1;
    while (result == 1) {
        struct pollfd waiting = {.fd = raw, .events = POLLIN};
        int ready = poll(&waiting, 1, 5000);
        if (ready <= 0) {
            result = ready ? -errno : -ETIMEDOUT;
            break;
        }
        unsigned char packet[2048];
        ssize_t length = recv(raw, packet, sizeof(packet), 0);
        // IPv4's raw sockets receive the IP header, too.
        size_t header = v6 || length < 1 ? 0 : 4 * (packet[0] & 15);
        if (length >= (ssize_t)(header + 8) && packet[header] == (v6 ? 129 : 0) &&
            !memcmp(packet + header + 4, echo + 4, 4))
            result = 0;
    }
    close(raw);
    return result;
}

int clinux_mptcp_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 262 /* IPPROTO_MPTCP */);
    return fd < 0 ? -errno : fd;
}

int clinux_socket_network_namespace(int fd)
{
    // The kernel makes the new fd close-on-exec.
    int netns = ioctl(fd, SIOCGSKNS);
    return netns < 0 ? -errno : netns;
}
