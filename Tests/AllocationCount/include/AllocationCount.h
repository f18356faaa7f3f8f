// Counts the allocations of a thread, in a program that this is linked into.
#pragma once

// How often the calling thread has asked for memory so far.
unsigned long allocation_count(void);
