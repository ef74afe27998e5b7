// ptrace(2): one process traces others, and prints what it sees.
#include "show.h"

#include <elf.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/reg.h>
#include <sys/uio.h>
#include <sys/user.h>

// The C library's enumeration and the kernel's header do not go together: only the call is used.
static long trace(long request, pid_t process, unsigned long address, void *data) {
    return syscall(SYS_ptrace, request, process, address, data);
}

static void show_stop(const char *who, int status) {
    if (!WIFSTOPPED(status)) { show_status(who, status); return; }
    int signal = WSTOPSIG(status);
    note("%s stopped by SIG%s%s, event %d", who, sigabbrev_np(signal & 0x7f), signal & 0x80 ? " (system call)" : "", status >> 16);
}

static int wait_for(const char *who, pid_t process) {
    int status = 0;
    pid_t got = waitpid(process, &status, __WALL);
    if (got == -1) note("%s: waitpid %s", who, strerrorname_np(errno));
    else if (got != process) note("%s: somebody else", who);
    else show_stop(who, status);
    return status;
}

static void show_info(pid_t process) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (trace(PTRACE_GETSIGINFO, process, 0, &info) == -1) note("  no information: %s", strerrorname_np(errno));
    else note("  information: signal %d code %d, from itself %d", info.si_signo, info.si_code, info.si_pid == process);
}

static pid_t traced_child(void (*body)(void)) {
    pid_t child = fork();
    if (child != 0) return child;
    if (trace(PTRACE_TRACEME, 0, 0, NULL) != 0) _exit(99);
    raise(SIGSTOP);
    body();
    _exit(0);
}

// MARK: signals

static volatile sig_atomic_t got_usr1, got_usr2;
static void on_signal(int signal) {
    if (signal == SIGUSR1) got_usr1++;
    else got_usr2++;
}
static void signal_body(void) {
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    signal(SIGWINCH, SIG_IGN);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGWINCH);
    _exit(got_usr1 * 16 + got_usr2);
}

static void signals(void) {
    topic("signals");
    pid_t child = traced_child(signal_body);
    wait_for("child", child);
    show_info(child);
    SHOW(trace(PTRACE_CONT, child, 0, (void *)65));
    SHOW(trace(PTRACE_CONT, child, 0, (void *)0));
    // Delivered, dropped, and changed into another.
    wait_for("child", child);
    show_info(child);
    SHOW(trace(PTRACE_CONT, child, 0, (void *)SIGUSR1));
    wait_for("child", child);
    SHOW(trace(PTRACE_CONT, child, 0, (void *)0));
    wait_for("child", child);
    SHOW(trace(PTRACE_CONT, child, 0, (void *)SIGUSR2));
    // An ignored signal is shown too.
    wait_for("child", child);
    SHOW(trace(PTRACE_CONT, child, 0, (void *)SIGWINCH));
    wait_for("child", child);
}

// MARK: system calls

static void call_body(void) {
    syscall(SYS_getppid);
    syscall(SYS_close, 12345);
    int answer = (int)syscall(SYS_getuid);
    _exit(answer == 4711 ? 5 : 6);
}

static void show_call(pid_t child) {
    struct ptrace_syscall_info info;
    memset(&info, 0, sizeof info);
    long size = trace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
    unsigned long message = 99;
    trace(PTRACE_GETEVENTMSG, child, 0, &message);
    struct user_regs_struct r;
    trace(PTRACE_GETREGS, child, 0, &r);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        note("  entry of %llu (%llu), size %ld, message %lu, rax %lld, same place %d", info.entry.nr, r.orig_rax, size, message,
             (long long)r.rax, info.instruction_pointer == r.rip && info.stack_pointer == r.rsp);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        note("  exit of %llu, error %d, negative %d, size %ld, message %lu", r.orig_rax, info.exit.is_error, info.exit.rval < 0, size, message);
    else
        note("  nothing, size %ld, message %lu", size, message);
}

static void calls(void) {
    topic("system calls");
    pid_t child = traced_child(call_body);
    wait_for("child", child);
    show_call(child);
    SHOW(trace(PTRACE_SETOPTIONS, child, 0, (void *)(1UL << 15)));
    SHOW(trace(PTRACE_SETOPTIONS, child, 0, (void *)PTRACE_O_TRACESYSGOOD));
    for (int stop = 0; stop < 4; stop++) {
        trace(PTRACE_SYSCALL, child, 0, NULL);
        wait_for("child", child);
        show_info(child);
        show_call(child);
    }
    // The call is another, and so is its result.
    trace(PTRACE_SYSCALL, child, 0, NULL);
    wait_for("child", child);
    SHOW(trace(PTRACE_POKEUSR, child, 8 * ORIG_RAX, (void *)(long)SYS_getpid));
    trace(PTRACE_SYSCALL, child, 0, NULL);
    wait_for("child", child);
    errno = 0;
    unsigned long value = 0;
    SHOW(trace(PTRACE_PEEKUSR, child, 8 * RAX, &value));
    note("it is its number: %d", (pid_t)value == child);
    SHOW(trace(PTRACE_POKEUSR, child, 8 * RAX, (void *)4711));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
}

static void skip_body(void) {
    long result = syscall(SYS_exit_group, 3);
    _exit(result == -1 && errno == ENOSYS ? 7 : 8);
}

static void skipping(void) {
    topic("calls that are not made");
    pid_t child = traced_child(skip_body);
    wait_for("child", child);
    trace(PTRACE_SETOPTIONS, child, 0, (void *)PTRACE_O_TRACESYSGOOD);
    trace(PTRACE_SYSCALL, child, 0, NULL);
    wait_for("child", child);
    SHOW(trace(PTRACE_POKEUSR, child, 8 * ORIG_RAX, (void *)-1L));
    trace(PTRACE_SYSCALL, child, 0, NULL);
    wait_for("child", child);
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);

    child = traced_child(skip_body);
    wait_for("child", child);
    trace(PTRACE_SETOPTIONS, child, 0, (void *)PTRACE_O_TRACESYSGOOD);
    trace(PTRACE_SYSEMU, child, 0, NULL);
    wait_for("emulated", child);
    SHOW(trace(PTRACE_POKEUSR, child, 8 * RAX, (void *)(long)-ENOSYS));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("emulated", child);
}

// A call that a signal interrupts: what the stops show of its restart.
static int pipes[2];
static void blocked_body(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    char byte;
    long result = read(pipes[0], &byte, 1);
    _exit(result == 1 ? 9 : 10);
}

static void restarts(void) {
    topic("interrupted calls");
    pipe(pipes);
    pid_t child = traced_child(blocked_body);
    wait_for("child", child);
    trace(PTRACE_SETOPTIONS, child, 0, (void *)PTRACE_O_TRACESYSGOOD);
    struct user_regs_struct r;
    do {
        trace(PTRACE_SYSCALL, child, 0, NULL);
        waitpid(child, NULL, __WALL);
        trace(PTRACE_GETREGS, child, 0, &r);
    } while (r.orig_rax != SYS_read);
    note("entry of read");
    trace(PTRACE_SYSCALL, child, 0, NULL);
    rest(20);
    kill(child, SIGUSR1);
    wait_for("child", child);
    trace(PTRACE_GETREGS, child, 0, &r);
    note("rax %lld, call %lld", (long long)r.rax, (long long)r.orig_rax);
    trace(PTRACE_SYSCALL, child, 0, NULL);
    wait_for("child", child);
    trace(PTRACE_GETREGS, child, 0, &r);
    note("rax %lld, call %lld", (long long)r.rax, (long long)r.orig_rax);
    trace(PTRACE_SYSCALL, child, 0, (void *)SIGUSR1);
    wait_for("child", child);
    trace(PTRACE_GETREGS, child, 0, &r);
    note("rt_sigreturn: %d", r.orig_rax == SYS_rt_sigreturn);
    trace(PTRACE_SYSCALL, child, 0, NULL);
    wait_for("child", child);
    trace(PTRACE_SYSCALL, child, 0, NULL);
    wait_for("child", child);
    trace(PTRACE_GETREGS, child, 0, &r);
    note("read again: %d", r.orig_rax == SYS_read);
    write(pipes[1], "x", 1);
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    close(pipes[0]);
    close(pipes[1]);
}

// MARK: memory and registers

static volatile long variable = 1234;
static double floating = 1.5;
__attribute__((noinline)) static void breakpoint_here(void) { __asm__ volatile("nop\nnop\nnop\n"); }
static void step_body(void) {
    breakpoint_here();
    __asm__ volatile("movsd %0, %%xmm7" : : "m"(floating) : "xmm7");
    __asm__ volatile("int3");
    double result;
    __asm__ volatile("movsd %%xmm7, %0" : "=m"(result));
    _exit(variable == 4321 && result == 2.5 ? 11 : 12);
}

static void registers(void) {
    topic("memory and registers");
    pid_t child = traced_child(step_body);
    wait_for("child", child);
    unsigned long word = 0;
    SHOW(trace(PTRACE_PEEKDATA, child, (unsigned long)&variable, &word));
    note("word %ld", word);
    SHOW(trace(PTRACE_PEEKDATA, child, 0, &word));
    SHOW(trace(PTRACE_PEEKDATA, child, 0xffff800000000000, &word));
    SHOW(trace(PTRACE_POKEDATA, child, 8, (void *)1));
    SHOW(trace(PTRACE_POKEDATA, child, (unsigned long)&variable, (void *)4321));
    note("here %ld", variable);
    SHOW(trace(PTRACE_PEEKUSR, child, 4, &word));
    SHOW(trace(PTRACE_PEEKUSR, child, sizeof(struct user), &word));
    SHOW(trace(PTRACE_PEEKUSR, child, offsetof(struct user, u_debugreg[7]), &word));
    note("debug control %lu", word);
    SHOW(trace(PTRACE_POKEUSR, child, offsetof(struct user, u_debugreg[7]), (void *)0));
    SHOW(trace(PTRACE_POKEUSR, child, 8 * CS, (void *)0));
    SHOW(trace(PTRACE_POKEUSR, child, 8 * FS_BASE, (void *)0xffff800000000000));
    SHOW(trace(PTRACE_POKEUSR, child, offsetof(struct user, u_tsize), (void *)0));

    // A breakpoint in read-only code.
    unsigned long place = (unsigned long)breakpoint_here, code = 0;
    SHOW(trace(PTRACE_PEEKTEXT, child, place, &code));
    SHOW(trace(PTRACE_POKETEXT, child, place, (void *)((code & ~0xffUL) | 0xcc)));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    struct user_regs_struct r, again;
    siginfo_t info;
    trace(PTRACE_GETSIGINFO, child, 0, &info);
    SHOW(trace(PTRACE_GETREGS, child, 0, &r));
    note("after the breakpoint: %d, code %d, call %lld", r.rip == place + 1, info.si_code, (long long)r.orig_rax);
    trace(PTRACE_POKETEXT, child, place, (void *)code);
    r.rip = place;
    SHOW(trace(PTRACE_SETREGS, child, 0, &r));
    for (int step = 0; step < 3; step++) {
        trace(PTRACE_SINGLESTEP, child, 0, NULL);
        wait_for("child", child);
        trace(PTRACE_GETREGS, child, 0, &again);
        trace(PTRACE_GETSIGINFO, child, 0, &info);
        note("step %d, trap flag %d, code %d", again.rip > r.rip && again.rip - r.rip <= 8, (again.eflags & 0x100) != 0, info.si_code);
        r = again;
    }
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    show_info(child);

    // Floating point: the child is at its int3, with 1.5 in xmm7.
    struct user_fpregs_struct f;
    SHOW(trace(PTRACE_GETFPREGS, child, 0, &f));
    double value;
    memcpy(&value, &f.xmm_space[28], 8);
    note("xmm7 %g, mxcsr %x", value, f.mxcsr);
    struct iovec vector = {&f, sizeof f};
    SHOW(trace(PTRACE_GETREGSET, child, NT_PRFPREG, &vector));
    note("size %zu", vector.iov_len);
    value = 2.5;
    memcpy(&f.xmm_space[28], &value, 8);
    SHOW(trace(PTRACE_SETREGSET, child, NT_PRFPREG, &vector));
    static char extended[16384];
    vector = (struct iovec){extended, sizeof extended};
    SHOW(trace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &vector));
    memcpy(&value, extended + 160 + 7 * 16, 8);
    note("xmm7 %g, enough %d", value, vector.iov_len >= 576);
    SHOW(trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &vector));
    vector.iov_len -= 64;
    SHOW(trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &vector));
    vector = (struct iovec){&r, sizeof r};
    SHOW(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector));
    note("size %zu", vector.iov_len);
    vector.iov_len = 12;
    SHOW(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector));
    vector.iov_len = 16;
    SHOW(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector));
    note("size %zu", vector.iov_len);
    SHOW(trace(PTRACE_GETREGSET, child, 0x7777, &vector));
    SHOW(trace(0x6666, child, 0, NULL));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    SHOW(trace(PTRACE_CONT, child, 0, NULL));
}

// MARK: debug registers

static volatile long watched[2] __attribute__((aligned(16)));
static void watch_body(void) {
    watched[1] = 5;
    for (volatile int i = 0; i < 10; i++) {}
    watched[0] = 6;
    breakpoint_here();
    _exit(17);
}

static long debug_register(pid_t child, int number, unsigned long value) {
    return trace(PTRACE_POKEUSR, child, offsetof(struct user, u_debugreg) + 8 * (unsigned)number, (void *)value);
}

static void show_hit(pid_t child, unsigned long place) {
    unsigned long status = 0;
    siginfo_t info;
    struct user_regs_struct r;
    trace(PTRACE_PEEKUSR, child, offsetof(struct user, u_debugreg[6]), &status);
    trace(PTRACE_GETSIGINFO, child, 0, &info);
    trace(PTRACE_GETREGS, child, 0, &r);
    note("status %lx, code %d, there %d, trap flag %d", status, info.si_code, place == 0 || r.rip == place, (r.eflags & 0x100) != 0);
}

static void watching(void) {
    topic("debug registers");
    pid_t child = traced_child(watch_body);
    wait_for("child", child);
    SHOW(debug_register(child, 0, 0xffff800000000000));
    SHOW(debug_register(child, 4, 1));
    SHOW(debug_register(child, 0, (unsigned long)&watched[0]));
    SHOW(debug_register(child, 1, (unsigned long)breakpoint_here));
    // The first watches writes of eight bytes, the second code.
    SHOW(debug_register(child, 7, 1 | 1 << 2 | 9UL << 16 | 0UL << 20));
    unsigned long value = 0;
    trace(PTRACE_PEEKUSR, child, offsetof(struct user, u_debugreg[0]), &value);
    note("kept %d", value == (unsigned long)&watched[0]);
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    show_hit(child, 0);
    trace(PTRACE_PEEKDATA, child, (unsigned long)&watched[0], &value);
    note("written %lu", value);
    SHOW(debug_register(child, 6, 0));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    show_hit(child, (unsigned long)breakpoint_here);
    SHOW(debug_register(child, 7, 0));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
}

// MARK: events

static int sleeper(void *unused) { return 0; }
static char stack[65536];
static void event_body(void) {
    pid_t child = fork();
    if (child == 0) _exit(1);
    waitpid(child, NULL, 0);
    child = vfork();
    if (child == 0) _exit(2);
    waitpid(child, NULL, 0);
    child = clone(sleeper, stack + sizeof stack, 0, NULL);
    waitpid(child, NULL, __WALL);
    execl("/proc/self/exe", "ptrace", "exit", "23", NULL);
    _exit(3);
}

static void events(void) {
    topic("events");
    pid_t child = traced_child(event_body);
    wait_for("parent", child);
    SHOW(trace(PTRACE_SETOPTIONS, child, 0,
               (void *)(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT)));
    trace(PTRACE_CONT, child, 0, NULL);
    pid_t last = 0;
    for (;;) {
        // The parent's events in order, and the new child's life after each of them.
        int status = 0;
        if (waitpid(child, &status, __WALL) != child) break;
        if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD) {
            trace(PTRACE_CONT, child, 0, (void *)SIGCHLD);
            continue;
        }
        show_stop("parent", status);
        if (!WIFSTOPPED(status)) break;
        unsigned long message = 0;
        trace(PTRACE_GETEVENTMSG, child, 0, &message);
        int event = status >> 16;
        if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
            last = (pid_t)message;
            wait_for("  new", last);
            trace(PTRACE_CONT, last, 0, NULL);
            if (event == PTRACE_EVENT_VFORK) trace(PTRACE_CONT, child, 0, NULL);
            int end = wait_for("  new", last);
            if (end >> 16 == PTRACE_EVENT_EXIT) {
                trace(PTRACE_GETEVENTMSG, last, 0, &message);
                note("  exits with %lx", message);
                trace(PTRACE_CONT, last, 0, NULL);
                wait_for("  new", last);
            }
            if (event == PTRACE_EVENT_VFORK) continue;
        } else if (event == PTRACE_EVENT_EXEC) {
            note("  was itself: %d", (pid_t)message == child);
        } else if (event == PTRACE_EVENT_VFORK_DONE) {
            note("  of the same: %d", (pid_t)message == last);
        } else if (event == PTRACE_EVENT_EXIT) {
            note("  exits with %lx", message);
        }
        trace(PTRACE_CONT, child, 0, NULL);
    }
    // Without the option, execve is a SIGTRAP.
    child = fork();
    if (child == 0) {
        trace(PTRACE_TRACEME, 0, 0, NULL);
        execl("/proc/self/exe", "ptrace", "exit", "24", NULL);
        _exit(3);
    }
    wait_for("program", child);
    show_info(child);
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("program", child);
}

// MARK: attaching

static void pause_body(void) {
    for (;;) pause();
}

static void attaching(void) {
    topic("attaching");
    pid_t child = fork();
    if (child == 0) pause_body();
    SHOW(trace(PTRACE_CONT, child, 0, NULL));
    SHOW(trace(PTRACE_ATTACH, getpid(), 0, NULL));
    SHOW(trace(PTRACE_ATTACH, 999999, 0, NULL));
    SHOW(trace(PTRACE_ATTACH, child, 0, NULL));
    SHOW(trace(PTRACE_ATTACH, child, 0, NULL));
    wait_for("child", child);
    SHOW(trace(PTRACE_INTERRUPT, child, 0, NULL));
    SHOW(trace(PTRACE_LISTEN, child, 0, NULL));
    SHOW(trace(PTRACE_DETACH, child, 0, (void *)0));
    SHOW(trace(PTRACE_DETACH, child, 0, (void *)0));

    SHOW(trace(PTRACE_SEIZE, child, 1, NULL));
    SHOW(trace(PTRACE_SEIZE, child, 0, (void *)(1UL << 15)));
    SHOW(trace(PTRACE_SEIZE, child, 0, (void *)PTRACE_O_TRACESYSGOOD));
    SHOW(trace(PTRACE_GETEVENTMSG, child, 0, NULL));
    SHOW(trace(PTRACE_INTERRUPT, child, 0, NULL));
    wait_for("child", child);
    show_info(child);
    SHOW(trace(PTRACE_CONT, child, 0, NULL));

    // A group stop of a seized process, listened to until it ends.
    kill(child, SIGSTOP);
    wait_for("child", child);
    SHOW(trace(PTRACE_LISTEN, child, 0, NULL));
    SHOW(trace(PTRACE_CONT, child, 0, (void *)SIGSTOP));
    wait_for("child", child);
    show_info(child);
    SHOW(trace(PTRACE_LISTEN, child, 0, NULL));
    SHOW(trace(PTRACE_GETEVENTMSG, child, 0, NULL));
    kill(child, SIGCONT);
    wait_for("child", child);
    SHOW(trace(PTRACE_CONT, child, 0, NULL));
    wait_for("child", child);
    SHOW(trace(PTRACE_CONT, child, 0, NULL));

    SHOW(trace(PTRACE_KILL, child, 0, NULL));
    wait_for("child", child);

    // The group stop of an attached one.
    child = fork();
    if (child == 0) pause_body();
    trace(PTRACE_ATTACH, child, 0, NULL);
    wait_for("child", child);
    trace(PTRACE_CONT, child, 0, NULL);
    kill(child, SIGSTOP);
    wait_for("child", child);
    trace(PTRACE_CONT, child, 0, (void *)SIGSTOP);
    wait_for("child", child);
    show_info(child);
    trace(PTRACE_CONT, child, 0, NULL);
    kill(child, SIGTERM);
    wait_for("child", child);
    trace(PTRACE_CONT, child, 0, (void *)SIGTERM);
    wait_for("child", child);

    // One that job control had stopped already.
    child = fork();
    if (child == 0) pause_body();
    kill(child, SIGSTOP);
    int status;
    waitpid(child, &status, WUNTRACED);
    show_status("stopped", status);
    SHOW(trace(PTRACE_SEIZE, child, 0, NULL));
    wait_for("stopped", child);
    SHOW(trace(PTRACE_DETACH, child, 0, NULL));
    kill(child, SIGKILL);
    wait_for("stopped", child);
}

// MARK: ends

static void ends(void) {
    topic("ends of tracers");
    // The tracer's end lets the tracee go on, or takes it along.
    for (int option = 0; option < 2; option++) {
        int channel[2], ready[2];
        pipe(channel);
        pipe(ready);
        pid_t tracee = fork();
        if (tracee == 0) {
            close(channel[1]);
            char byte;
            read(channel[0], &byte, 1);
            _exit(40);
        }
        pid_t tracer = fork();
        if (tracer == 0) {
            if (trace(PTRACE_SEIZE, tracee, 0, (void *)(long)(option ? PTRACE_O_EXITKILL : 0)) != 0) _exit(1);
            write(ready[1], "x", 1);
            _exit(0);
        }
        char byte;
        read(ready[0], &byte, 1);
        reap("tracer", tracer);
        close(channel[0]);
        close(channel[1]);
        reap("tracee", tracee);
        close(ready[0]);
        close(ready[1]);
    }
    // A zombie is the tracer's first and then the parent's.
    int go[2], told[2];
    pipe(go);
    pipe(told);
    pid_t tracee = fork();
    if (tracee == 0) {
        char byte;
        close(go[1]);
        read(go[0], &byte, 1);
        _exit(41);
    }
    pid_t tracer = fork();
    if (tracer == 0) {
        trace(PTRACE_SEIZE, tracee, 0, NULL);
        close(go[0]);
        close(go[1]);
        write(told[1], "x", 1);
        siginfo_t info;
        waitid(P_PID, tracee, &info, WEXITED | WNOWAIT);
        write(told[1], "x", 1);
        rest(20);
        int status = 0;
        waitpid(tracee, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    char byte;
    read(told[0], &byte, 1);
    close(go[0]);
    close(go[1]);
    read(told[0], &byte, 1);
    note("not the parent's yet: %d", waitpid(tracee, NULL, WNOHANG));
    reap("tracee", tracee);
    reap("tracer", tracer);
    close(told[0]);
    close(told[1]);
}

// MARK: threads

static void *thread_body(void *unused) {
    syscall(SYS_exit, 7);
    return NULL;
}
static void threads_body(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, thread_body, NULL);
    pthread_join(thread, NULL);
    raise(SIGSTOP);
}

static void threads(void) {
    topic("threads");
    pid_t child = traced_child(threads_body);
    wait_for("leader", child);
    trace(PTRACE_SETOPTIONS, child, 0, (void *)PTRACE_O_TRACECLONE);
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("leader", child);
    unsigned long message = 0;
    trace(PTRACE_GETEVENTMSG, child, 0, &message);
    pid_t thread = (pid_t)message;
    wait_for("thread", thread);
    SHOW(trace(PTRACE_CONT, thread, 0, NULL));
    SHOW(trace(PTRACE_CONT, child, 0, NULL));
    wait_for("thread", thread);
    wait_for("leader", child);
    SHOW(trace(PTRACE_CONT, child, 0, NULL));
    wait_for("leader", child);
}

// MARK: filters

static void filter_body(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {4, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) _exit(1);
    long first = syscall(SYS_getuid), second = syscall(SYS_getuid);
    _exit(first == 88 && second == (long)getppid() ? 13 : 14);
}

static void filters(void) {
    topic("filters");
    pid_t child = traced_child(filter_body);
    wait_for("child", child);
    trace(PTRACE_SETOPTIONS, child, 0, (void *)(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    unsigned long message = 0;
    trace(PTRACE_GETEVENTMSG, child, 0, &message);
    struct ptrace_syscall_info info;
    long size = trace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
    note("message %lu, kind %d, call %llu, data %u, size %ld", message, info.op, info.seccomp.nr, info.seccomp.ret_data, size);
    trace(PTRACE_POKEUSR, child, 8 * ORIG_RAX, (void *)-1L);
    trace(PTRACE_POKEUSR, child, 8 * RAX, (void *)88);
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    trace(PTRACE_POKEUSR, child, 8 * ORIG_RAX, (void *)(long)SYS_getppid);
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
}

// MARK: masks and pending signals

static void masks(void) {
    topic("masks and pending signals");
    pid_t child = fork();
    if (child == 0) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGRTMIN);
        sigprocmask(SIG_BLOCK, &set, NULL);
        trace(PTRACE_TRACEME, 0, 0, NULL);
        union sigval value = {.sival_int = 5};
        sigqueue(getpid(), SIGRTMIN, value);
        value.sival_int = 6;
        sigqueue(getpid(), SIGRTMIN, value);
        syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
        raise(SIGSTOP);
        _exit(15);
    }
    wait_for("child", child);
    unsigned long mask = 0;
    SHOW(trace(PTRACE_GETSIGMASK, child, 4, &mask));
    SHOW(trace(PTRACE_GETSIGMASK, child, 8, &mask));
    note("mask has %d %d", (mask & 1UL << (SIGUSR1 - 1)) != 0, (mask & 1UL << (SIGRTMIN - 1)) != 0);
    siginfo_t infos[4];
    struct ptrace_peeksiginfo_args arguments = {.off = 0, .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 4};
    SHOW(trace(PTRACE_PEEKSIGINFO, child, (unsigned long)&arguments, infos));
    note("values %d %d", infos[0].si_value.sival_int, infos[1].si_value.sival_int);
    arguments = (struct ptrace_peeksiginfo_args){.off = 0, .flags = 0, .nr = 4};
    SHOW(trace(PTRACE_PEEKSIGINFO, child, (unsigned long)&arguments, infos));
    note("signal %d", infos[0].si_signo);
    arguments = (struct ptrace_peeksiginfo_args){.off = 0, .flags = 8, .nr = 4};
    SHOW(trace(PTRACE_PEEKSIGINFO, child, (unsigned long)&arguments, infos));
    arguments = (struct ptrace_peeksiginfo_args){.off = 9, .flags = 0, .nr = 4};
    SHOW(trace(PTRACE_PEEKSIGINFO, child, (unsigned long)&arguments, infos));
    mask = ~(1UL << (SIGUSR1 - 1));
    SHOW(trace(PTRACE_SETSIGMASK, child, 8, &mask));
    trace(PTRACE_CONT, child, 0, NULL);
    wait_for("child", child);
    siginfo_t info;
    trace(PTRACE_GETSIGINFO, child, 0, &info);
    info.si_code = -60;
    SHOW(trace(PTRACE_SETSIGINFO, child, 0, &info));
    trace(PTRACE_CONT, child, 0, (void *)SIGUSR1);
    wait_for("child", child);
}

// MARK: proc

static void files(void) {
    topic("files of proc");
    pid_t child = traced_child(pause_body);
    wait_for("child", child);
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", child);
    FILE *file = fopen(path, "r");
    while (fgets(text, sizeof text, file)) {
        if (strncmp(text, "State:", 6) == 0) fputs(text, stdout);
        if (strncmp(text, "TracerPid:", 10) == 0) note("the tracer is the parent: %d", atoi(text + 10) == getpid());
    }
    fclose(file);
    long value = 0;
    snprintf(path, sizeof path, "/proc/%d/mem", child);
    int memory = open(path, O_RDWR);
    SHOW(pread(memory, &value, sizeof value, (off_t)(uintptr_t)&variable));
    note("value %ld", value);
    value = 99;
    SHOW(pwrite(memory, &value, sizeof value, (off_t)(uintptr_t)&variable));
    unsigned long word = 0;
    trace(PTRACE_PEEKDATA, child, (unsigned long)&variable, &word);
    note("word %lu", word);
    close(memory);
    struct iovec local = {&value, sizeof value}, remote = {(void *)&variable, sizeof value};
    value = 0;
    SHOW(process_vm_readv(child, &local, 1, &remote, 1, 0));
    note("value %ld", value);
    value = 77;
    SHOW(process_vm_writev(child, &local, 1, &remote, 1, 0));
    SHOW(process_vm_writev(child, &local, 1, &remote, 1, 1));
    trace(PTRACE_PEEKDATA, child, (unsigned long)&variable, &word);
    note("word %lu", word);
    trace(PTRACE_KILL, child, 0, NULL);
    wait_for("child", child);
}

// MARK: rights

static void rights(void) {
    topic("rights");
    pid_t child = fork();
    if (child == 0) pause_body();
    pid_t other = fork();
    if (other == 0) {
        if (setgid(1000) != 0 || setuid(1000) != 0) _exit(1);
        SHOW(trace(PTRACE_ATTACH, child, 0, NULL));
        SHOW(trace(PTRACE_SEIZE, child, 0, NULL));
        long value;
        struct iovec local = {&value, sizeof value}, remote = {(void *)&variable, sizeof value};
        SHOW(process_vm_readv(child, &local, 1, &remote, 1, 0));
        pid_t own = fork();
        if (own == 0) {
            prctl(PR_SET_DUMPABLE, 0);
            raise(SIGSTOP);
            pause_body();
        }
        waitpid(own, NULL, WUNTRACED);
        SHOW(trace(PTRACE_ATTACH, own, 0, NULL));
        kill(own, SIGKILL);
        reap("undumpable", own);
        _exit(0);
    }
    reap("other", other);
    kill(child, SIGKILL);
    reap("child", child);
}

int main(int argc, char **argv) {
    if (argc > 2) return atoi(argv[2]);
    signals();
    calls();
    skipping();
    restarts();
    registers();
    watching();
    events();
    attaching();
    ends();
    threads();
    filters();
    masks();
    files();
    rights();
    return 0;
}
