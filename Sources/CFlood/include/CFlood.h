// Packets made beforehand, and sent as fast as one processor can.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Each int returned is 0 or more on success and -errno on failure.

// Of every frame; shorter ones are followed by zeros.
#define FLOOD_FRAME 80

struct flood_packet {
    int family;                    // AF_INET or AF_INET6
    int protocol;                  // IPPROTO_UDP: without payload; IPPROTO_TCP: a SYN
    uint8_t source[16], destination[16]; // network order; IPv4 in the first four
    uint16_t source_port, destination_port; // host order
};

// Writes a frame between the hardware addresses, with correct checksums. Returns its length.
int flood_frame(uint8_t frame[FLOOD_FRAME], const uint8_t from[6], const uint8_t to[6],
                const struct flood_packet *packet);

// A packet socket that sends on a device, past its queue.
int flood_socket(const char *device);

// The hardware address of a device.
int flood_hardware_address(const char *device, uint8_t address[6]);

// Sends `total` frames of `length` bytes, those of `frames` in turn, and tells how much of the calling thread's time it
// took. What loops back over a veth pair is received in that time, too.
int flood_send(int fd, const uint8_t *frames, int count, int length, int total, uint64_t *nanoseconds);

// Has a socket drop all that it gets, by a filter.
int flood_drop_all(int fd);

// How many packets a socket has dropped.
int flood_drops(int fd, uint32_t *drops);

// Keeps the calling thread on one processor.
int flood_pin(int processor);
