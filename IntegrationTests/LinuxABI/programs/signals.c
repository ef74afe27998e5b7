// Signals: handlers, masks, queues, restarts, alternate stacks, information, stop and continue, faults.
#include "show.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t count, last_code, last_value, last_signal, on_alternate;
static stack_t alternate;

static void counter(int signal) { count++; last_signal = signal; }

static void informed(int signal, siginfo_t *info, void *context) {
    count++;
    last_signal = signal;
    last_code = info->si_code;
    last_value = info->si_value.sival_int;
    char here;
    on_alternate = (char *)alternate.ss_sp <= &here && &here < (char *)alternate.ss_sp + alternate.ss_size;
    (void)context;
}

static void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(signal, &action, 0);
}

static void basics(void) {
    topic("actions");
    struct sigaction action = {.sa_handler = counter};
    SHOW(sigaction(SIGKILL, &action, 0));
    SHOW(sigaction(SIGSTOP, &action, 0));
    SHOW(sigaction(65, &action, 0));
    SHOW(sigaction(0, &action, 0));
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), 65));
    SHOW(kill(1 << 30, SIGTERM));
    handle(SIGUSR1, counter, 0);
    SHOW(raise(SIGUSR1));
    SHOW(count);
    handle(SIGUSR1, counter, SA_RESETHAND);
    raise(SIGUSR1);
    SHOW(count);
    struct sigaction old;
    SHOW(sigaction(SIGUSR1, 0, &old));
    note("reset %d", old.sa_handler == SIG_DFL);
    topic("masks");
    sigset_t set, pending, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGKILL);
    handle(SIGUSR1, counter, 0);
    SHOW(sigprocmask(SIG_BLOCK, &set, &before));
    sigprocmask(SIG_BLOCK, 0, &pending);
    note("SIGKILL blocked %d", sigismember(&pending, SIGKILL));
    count = 0;
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    SHOW(count);
    sigpending(&pending);
    note("pending %d", sigismember(&pending, SIGUSR1));
    SHOW(sigprocmask(SIG_SETMASK, &before, 0));
    SHOW(count);
    topic("queued signals");
    struct sigaction real = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 2, &real, 0);
    sigaction(SIGRTMIN + 1, &real, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, 0);
    for (int i = 0; i < 5; i++) sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i});
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 100});
    for (int i = 0; i < 6; i++) {
        siginfo_t info;
        int got = sigwaitinfo(&set, &info);
        note("got minimum+%d code %d value %d from self %d", got - SIGRTMIN, info.si_code, info.si_value.sival_int, info.si_pid == getpid());
    }
    struct timespec none = {0, 1000000};
    SHOW(sigtimedwait(&set, 0, &none));
    sigprocmask(SIG_UNBLOCK, &set, 0);
    topic("nested and masked");
    struct sigaction masking = {.sa_handler = counter};
    sigaddset(&masking.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &masking, 0);
    handle(SIGUSR2, counter, 0);
    count = 0;
    raise(SIGUSR1);
    raise(SIGUSR2);
    SHOW(count);
}

static void restarts(void) {
    int ends[2];
    char byte;
    topic("interrupted calls");
    pipe(ends);
    struct itimerval soon = {.it_value = {0, 50000}};
    handle(SIGALRM, counter, 0);
    setitimer(ITIMER_REAL, &soon, 0);
    SHOW(read(ends[0], &byte, 1));
    setitimer(ITIMER_REAL, &soon, 0);
    SHOW(pause());
    setitimer(ITIMER_REAL, &soon, 0);
    struct timespec long_time = {5, 0}, left = {0};
    SHOW(nanosleep(&long_time, &left));
    note("left over %d", left.tv_sec == 4);
    setitimer(ITIMER_REAL, &soon, 0);
    sigset_t all;
    sigemptyset(&all);
    SHOW(sigsuspend(&all));
    handle(SIGALRM, counter, SA_RESTART);
    pid_t child = fork();
    if (child == 0) { rest(150); write(ends[1], "r", 1); _exit(0); }
    count = 0;
    setitimer(ITIMER_REAL, &soon, 0);
    SHOW(read(ends[0], &byte, 1));
    SHOW(count);
    SHOW(byte);
    reap("writer", child);
    child = fork();
    if (child == 0) { rest(150); _exit(1); }
    setitimer(ITIMER_REAL, &soon, 0);
    int status;
    SHOW(waitpid(child, &status, 0) == child);
    SHOW(count);
    setitimer(ITIMER_REAL, &soon, 0);
    SHOW(nanosleep(&long_time, &left));
}

static sigjmp_buf back;
static void *fault_address;
static void faulted(int signal, siginfo_t *info, void *context) {
    last_signal = signal;
    last_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(back, 1);
}

static void faults(void) {
    topic("faults");
    struct sigaction action = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO};
    for (int s = 0; s < 4; s++) sigaction((int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL}[s], &action, 0);
    sigaction(SIGTRAP, &action, 0);
    if (!sigsetjmp(back, 1)) *(volatile int *)16 = 1;
    note("unmapped: SIG%s code %d at 16 %d", sigabbrev_np(last_signal), last_code, fault_address == (void *)16);
    char *page = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!sigsetjmp(back, 1)) page[100] = 1;
    note("read-only: SIG%s code %d there %d", sigabbrev_np(last_signal), last_code, fault_address == page + 100);
    if (!sigsetjmp(back, 1)) ((void (*)(void))page)();
    note("not executable: SIG%s code %d there %d", sigabbrev_np(last_signal), last_code, fault_address == page);
    volatile int zero = 0;
    if (!sigsetjmp(back, 1)) note("%d", 100 / zero);
    note("division: SIG%s code %d", sigabbrev_np(last_signal), last_code);
    if (!sigsetjmp(back, 1)) __asm__ volatile("ud2");
    note("illegal: SIG%s code %d", sigabbrev_np(last_signal), last_code);
    if (!sigsetjmp(back, 1)) __asm__ volatile("int3");
    note("breakpoint: SIG%s code %d", sigabbrev_np(last_signal), last_code);
    if (!sigsetjmp(back, 1)) __asm__ volatile("hlt");
    note("privileged: SIG%s code %d", sigabbrev_np(last_signal), last_code);
    int file = open("short", O_CREAT | O_RDWR, 0600);
    ftruncate(file, 100);
    char *mapped = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    mapped[50] = 1;
    if (!sigsetjmp(back, 1)) mapped[5000] = 1;
    note("beyond the file: SIG%s code %d", sigabbrev_np(last_signal), last_code);
    topic("fatal signals");
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, i == 1 ? SIG_IGN : SIG_DFL);
            signal(SIGFPE, SIG_DFL);
            if (i < 2) *(volatile int *)16 = 1;
            if (i == 2) note("%d", 100 / zero);
            if (i == 3) { signal(SIGPIPE, SIG_DFL); int p[2]; pipe(p); close(p[0]); write(p[1], "x", 1); }
            if (i == 4) { sigset_t set; sigfillset(&set); sigprocmask(SIG_BLOCK, &set, 0); *(volatile int *)16 = 1; }
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        note("case %d signal %d", i, WTERMSIG(status));
    }
}

static int overflow(int depth) { volatile char room[4096]; room[0] = depth; return overflow(depth + 1) + room[0]; }

static void stacks(void) {
    topic("alternate stack");
    alternate = (stack_t){.ss_sp = malloc(65536), .ss_size = 65536};
    SHOW(sigaltstack(&alternate, 0));
    struct sigaction action = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGUSR1, &action, 0);
    raise(SIGUSR1);
    SHOW(on_alternate);
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, 0);
    raise(SIGUSR1);
    SHOW(on_alternate);
    stack_t small = {.ss_sp = malloc(100), .ss_size = 100};
    SHOW(sigaltstack(&small, 0));
    struct sigaction fault = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &fault, 0);
    if (!sigsetjmp(back, 1)) overflow(0);
    note("overflow survived: SIG%s", sigabbrev_np(last_signal));
    topic("where from");
    struct sigaction from = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &from, 0);
    kill(getpid(), SIGUSR2);
    note("code %d", (int)last_code);
    pthread_kill(pthread_self(), SIGUSR2);
    note("code %d", (int)last_code);
    sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 5});
    note("code %d", (int)last_code);
    sigaction(SIGCHLD, &from, 0);
    count = 0;
    pid_t child = fork();
    if (child == 0) _exit(3);
    while (count == 0) pause();
    note("code %d", (int)last_code);
    reap("child", child);
    topic("ignored children");
    signal(SIGCHLD, SIG_IGN);
    child = fork();
    if (child == 0) _exit(3);
    int status;
    SHOW(waitpid(child, &status, 0));
    signal(SIGCHLD, SIG_DFL);
}

static volatile double total;
static void arithmetic(int signal) { total = 3.5 * signal; for (int i = 0; i < 100; i++) total = total / 1.01 + i; }

static void registers(void) {
    topic("floating point survives a handler");
    handle(SIGUSR1, arithmetic, 0);
    double a = 1.25, b = 2.5, c = 3.75;
    for (int i = 0; i < 1000; i++) {
        a = a * 1.0001 + 0.5;
        if (i % 10 == 0) kill(getpid(), SIGUSR1);
        b += a;
        c = c - b / 1000;
    }
    note("%.6f %.6f %.6f", a, b, c);
}

int main(void) {
    workplace("signals");
    basics();
    restarts();
    faults();
    stacks();
    registers();
    return 0;
}
