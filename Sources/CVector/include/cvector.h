// Shifts of vectors, which Swift's SIMD types perform lane by lane: the key stream then takes three times as long.
#pragma once
#include <stdint.h>

typedef uint32_t cvector_lanes __attribute__((ext_vector_type(4)));

// Rotates each of the four words to the left by `count`, 1 to 31 bits.
__attribute__((always_inline)) static inline cvector_lanes cvector_rotated(cvector_lanes value, uint32_t count) {
    return (value << count) | (value >> (32 - count));
}
