#define _GNU_SOURCE
#include "chost_trap.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static int report_descriptor = 2;

static char *put_text(char *out, const char *text) {
    while (*text) *out++ = *text++;
    return out;
}

static char *put_number(char *out, uint64_t value, unsigned base) {
    char digits[20];
    int count = 0;
    do digits[count++] = "0123456789abcdef"[value % base];
    while (value /= base);
    while (count > 0) *out++ = digits[--count];
    return out;
}

// Async-signal-safe: one write, then the default action of the same signal.
static void forbidden(int signal, siginfo_t *info, void *context) {
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const int arguments[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    char line[320], *out = line;
    out = put_text(out, "nestbox: the filter stopped system call ");
    out = put_number(out, (uint64_t)info->si_syscall, 10);
    out = put_text(out, " (");
    for (int i = 0; i < 6; i++) {
        out = put_text(out, i ? ", 0x" : "0x");
        out = put_number(out, (uint64_t)registers[arguments[i]], 16);
    }
    out = put_text(out, ") at 0x");
    out = put_number(out, (uint64_t)(uintptr_t)info->si_call_addr, 16);
    out = put_text(out, "\n");
    ssize_t ignored = write(report_descriptor, line, (size_t)(out - line));
    (void)ignored;
    struct sigaction defaults;
    memset(&defaults, 0, sizeof defaults);
    defaults.sa_handler = SIG_DFL;
    sigaction(signal, &defaults, NULL);
    // The same call again, now without a handler: a signal that the kernel forces ends even a PID namespace's process 1, which tgkill would not.
    syscall(info->si_syscall, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10], registers[REG_R8], registers[REG_R9]);
    _exit(128 + SIGSYS);
}

int chost_report_forbidden_calls(int descriptor) {
    report_descriptor = descriptor;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = forbidden;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGSYS, &action, NULL) != 0) return -errno;
    return 0;
}
