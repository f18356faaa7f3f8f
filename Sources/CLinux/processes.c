#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int clinux_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

// Not in every libc; the numbers are the same on all architectures.
int clinux_pidfd_open(int process)
{
    int fd = (int)syscall(434, process, 0);
    return fd < 0 ? -errno : fd;
}

int clinux_pidfd_getfd(int pidfd, int descriptor)
{
    int fd = (int)syscall(438, pidfd, descriptor, 0);
    return fd < 0 ? -errno : fd;
}
