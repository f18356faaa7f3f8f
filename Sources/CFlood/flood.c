#define _GNU_SOURCE

#include "CFlood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static uint32_t sum(const void *data, size_t length, uint32_t sum)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons(~sum & 0xffff);
}

int flood_frame(uint8_t frame[FLOOD_FRAME], const uint8_t from[6], const uint8_t to[6],
                const struct flood_packet *packet)
{
    memset(frame, 0, FLOOD_FRAME);
    struct ethhdr ethernet = {.h_proto = htons(packet->family == AF_INET ? ETH_P_IP : ETH_P_IPV6)};
    memcpy(ethernet.h_dest, to, 6);
    memcpy(ethernet.h_source, from, 6);
    memcpy(frame, &ethernet, sizeof(ethernet));

    size_t size = packet->family == AF_INET ? 4 : 16;
    size_t header = packet->family == AF_INET ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
    uint16_t length = packet->protocol == IPPROTO_UDP ? sizeof(struct udphdr) : sizeof(struct tcphdr);
    uint8_t *network = frame + sizeof(ethernet), *transport = network + header;

    uint32_t pseudo = sum(packet->source, size, 0);
    pseudo = sum(packet->destination, size, pseudo) + packet->protocol + length;
    if (packet->protocol == IPPROTO_UDP) {
        struct udphdr udp = {
            .source = htons(packet->source_port), .dest = htons(packet->destination_port), .len = htons(length)};
        udp.check = folded(sum(&udp, sizeof(udp), pseudo));
        memcpy(transport, &udp, sizeof(udp));
    } else {
        struct tcphdr tcp = {
            .source = htons(packet->source_port), .dest = htons(packet->destination_port), .doff = 5, .syn = 1,
            .window = htons(65535)};
        tcp.check = folded(sum(&tcp, sizeof(tcp), pseudo));
        memcpy(transport, &tcp, sizeof(tcp));
    }
    if (packet->family == AF_INET) {
        struct iphdr ip = {.version = 4, .ihl = 5, .tot_len = htons(header + length), .ttl = 64,
                           .protocol = packet->protocol};
        memcpy(&ip.saddr, packet->source, 4);
        memcpy(&ip.daddr, packet->destination, 4);
        ip.check = folded(sum(&ip, sizeof(ip), 0));
        memcpy(network, &ip, sizeof(ip));
    } else {
        struct ip6_hdr ip = {.ip6_flow = htonl(6u << 28), .ip6_plen = htons(length), .ip6_nxt = packet->protocol,
                             .ip6_hlim = 64};
        memcpy(&ip.ip6_src, packet->source, 16);
        memcpy(&ip.ip6_dst, packet->destination, 16);
        memcpy(network, &ip, sizeof(ip));
    }
    return (int)(sizeof(ethernet) + header + length);
}

int flood_socket(const char *device)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int one = 1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device)};
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int flood_hardware_address(const char *device, uint8_t address[6])
{
    struct ifreq request = {};
    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = ioctl(fd, SIOCGIFHWADDR, &request) ? -errno : 0;
    close(fd);
    memcpy(address, request.ifr_hwaddr.sa_data, 6);
    return error;
}

#define BATCH 64

int flood_send(int fd, const uint8_t *frames, int count, int length, int total, uint64_t *nanoseconds)
{
    struct mmsghdr messages[BATCH] = {};
    struct iovec vectors[BATCH];
    for (int i = 0; i < BATCH; i++) {
        vectors[i].iov_len = length;
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    struct timespec start, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (int sent = 0; sent < total;) {
        int size = total - sent < BATCH ? total - sent : BATCH;
        for (int i = 0; i < size; i++)
            vectors[i].iov_base = (void *)(frames + (size_t)((sent + i) % count) * FLOOD_FRAME);
        int done = sendmmsg(fd, messages, size, 0);
        if (done < 0) {
            if (errno == EINTR || errno == ENOBUFS || errno == EAGAIN)
                continue;
            return -errno;
        }
        sent += done;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    *nanoseconds = (uint64_t)(end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec;
    return 0;
}

int flood_drop_all(int fd)
{
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {.len = 1, .filter = &none};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ? -errno : 0;
}

int flood_drops(int fd, uint32_t *drops)
{
    uint32_t memory[SK_MEMINFO_VARS] = {};
    socklen_t size = sizeof(memory);
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size))
        return -errno;
    *drops = memory[SK_MEMINFO_DROPS];
    return 0;
}

int flood_pin(int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}
