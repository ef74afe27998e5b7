// Stub threads under PTRACE_SYSEMU. Raw system calls: no errno, no cancellation points on the hot path.
#define _GNU_SOURCE
#include "cplatform.h"
#include "stub_layout.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define PTRACE_CONT 7
#define PTRACE_GETREGS 12
#define PTRACE_SETREGS 13
#define PTRACE_DETACH 17
#define PTRACE_SYSEMU 31
#define PTRACE_GETSIGINFO 0x4202
#define PTRACE_GETREGSET 0x4204
#define PTRACE_SETREGSET 0x4205
#define PTRACE_SEIZE 0x4206
#define PTRACE_INTERRUPT 0x4207
#define PTRACE_LISTEN 0x4208
#define PTRACE_SETSIGMASK 0x420b
#define PTRACE_EVENT_STOP 128
#define PTRACE_O_TRACESYSGOOD 1
#define PTRACE_O_EXITKILL (1 << 20)
#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

static inline long call4(long number, long a, long b, long c, long d) {
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

static inline long trace(long request, int tid, const void *address, void *data) {
    return call4(SYS_ptrace, request, tid, (long)address, (long)data);
}

static long wait_for(int tid, int *status) {
    long result;
    do result = call4(SYS_wait4, tid, (long)status, __WALL, 0);
    while (result == -EINTR);
    return result;
}

int cplatform_attach(int tid) {
    long result = trace(PTRACE_SEIZE, tid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    if (result < 0) return (int)result;
    return (int)trace(PTRACE_INTERRUPT, tid, NULL, NULL);
}

int cplatform_attach_finish(int tid) {
    int status;
    long result = wait_for(tid, &status);
    if (result < 0) return (int)result;
    if (!WIFSTOPPED(status)) return -ESRCH;
    uint64_t none = 0;
    result = trace(PTRACE_SETSIGMASK, tid, (void *)sizeof none, &none);
    return result < 0 ? (int)result : 0;
}

static void classify(int tid, struct user_regs_struct *registers, struct cplatform_stop *stop) {
    for (;;) {
        int status;
        long result = wait_for(tid, &status);
        if (result < 0) {
            stop->kind = CPLATFORM_STOP_ERROR;
            stop->code = (int32_t)-result;
            return;
        }
        if (WIFEXITED(status)) {
            stop->kind = CPLATFORM_STOP_EXITED;
            stop->code = WEXITSTATUS(status);
            return;
        }
        if (WIFSIGNALED(status)) {
            stop->kind = CPLATFORM_STOP_KILLED;
            stop->signal = WTERMSIG(status);
            return;
        }
        int signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            stop->kind = CPLATFORM_STOP_SYSCALL;
        } else if (status >> 16 == PTRACE_EVENT_STOP) {
            if (signal == SIGTRAP) {
                stop->kind = CPLATFORM_STOP_INTERRUPT;
            } else {
                stop->kind = CPLATFORM_STOP_GROUP;
                stop->signal = signal;
                trace(PTRACE_LISTEN, tid, NULL, NULL);
                return;
            }
        } else if (signal == CPLATFORM_INTERRUPT_SIGNAL) {
            stop->kind = CPLATFORM_STOP_INTERRUPT;
        } else {
            siginfo_t info;
            result = trace(PTRACE_GETSIGINFO, tid, NULL, &info);
            if (result == -ESRCH) continue;  // killed in between: the exit status follows
            stop->kind = CPLATFORM_STOP_SIGNAL;
            stop->signal = signal;
            stop->code = info.si_code;
            stop->address = (uint64_t)(uintptr_t)info.si_addr;
            stop->sender = info.si_code <= 0 ? info.si_pid : 0;
            stop->syscall_number = signal == SIGSYS ? info.si_syscall : -1;
        }
        result = trace(PTRACE_GETREGS, tid, NULL, registers);
        if (result == -ESRCH) continue;
        if (result < 0) {
            stop->kind = CPLATFORM_STOP_ERROR;
            stop->code = (int32_t)-result;
        }
        return;
    }
}

static void resume(long request, int tid, void *registers, struct cplatform_stop *stop) {
    struct user_regs_struct *r = registers;
    r->orig_rax = (unsigned long long)-1;  // the kernel must not take a result for a restart code
    long result = trace(PTRACE_SETREGS, tid, NULL, r);
    if (result == 0) result = trace(request, tid, NULL, NULL);
    if (result != 0 && result != -ESRCH) {
        stop->kind = CPLATFORM_STOP_ERROR;
        stop->code = (int32_t)-result;
        return;
    }
    classify(tid, r, stop);  // ESRCH: the stub was killed, and wait4 tells how
}

void cplatform_resume(int tid, void *registers, struct cplatform_stop *stop) { resume(PTRACE_SYSEMU, tid, registers, stop); }

void cplatform_resume_plain(int tid, void *registers, struct cplatform_stop *stop) { resume(PTRACE_CONT, tid, registers, stop); }

void cplatform_continue_waiting(int tid, void *registers, struct cplatform_stop *stop) { classify(tid, registers, stop); }

int cplatform_detach_exit(int tid) {
    struct user_regs_struct registers;
    long result = trace(PTRACE_GETREGS, tid, NULL, &registers);
    if (result < 0) return (int)result;
    registers.orig_rax = (unsigned long long)-1;
    registers.rip = cplatform_stub_thread_exit_address();
    registers.eflags = 0x202;
    registers.cs = 0x33;
    registers.ss = 0x2b;
    result = trace(PTRACE_SETREGS, tid, NULL, &registers);
    if (result < 0) return (int)result;
    return (int)trace(PTRACE_DETACH, tid, NULL, NULL);
}

int cplatform_reap(int tid) {
    int status;
    for (;;) {
        long result = wait_for(tid, &status);
        if (result < 0 || WIFEXITED(status) || WIFSIGNALED(status)) return 0;
    }
}

long cplatform_get_xstate(int tid, void *buffer, size_t size) {
    struct iovec vector = {buffer, size};
    long result = trace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &vector);
    return result < 0 ? result : (long)vector.iov_len;
}

long cplatform_set_xstate(int tid, const void *buffer, size_t size) {
    struct iovec vector = {(void *)buffer, size};
    return trace(PTRACE_SETREGSET, tid, (void *)NT_X86_XSTATE, &vector);
}

int cplatform_interrupt(int process, int tid) { return (int)call4(SYS_tgkill, process, tid, CPLATFORM_INTERRUPT_SIGNAL, 0); }

void cplatform_quiet_children(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    action.sa_flags = SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
}
