#define _GNU_SOURCE
#include "identity.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// What stragglers are to become. Written before the first of them is told, and by one thread.
static struct {
    uid_t user;
    gid_t group;
    const gid_t *groups;
    size_t count;
} wanted;

// Bare system calls, which change the calling thread alone and may be made in a handler.
static void follow(int number)
{
    int saved = errno;

    (void)number;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_setgroups, wanted.count, wanted.groups);
    syscall(SYS_setresgid, wanted.group, wanted.group, wanted.group);
    syscall(SYS_setresuid, wanted.user, wanted.user, wanted.user);
    errno = saved;
}

// Whether a thread is who it should be, with nothing left.
static bool has_followed(const char *thread)
{
    char path[64], line[256];
    int found = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", thread);
    file = fopen(path, "re");
    if (!file)
        return errno == ENOENT; // It has ended.
    while (fgets(line, sizeof(line), file)) {
        unsigned int id[4];
        unsigned long long set;

        if (sscanf(line, "Uid: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]) == 4)
            found += id[0] == wanted.user && id[1] == wanted.user && id[2] == wanted.user && id[3] == wanted.user;
        else if (sscanf(line, "Gid: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]) == 4)
            found += id[0] == wanted.group && id[1] == wanted.group && id[2] == wanted.group && id[3] == wanted.group;
        else if (sscanf(line, "CapPrm: %llx", &set) == 1)
            found += set == 0 || wanted.user == 0;
    }
    fclose(file);
    return found == 3;
}

// The C library leaves out threads that are exiting, and a main thread that called pthread_exit counts as one for as
// long as the process lives: libdispatch parks it so, with a signal mask that lets signals through. Left as root, it
// would run any handler as root.
static int change_stragglers(void)
{
    struct sigaction action = {.sa_handler = follow, .sa_flags = SA_RESTART}, before;
    int number = SIGRTMAX, result = -ETIMEDOUT;

    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, &before))
        return -errno;
    for (int tries = 0; tries < 1000 && result == -ETIMEDOUT; tries++) {
        DIR *tasks = opendir("/proc/self/task");
        int left = 0;

        if (!tasks) {
            result = -errno;
            break;
        }
        for (struct dirent *task; (task = readdir(tasks));) {
            if (!isdigit((unsigned char)task->d_name[0]) || has_followed(task->d_name))
                continue;
            left++;
            if (tries == 0)
                syscall(SYS_tgkill, getpid(), atoi(task->d_name), number);
        }
        closedir(tasks);
        if (left)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        else
            result = 0;
    }
    sigaction(number, &before, NULL);
    return result;
}

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
    *call = "changing every thread's identity";
    wanted.user = user;
    wanted.group = group;
    wanted.groups = groups;
    wanted.count = count;
    return change_stragglers();
}

static _Thread_local struct {
    gid_t groups[64];
    long count;
} oneself;

// setfsuid(2) and setfsgid(2) tell of no error: what they return for a wrong id is who the thread then is.
static int act(uid_t user, gid_t group)
{
    setfsgid(group);
    setfsuid(user);
    return (uid_t)setfsuid((uid_t)-1) == user && (gid_t)setfsgid((gid_t)-1) == group ? 0 : -EPERM;
}

int clinux_act_as(uid_t user, gid_t group)
{
    oneself.count = syscall(SYS_getgroups, sizeof(oneself.groups) / sizeof(*oneself.groups), oneself.groups);
    // The bare call: the library's changes all threads.
    if (oneself.count < 0 || syscall(SYS_setgroups, 0, NULL))
        return -errno;
    return act(user, group);
}

int clinux_act_as_oneself(void)
{
    int error = act(geteuid(), getegid());
    if (error)
        return error;
    return syscall(SYS_setgroups, oneself.count, oneself.groups) ? -errno : 0;
}
