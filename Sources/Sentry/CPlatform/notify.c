// Seccomp user notifications, pidfds and CPU placement.
#define _GNU_SOURCE
#include "cplatform.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SETFD
#define SECCOMP_ADDFD_FLAG_SETFD (1UL << 0)
#endif

int cplatform_notify_receive(int listener, int milliseconds, struct cplatform_notification *out) {
    struct seccomp_notif notification;
    for (;;) {
        // Not a plain wait: a stub that somebody outside has stopped never answers, and before Linux 6.11 a dead one does not wake the receiver.
        struct pollfd waited = {.fd = listener, .events = POLLIN};
        int ready = poll(&waited, 1, milliseconds);
        if (ready == 0) return -EAGAIN;
        if (ready < 0 && errno != EINTR) return -errno;
        if (ready < 0) continue;
        if (!(waited.revents & POLLIN)) return -ESRCH;
        memset(&notification, 0, sizeof notification);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) == 0) break;
        if (errno == EINTR) continue;
        if (errno != ENOENT) return -errno;
        // The caller of this notification was killed meanwhile.
    }
    out->id = notification.id;
    out->tid = (int32_t)notification.pid;
    out->instruction_pointer = notification.data.instruction_pointer;
    for (int i = 0; i < 3; i++) out->arguments[i] = notification.data.args[i];
    return 0;
}

int cplatform_notify_send(int listener, uint64_t id, int64_t value) {
    struct seccomp_notif_resp response = {.id = id, .val = value};
    while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0)
        if (errno != EINTR) return -errno;
    return 0;
}

int cplatform_notify_is_waiting(int listener, uint64_t id) { return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0; }

int cplatform_notify_add(int listener, uint64_t id, int descriptor, int number) {
    struct seccomp_notif_addfd request = {
        .id = id, .flags = SECCOMP_ADDFD_FLAG_SETFD, .srcfd = (uint32_t)descriptor, .newfd = (uint32_t)number, .newfd_flags = 0};
    int result;
    while ((result = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request)) < 0)
        if (errno != EINTR) return -errno;
    return result;
}

void cplatform_notify_set_synchronous(int listener) { ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP); }

int cplatform_kill(int pidfd, int signal) { return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 ? 0 : -errno; }

int cplatform_pin(int tid, int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0 || cpu >= CPU_SETSIZE) return -EINVAL;
    CPU_SET(cpu, &set);
    return syscall(SYS_sched_setaffinity, tid, sizeof set, &set) < 0 ? -errno : 0;
}

int cplatform_allowed_cpus(int *cpus, int capacity) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (syscall(SYS_sched_getaffinity, 0, sizeof set, &set) < 0) return -errno;
    int count = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && count < capacity; cpu++)
        if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
    return count;
}

int cplatform_current_cpu(void) { return sched_getcpu(); }

int cplatform_thread_id(void) { return (int)syscall(SYS_gettid); }
