// Whom a process is, and may become.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Makes the whole process another user for good: supplementary groups, group and user, real, effective and saved, for
// all threads; then verifies, of each thread, that nothing is left, and that there is no way back. The calling thread,
// and those that it starts from then on, gain no privileges by exec either (PR_SET_NO_NEW_PRIVS). Needs /proc.
// Returns 0, or -errno with the call that failed, of which a part may have been done: end the process. -ENOTRECOVERABLE
// or -ETIMEDOUT if something was left.
int clinux_become(uid_t user, gid_t group, const gid_t *groups, size_t count, const char **call);

/// Has the calling thread alone act on files as somebody else, with one group (setfsuid(2)); that takes its
/// capabilities over files, too. 0, or -errno.
int clinux_act_as(uid_t user, gid_t group);

/// Has it act as itself again.
int clinux_act_as_oneself(void);
