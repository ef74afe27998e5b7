// Resource limits: what is reported, what is enforced.
#include "show.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

static void limit(int resource, const char *name, rlim_t soft) {
    struct rlimit value;
    getrlimit(resource, &value);
    value.rlim_cur = soft;
    note("set %s %d", name, setrlimit(resource, &value));
    getrlimit(resource, &value);
    note("%s %ld", name, (long)value.rlim_cur);
}

static void *nothing(void *unused) { return 0; }

int main(void) {
    workplace("limits");
    struct rlimit value, old;
    topic("reading and setting");
    SHOW(getrlimit(99, &value));
    SHOW(getrlimit(RLIMIT_NOFILE, (void *)8));
    value = (struct rlimit){10, 5};
    SHOW(setrlimit(RLIMIT_NOFILE, &value));
    SHOW(prlimit(1 << 30, RLIMIT_NOFILE, 0, &old));
    SHOW(prlimit(0, RLIMIT_NOFILE, 0, &old));
    topic("descriptors");
    pid_t child = fork();
    if (!child) {
        limit(RLIMIT_NOFILE, "NOFILE", 10);
        int last = 0, next;
        while ((next = dup(0)) >= 0) last = next;
        note("last %d then %s", last, strerrorname_np(errno));
        SHOW(dup2(0, 10));
        SHOW(open("/dev/null", O_RDONLY));
        int ends[2];
        SHOW(pipe(ends));
        exit(0);
    }
    reap("descriptors", child);
    topic("file size");
    child = fork();
    if (!child) {
        limit(RLIMIT_FSIZE, "FSIZE", 1000);
        signal(SIGXFSZ, SIG_IGN);
        int file = open("big", O_CREAT | O_RDWR, 0600);
        char block[700] = {0};
        SHOW(write(file, block, 700));
        SHOW(write(file, block, 700));
        SHOW(write(file, block, 700));
        SHOW(ftruncate(file, 5000));
        signal(SIGXFSZ, SIG_DFL);
        write(file, block, 700);
        exit(0);
    }
    reap("file size", child);
    topic("address space");
    child = fork();
    if (!child) {
        limit(RLIMIT_AS, "AS", 256 << 20);
        SHOW(mmap(0, 512 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
        note("%s", strerrorname_np(errno));
        SHOW(malloc(1 << 30) == 0);
        exit(0);
    }
    reap("address space", child);
    topic("processor time");
    child = fork();
    if (!child) {
        value = (struct rlimit){1, 2};
        SHOW(setrlimit(RLIMIT_CPU, &value));
        for (;;) {}
    }
    reap("processor time", child);
    topic("processes");
    child = fork();
    if (!child) {
        setuid(54321);
        limit(RLIMIT_NPROC, "NPROC", 3);
        pid_t first = fork();
        if (!first) { pause(); _exit(0); }
        pid_t second = fork();
        if (!second) { pause(); _exit(0); }
        SHOW(fork());
        pthread_t thread;
        note("thread %s", strerrorname_np(pthread_create(&thread, 0, nothing, 0)));
        kill(first, SIGKILL);
        kill(second, SIGKILL);
        exit(0);
    }
    reap("processes", child);
    topic("stack");
    child = fork();
    if (!child) {
        limit(RLIMIT_STACK, "STACK", 1 << 20);
        volatile char *room = __builtin_alloca(900 << 10);
        room[0] = 1;
        note("900 KiB fit");
        room = __builtin_alloca(1 << 20);
        room[0] = 1;
        note("2 MiB do not");
        exit(0);
    }
    reap("stack", child);
    topic("inheritance");
    child = fork();
    if (!child) {
        limit(RLIMIT_CORE, "CORE", 0);
        limit(RLIMIT_NOFILE, "NOFILE", 77);
        execl("/bin/sh", "sh", "-c", "ulimit -n; ulimit -c", (char *)0);
        exit(1);
    }
    reap("inheritance", child);
    return 0;
}
