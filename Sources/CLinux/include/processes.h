// Files and pipes for programs that are started.
#pragma once

// A file in memory that goes with its last descriptor, empty. ENOSYS where the kernel was built without.
int clinux_memory_file(const char *name);

// A pipe: the end to read from, and the one to write to.
int clinux_pipe(int ends[2]);

// A descriptor of a process, and a duplicate of one of its descriptors, close-on-exec.
int clinux_pidfd_open(int process);
int clinux_pidfd_getfd(int pidfd, int descriptor);
