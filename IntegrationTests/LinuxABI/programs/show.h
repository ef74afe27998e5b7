// What the programs of this folder share. Each prints what the kernel answers, a line a call; the test runs it natively and in a
// sandbox and compares the lines. So print nothing that differs between two runs: no addresses, process numbers, times or inodes.
#ifndef SHOW_H
#define SHOW_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Prints a call's text with its result, or with the name of its error.
static inline long show_result(const char *text, long result) {
    int error = errno;
    if (result == -1)
        printf("%s = -1 %s\n", text, strerrorname_np(error) ? strerrorname_np(error) : "?");
    else
        printf("%s = %ld\n", text, result);
    fflush(stdout);
    errno = error;
    return result;
}
#define SHOW(call) show_result(#call, (long)(call))

// The same for results that differ between runs (descriptors, process numbers): says only that it worked.
static inline long show_success(const char *text, long result) {
    int error = errno;
    if (result == -1)
        printf("%s = -1 %s\n", text, strerrorname_np(error) ? strerrorname_np(error) : "?");
    else
        printf("%s ok\n", text);
    fflush(stdout);
    errno = error;
    return result;
}
#define OK(call) show_success(#call, (long)(call))

// Names the group of calls that follow.
static inline void topic(const char *name) {
    printf("-- %s\n", name);
    fflush(stdout);
}

static inline void note(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

// A wait status in words.
static inline void show_status(const char *who, int status) {
    if (WIFEXITED(status)) note("%s exited %d", who, WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) note("%s killed by SIG%s", who, sigabbrev_np(WTERMSIG(status)));
    else if (WIFSTOPPED(status)) note("%s stopped by SIG%s", who, sigabbrev_np(WSTOPSIG(status)));
    else if (WIFCONTINUED(status)) note("%s continued", who);
    else note("%s: unknown status", who);
}

// Waits for one child and prints how it ended.
static inline void reap(const char *who, pid_t child) {
    int status = 0;
    pid_t got;
    while ((got = waitpid(child, &status, 0)) == -1 && errno == EINTR) {}
    if (got != child) note("%s: waitpid failed: %s", who, strerrorname_np(errno));
    else show_status(who, status);
}

// Waits a while. Only where the point is that something does not happen.
static inline void rest(int milliseconds) {
    struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    while (nanosleep(&time, &time) == -1 && errno == EINTR) {}
}

// An empty directory of this program's own, as the working directory.
static inline void workplace(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "/tmp/%s.%ld", name, (long)getpid());
    if (mkdir(path, 0755) == -1 || chdir(path) == -1) { perror(path); exit(125); }
    umask(022);
}

#endif
