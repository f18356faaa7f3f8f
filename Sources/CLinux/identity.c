#define _GNU_SOURCE
#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_become(uid_t user, gid_t group, const gid_t *groups, size_t count, const char **call)
{
    uid_t users[3];
    gid_t own[3];
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    *call = "prctl(PR_SET_NO_NEW_PRIVS)";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    // What may keep capabilities through a change of user.
    *call = "prctl(PR_SET_KEEPCAPS)";
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
        return -errno;
    *call = "prctl(PR_CAP_AMBIENT)";
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        return -errno;
    // The C library has every thread do these; a bare system call changes one thread only.
    *call = "setgroups";
    if (setgroups(count, groups))
        return -errno;
    *call = "setresgid";
    if (setresgid(group, group, group))
        return -errno;
    *call = "setresuid";
    if (setresuid(user, user, user))
        return -errno;

    *call = "getresuid";
    if (getresuid(&users[0], &users[1], &users[2]) || getresgid(&own[0], &own[1], &own[2]))
        return -errno;
    for (int i = 0; i < 3; i++)
        if (users[i] != user || own[i] != group)
            return -ENOTRECOVERABLE;
    *call = "setuid(0)";
    if (user != 0 && setuid(0) == 0)
        return -ENOTRECOVERABLE;
    *call = "capget";
    if (syscall(SYS_capget, &header, data))
        return -errno;
    if (user != 0 && (data[0].permitted | data[1].permitted | data[0].effective | data[1].effective))
        return -ENOTRECOVERABLE;
    return 0;
}
