// PID 1 of a guest: what has to be there before the agent can run, and what is said when the agent is gone.
//
// In C, because a static Swift executable crashes at start where there is no /proc.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The agent reports each line of this file when it is ready.
static const char *const problems = "/run/lab-problems";

static void say(const char *text)
{
	// To the kernel's log and not to the console, so that lines come in the order of the kernel's own.
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[512];
	int count = snprintf(line, sizeof line, "<4>lab-init: %s\n", text);

	if (fd < 0 || write(fd, line, (size_t)count) != count) {
		if (write(STDERR_FILENO, line + 3, (size_t)count - 3) < 0)
			return;
	}
	if (fd >= 0)
		close(fd);
}

static void problem(const char *what, const char *on, int error)
{
	char text[400];
	int fd;

	snprintf(text, sizeof text, "cannot %s %s: %s", what, on, strerror(error));
	say(text);
	fd = open(problems, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (dprintf(fd, "%s\n", text) < 0)
		say("cannot record that");
	close(fd);
}

static void mount_on(const char *type, const char *path, unsigned long flags, const char *data)
{
	mkdir(path, 0755);
	// EBUSY: the kernel has mounted it already.
	if (mount(type, path, type, flags, data) < 0 && errno != EBUSY)
		problem("mount", path, errno);
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		problem("set", path, errno);
	if (fd >= 0)
		close(fd);
}

// Loads /lib/modules/NAME.ko for each "NAME PARAMETERS" in /lib/modules/order: dependencies come first there.
static void load_modules(void)
{
	FILE *order = fopen("/lib/modules/order", "re");
	char name[128];

	if (!order)
		return;
	while (fgets(name, sizeof name, order)) {
		char *parameters = strchr(name, ' ');
		char path[160];
		int fd;

		name[strcspn(name, "\n")] = 0;
		if (parameters)
			*parameters++ = 0;
		snprintf(path, sizeof path, "/lib/modules/%s.ko", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, parameters ? parameters : "", 0) < 0 && errno != EEXIST))
			problem("load module", name, errno);
		if (fd >= 0)
			close(fd);
	}
	fclose(order);
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	// A kernel that cannot power off resets, which ends QEMU just as well.
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

int main(void)
{
	char *const arguments[] = {"lab-guest", NULL};
	char *const environment[] = {"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/", "LANG=C", NULL};
	// Fixtures open tens of thousands of sockets.
	const struct rlimit files = {1 << 17, 1 << 17};
	char text[128];
	pid_t agent, gone;
	int status = 0;

	// First, since what cannot be done is recorded there.
	mount_on("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
	mount_on("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
	say("started");
	mount_on("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_on("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_on("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_on("bpf", "/sys/fs/bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
	mount_on("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_on("tracefs", "/sys/kernel/tracing", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mkdir("/dev/pts", 0755);
	mount_on("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
	mkdir("/dev/shm", 01777);
	mount_on("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	// ip-netns(8) and the executor keep named namespaces there.
	mkdir("/run/netns", 0755);
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");

	set("/proc/sys/fs/nr_open", "1048576");
	set("/proc/sys/fs/file-max", "1048576");
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		problem("set", "RLIMIT_NOFILE", errno);
	load_modules();

	agent = fork();
	if (agent == 0) {
		// A session of its own: what the agent does to its terminal is nothing to PID 1.
		setsid();
		execve("/bin/lab-guest", arguments, environment);
		problem("execute", "/bin/lab-guest", errno);
		_exit(127);
	}
	if (agent < 0) {
		problem("fork", "the agent", errno);
		say("the agent could not be started");
		power_off();
	}
	// Orphans of the agent's children come here too.
	do {
		gone = wait(&status);
	} while (gone != agent && !(gone < 0 && errno == ECHILD));

	if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "the agent was killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof text, "the agent exited with status %d", WEXITSTATUS(status));
	say(text);
	power_off();
}
