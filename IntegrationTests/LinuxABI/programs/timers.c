// Clocks, sleeps, interval timers, POSIX timers, alarms.
#include "show.h"
#include <pthread.h>
#include <sys/time.h>
#include <sys/times.h>

static long long now(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) == -1) return -1;
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static volatile sig_atomic_t count, value;
static void handler(int signal, siginfo_t *info, void *context) { count++; value = info->si_value.sival_int; }

static void clocks(void) {
    topic("clocks");
    clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                       CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    for (int i = 0; i < 8; i++) {
        long long before = now(ids[i]);
        int wrong = 0;
        for (int j = 0; j < 20000; j++) { long long after = now(ids[i]); if (after < before) wrong++; before = after; }
        note("clock %d backwards %d", ids[i], wrong);
    }
    SHOW(now(99));
    struct timespec time;
    SHOW(clock_getres(CLOCK_MONOTONIC, &time));
    note("%ld", time.tv_nsec);
    SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
    struct timeval value;
    SHOW(gettimeofday(&value, 0));
    note("agree %d", llabs(value.tv_sec * 1000000LL + value.tv_usec - now(CLOCK_REALTIME) / 1000) < 100000);
    struct timespec direct;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &direct);
    note("call and vDSO agree %d", llabs(direct.tv_sec * 1000000000LL + direct.tv_nsec - now(CLOCK_MONOTONIC)) < 100000000);
    struct tms t;
    SHOW(times(&t) > 0);
    long long cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
    rest(100);
    note("slept %d used little %d", now(CLOCK_MONOTONIC) - wall >= 100000000, now(CLOCK_PROCESS_CPUTIME_ID) - cpu < 50000000);
}

static void sleeping(void) {
    topic("sleeps");
    struct timespec time = {0, 30000000}, bad = {0, 1000000000}, absolute;
    long long start = now(CLOCK_MONOTONIC);
    SHOW(nanosleep(&time, 0));
    note("long enough %d", now(CLOCK_MONOTONIC) - start >= 30000000);
    SHOW(nanosleep(&bad, 0));
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, 0));
    clock_gettime(CLOCK_MONOTONIC, &absolute);
    absolute.tv_nsec += 30000000;
    if (absolute.tv_nsec >= 1000000000) { absolute.tv_nsec -= 1000000000; absolute.tv_sec++; }
    start = now(CLOCK_MONOTONIC);
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &absolute, 0));
    note("long enough %d", now(CLOCK_MONOTONIC) - start >= 25000000);
    absolute.tv_sec -= 5;
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &absolute, 0));
    SHOW(clock_nanosleep(CLOCK_REALTIME, 0, &time, 0));
}

static void timers(void) {
    topic("interval timers");
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGALRM, &action, 0);
    sigaction(SIGVTALRM, &action, 0);
    sigaction(SIGPROF, &action, 0);
    sigaction(SIGUSR1, &action, 0);
    struct itimerval repeat = {{0, 10000}, {0, 10000}}, none = {0}, old;
    SHOW(setitimer(ITIMER_REAL, &repeat, 0));
    while (count < 3) pause();
    SHOW(getitimer(ITIMER_REAL, &old));
    note("interval %ld", (long)old.it_interval.tv_usec);
    SHOW(setitimer(ITIMER_REAL, &none, &old));
    note("was %ld", (long)old.it_interval.tv_usec);
    SHOW(setitimer(7, &none, 0));
    count = 0;
    SHOW(setitimer(ITIMER_VIRTUAL, &repeat, 0));
    while (count < 2) {}
    setitimer(ITIMER_VIRTUAL, &none, 0);
    note("virtual timer fired");
    count = 0;
    SHOW(setitimer(ITIMER_PROF, &repeat, 0));
    while (count < 2) {}
    setitimer(ITIMER_PROF, &none, 0);
    note("profiling timer fired");
    SHOW(alarm(100));
    SHOW(alarm(0));
    topic("POSIX timers");
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 55};
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec times = {{0, 0}, {0, 10000000}}, left;
    count = 0;
    SHOW(timer_settime(timer, 0, &times, 0));
    while (count < 1) pause();
    note("value %d", (int)value);
    SHOW(timer_gettime(timer, &left));
    note("left %ld", left.it_value.tv_nsec);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    times.it_interval.tv_nsec = 5000000;
    timer_settime(timer, 0, &times, 0);
    rest(100);
    siginfo_t info;
    SHOW(sigwaitinfo(&set, &info));
    note("code %d overruns %d", info.si_code, info.si_overrun > 2);
    SHOW(timer_delete(timer));
    SHOW(timer_delete(timer));
    SHOW(timer_create(99, &event, &timer));
    topic("what fork keeps");
    setitimer(ITIMER_REAL, &repeat, 0);
    pid_t child = fork();
    if (child == 0) {
        getitimer(ITIMER_REAL, &old);
        note("timer in the child %d", old.it_value.tv_sec || old.it_value.tv_usec);
        _exit(0);
    }
    reap("child", child);
    setitimer(ITIMER_REAL, &none, 0);
}

int main(void) {
    workplace("timers");
    clocks();
    sleeping();
    timers();
    return 0;
}
