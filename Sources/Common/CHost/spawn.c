#define _GNU_SOURCE
#include "chost_spawn.h"

#include "chost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Only raw calls are made in the child: it is a copy of one thread of a process that may have had others.
#define CALL(number, ...) CALL_(number, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(number, a, b, c, d, e, f, ...) chost_syscall(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

struct report {
    int step;
    int error;
};

struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static long say(int descriptor, int step, long error) {
    struct report report = {step, (int)error};
    return CALL(SYS_write, descriptor, &report, sizeof report);
}

// Makes `capabilities` survive an exec by a uid other than 0.
static long raise_ambient(uint64_t capabilities) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    long result = CALL(SYS_capget, &header, data);
    if (result < 0) return result;
    data[0].inheritable = data[0].permitted & (uint32_t)capabilities;
    data[1].inheritable = data[1].permitted & (uint32_t)(capabilities >> 32);
    result = CALL(SYS_capset, &header, data);
    if (result < 0) return result;
    for (int capability = 0; capability < 64; capability++) {
        if (!(capabilities >> capability & 1)) continue;
        result = CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        if (result < 0) return result;
    }
    return 0;
}

// Puts every descriptor in its place. On return *executable and *report lie above them, close-on-exec.
static long place_descriptors(const struct chost_spawn_request *request, int *executable, int *report) {
    const int *descriptors = (const int *)request->descriptors;
    int count = (int)request->descriptor_count;
    int copies[count > 0 ? count : 1];
    // First all out of the way, so that no placement overwrites a source.
    for (int i = 0; i < count; i++) {
        copies[i] = -1;
        if (descriptors[i] < 0) continue;
        long copy = CALL(SYS_fcntl, descriptors[i], F_DUPFD_CLOEXEC, count + 2);
        if (copy < 0) return copy;
        copies[i] = (int)copy;
    }
    long copy = CALL(SYS_fcntl, *executable, F_DUPFD_CLOEXEC, count + 2);
    if (copy < 0) return copy;
    *executable = (int)copy;
    copy = CALL(SYS_fcntl, *report, F_DUPFD_CLOEXEC, count + 2);
    if (copy < 0) return copy;
    *report = (int)copy;
    for (int i = 0; i < count; i++) {
        if (copies[i] < 0) {
            CALL(SYS_close, i);
            continue;
        }
        long result = CALL(SYS_dup3, copies[i], i, 0);
        if (result < 0) return result;
    }
    return CALL(SYS_close_range, count, ~0U, CLOSE_RANGE_CLOEXEC);
}

static __attribute__((noreturn)) void child(
    const struct chost_spawn_request *request, char *const *arguments, char *const *environment, int gate, int report) {
    int step = CHOST_SPAWN_GROUPS;
    long result;

    // The caller's handlers are not the program's; its mask neither.
    struct kernel_sigaction defaults = {0};
    for (int signal = 1; signal <= 64; signal++) CALL(SYS_rt_sigaction, signal, &defaults, 0, sizeof(uint64_t));
    uint64_t none = 0;
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);

    // Groups go before the user namespace exists: in it, setgroups is denied.
    if (request->set_identity && (result = CALL(SYS_setgroups, 0, 0)) < 0) goto failed;

    step = CHOST_SPAWN_JOIN_NETWORK;
    if (request->network_namespace >= 0 && (result = CALL(SYS_setns, request->network_namespace, CLONE_NEWNET)) < 0) goto failed;

    step = CHOST_SPAWN_NEW_USER;
    if (request->new_user && (result = CALL(SYS_unshare, CLONE_NEWUSER)) < 0) goto failed;

    if (say(report, CHOST_SPAWN_AT_GATE, 0) < 0) CALL(SYS_exit_group, 127);
    char byte;
    do result = CALL(SYS_read, gate, &byte, 1);
    while (result == -EINTR);
    if (result != 1) CALL(SYS_exit_group, 127);

    step = CHOST_SPAWN_IDENTITY;
    if (request->set_identity) {
        if ((result = CALL(SYS_setresgid, request->gid, request->gid, request->gid)) < 0) goto failed;
        if ((result = CALL(SYS_setresuid, request->uid, request->uid, request->uid)) < 0) goto failed;
    }

    step = CHOST_SPAWN_UNSHARE;
    if (request->unshare_namespaces && (result = CALL(SYS_unshare, request->unshare_namespaces)) < 0) goto failed;

    step = CHOST_SPAWN_SESSION;
    if (request->new_session && (result = CALL(SYS_setsid)) < 0) goto failed;
    if ((result = CALL(SYS_chdir, "/")) < 0) goto failed;
    CALL(SYS_umask, 0);
    // As many descriptors as the host allows, and no core files of our memory.
    struct rlimit limit;
    if (CALL(SYS_getrlimit, RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        CALL(SYS_setrlimit, RLIMIT_NOFILE, &limit);
    }
    struct rlimit zero = {0, 0};
    CALL(SYS_setrlimit, RLIMIT_CORE, &zero);

    step = CHOST_SPAWN_CAPABILITIES;
    if (request->ambient_capabilities && (result = raise_ambient(request->ambient_capabilities)) < 0) goto failed;

    step = CHOST_SPAWN_DESCRIPTORS;
    int executable = request->executable;
    if ((result = place_descriptors(request, &executable, &report)) < 0) goto failed;

    step = CHOST_SPAWN_EXEC;
    result = CALL(SYS_execveat, executable, "", arguments, environment, AT_EMPTY_PATH);

failed:
    say(report, step, -result);
    CALL(SYS_exit_group, 127);
    __builtin_unreachable();
}

// `count` NUL-terminated strings, one after the other, as an array that ends with NULL.
static char **vector(uintptr_t address, size_t count) {
    const char *strings = (const char *)address;
    char **result = calloc(count + 1, sizeof *result);
    for (size_t i = 0; result && i < count; i++) {
        result[i] = (char *)strings;
        strings += strlen(strings) + 1;
    }
    return result;
}

static void reap(pid_t pid) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
}

// The next report: 1, or 0 at the end, or -errno.
static long hear(int descriptor, struct report *report) {
    ssize_t count;
    do count = read(descriptor, report, sizeof *report);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count == sizeof *report;
}

int chost_spawn(const struct chost_spawn_request *request, struct chost_spawned *spawned, int *step) {
    *step = CHOST_SPAWN_PIPE;
    char **arguments = vector(request->arguments, request->argument_count);
    char **environment = vector(request->environment, request->environment_count);
    int gate[2] = {-1, -1}, report[2] = {-1, -1};
    int error = 0;
    if (!arguments || !environment) error = ENOMEM;
    else if (pipe2(gate, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0) error = errno;
    if (error) goto out;

    *step = CHOST_SPAWN_CLONE;
    // No handler of ours may run in the child.
    uint64_t all = ~(uint64_t)0, before = 0;
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    long pid = CALL(SYS_clone, SIGCHLD | request->clone_namespaces, 0, 0, 0, 0);
    if (pid == 0) {
        CALL(SYS_close, gate[1]);
        CALL(SYS_close, report[0]);
        child(request, arguments, environment, gate[0], report[1]);
    }
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
    if (pid < 0) {
        error = (int)-pid;
        goto out;
    }
    close(gate[0]);
    close(report[1]);
    gate[0] = report[1] = -1;
    struct report message = {0, 0};
    long heard = hear(report[0], &message);
    if (heard != 1 || message.step != CHOST_SPAWN_AT_GATE) {
        *step = heard == 1 ? message.step : CHOST_SPAWN_CLONE;
        error = heard == 1 && message.error ? message.error : EIO;
        close(gate[1]);
        gate[1] = -1;
        reap((pid_t)pid);
        goto out;
    }
    *spawned = (struct chost_spawned){(pid_t)pid, gate[1], report[0]};
    gate[1] = report[0] = -1;

out:
    for (int i = 0; i < 2; i++) {
        if (gate[i] >= 0) close(gate[i]);
        if (report[i] >= 0) close(report[i]);
    }
    free(arguments);
    free(environment);
    return -error;
}

int chost_spawn_open_gate(struct chost_spawned *spawned) {
    int error = 0;
    char byte = 0;
    ssize_t written;
    // The child may be dead: without SIGPIPE.
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    sigaction(SIGPIPE, &ignore, &old);
    do written = write(spawned->gate, &byte, 1);
    while (written < 0 && errno == EINTR);
    sigaction(SIGPIPE, &old, NULL);
    if (written < 0) error = errno;
    close(spawned->gate);
    if (!error) return 0;
    close(spawned->report);
    reap(spawned->pid);
    return -error;
}

int chost_spawn_confirm(const struct chost_spawned *spawned, int *step) {
    struct report message = {0, 0};
    int error = 0;
    if (hear(spawned->report, &message) != 0) {
        *step = message.step;
        error = message.error ? message.error : EIO;
    }
    close(spawned->report);
    if (error) reap(spawned->pid);
    return -error;
}

void chost_spawn_abandon(struct chost_spawned *spawned) {
    close(spawned->gate);
    close(spawned->report);
    reap(spawned->pid);
}
