// What processes are told of the time and the transfers that they cost (getrusage(2), times(2), clocks, /proc/PID/io and its kin).
#include "show.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/times.h>

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
static double sum(const struct rusage *usage) {
    return (double)usage->ru_utime.tv_sec + (double)usage->ru_stime.tv_sec +
           ((double)usage->ru_utime.tv_usec + (double)usage->ru_stime.tv_usec) / 1e6;
}
static double user(const struct rusage *usage) { return (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1e6; }

static void *burn(void *amount) {
    double end = seconds(CLOCK_THREAD_CPUTIME_ID) + *(double *)amount;
    while (seconds(CLOCK_THREAD_CPUTIME_ID) < end)
        for (volatile int i = 0; i < 200000; i++) {}
    return NULL;
}

static void alone(void) {
    topic("one thread");
    struct rusage before, after;
    double amount = 0.2, cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    getrusage(RUSAGE_SELF, &before);
    burn(&amount);
    getrusage(RUSAGE_SELF, &after);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    double used = sum(&after) - sum(&before);
    note("clock and usage agree %d", used > cpu - 0.03 && used < cpu + 0.03);
    note("as much as was burnt %d", cpu >= 0.19);
    note("not more than passed %d", cpu <= wall + 0.02);
    note("most of it in the program %d", user(&after) - user(&before) > 0.15);
    struct tms ticks;
    times(&ticks);
    note("times agrees %d", (double)(ticks.tms_utime + ticks.tms_stime) / (double)sysconf(_SC_CLK_TCK) <= sum(&after) + 0.05);
    double idle = seconds(CLOCK_PROCESS_CPUTIME_ID);
    rest(100);
    note("sleeping is free %d", seconds(CLOCK_PROCESS_CPUTIME_ID) - idle < 0.05);
}

static void together(void) {
    topic("threads");
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    double processors = CPU_COUNT(&set), amount = 0.1;
    enum { THREADS = 8 };
    pthread_t thread[THREADS];
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, burn, &amount);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    note("as much as was burnt %d", cpu > THREADS * amount * 0.9);
    note("not more than the processors have %d", cpu < wall * processors + 0.05);
}

static void children(void) {
    topic("children");
    struct rusage before, after, child;
    getrusage(RUSAGE_CHILDREN, &before);
    pid_t process = fork();
    if (process == 0) {
        double amount = 0.1;
        burn(&amount);
        _exit(0);
    }
    double own = seconds(CLOCK_PROCESS_CPUTIME_ID);
    wait4(process, NULL, 0, &child);
    note("waiting is free %d", seconds(CLOCK_PROCESS_CPUTIME_ID) - own < 0.05);
    getrusage(RUSAGE_CHILDREN, &after);
    note("usage of the child %d", sum(&child) >= 0.09 && sum(&child) < 0.3);
    note("usage of children %d", sum(&after) - sum(&before) > sum(&child) - 0.01);
}

static long field(const char *file, const char *name) {
    char line[256];
    long value = -1;
    FILE *stream = fopen(file, "r");
    if (stream == NULL) return -1;
    while (fgets(line, sizeof line, stream))
        if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name));
    fclose(stream);
    return value;
}

static void transfers(void) {
    topic("transfers");
    char buffer[4096] = {0};
    int descriptors[2];
    pipe(descriptors);
    long cost = field("/proc/self/io", "rchar:");
    cost = field("/proc/self/io", "rchar:") - cost;
    long bytes = field("/proc/self/io", "rchar:"), calls = field("/proc/self/io", "syscw:"), written = field("/proc/self/io", "wchar:");
    for (int i = 0; i < 10; i++) {
        write(descriptors[1], buffer, 1000);
        read(descriptors[0], buffer, sizeof buffer);
    }
    write(-1, buffer, 1);
    note("written %ld in %ld calls", field("/proc/self/io", "wchar:") - written, field("/proc/self/io", "syscw:") - calls);
    note("read at least %d", field("/proc/self/io", "rchar:") - bytes >= 10000 + cost);
    close(descriptors[0]);
    close(descriptors[1]);
}

static void text_of(pid_t process, const char *name, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    int file = open(path, O_RDONLY);
    ssize_t count = read(file, text, size - 1);
    text[count > 0 ? count : 0] = 0;
    close(file);
}

// Until a process sleeps, looks at its state.
static void wait_asleep(pid_t process) {
    char text[512], *state;
    do {
        text_of(process, "stat", text, sizeof text);
        state = strrchr(text, ')');
    } while (state == NULL || state[2] != 'S');
}

// Where it sleeps, once it does: it may also have been found on its way there.
static void wait_place(pid_t process, char *text, size_t size) {
    do {
        wait_asleep(process);
        text_of(process, "wchan", text, size);
    } while (strcmp(text, "0") == 0);
}

static void sleepers(void) {
    topic("where tasks sleep");
    char text[512];
    pid_t process = fork();
    if (process == 0) {
        struct timespec time = {100, 0};
        syscall(SYS_nanosleep, &time, NULL);
        _exit(0);
    }
    wait_place(process, text, sizeof text);
    note("nanosleep: %s", text);
    text_of(process, "syscall", text, sizeof text);
    int number = -1;
    unsigned long words[8];
    int count = sscanf(text, "%d %lx %lx %lx %lx %lx %lx %lx %lx", &number, &words[0], &words[1], &words[2], &words[3], &words[4], &words[5],
                       &words[6], &words[7]);
    note("call %d, %d fields, second argument %lu", number, count, words[1]);
    kill(process, SIGSTOP);
    waitpid(process, NULL, WUNTRACED);
    text_of(process, "wchan", text, sizeof text);
    note("stopped: %s", text);
    kill(process, SIGKILL);
    reap("sleeper", process);
    process = fork();
    if (process == 0) {
        pid_t process_of_parent = getpid(), inner = fork();
        if (inner == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != process_of_parent) _exit(1);
            rest(100000);
            _exit(0);
        }
        waitpid(inner, NULL, 0);
        _exit(0);
    }
    wait_place(process, text, sizeof text);
    note("wait: %s", text);
    kill(process, SIGKILL);
    reap("waiter", process);
    text_of(getpid(), "syscall", text, sizeof text);
    note("itself: %.*s", (int)strcspn(text, " "), text);
    text_of(getpid(), "wchan", text, sizeof text);
    note("itself: %s", text);
}

static void load(void) {
    topic("load");
    double one, five, fifteen;
    int running, all, last;
    FILE *stream = fopen("/proc/loadavg", "r");
    int count = fscanf(stream, "%lf %lf %lf %d/%d %d", &one, &five, &fifteen, &running, &all, &last);
    note("fields %d, running %d, of all %d", count, running >= 1, all >= running);
    fclose(stream);
    long before = field("/proc/stat", "cpu  ");
    double amount = 0.2;
    burn(&amount);
    note("user time grows %d", field("/proc/stat", "cpu  ") - before >= 15);
}

int main(void) {
    alone();
    together();
    children();
    transfers();
    sleepers();
    load();
    return 0;
}
