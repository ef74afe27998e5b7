// Micro-benchmarks of the kernel interface. Prints lines of `name value unit`; each value is the best of several rounds.
//
// usage: micro [SCALE [PATTERN]]    SCALE multiplies the work (default 1), PATTERN (an extended regular expression) selects benchmarks by name
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double scale = 1;
static regex_t wanted;
static int is_selective;
static char directory[64];
static char buffer[1 << 16];
static volatile long sink;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int selected(const char *name) { return !is_selective || regexec(&wanted, name, 0, 0, 0) == 0; }

// Runs `body` on `count` operations a round and prints the best time of one operation.
static void measure(const char *name, long count, void (*body)(long)) {
    if (!selected(name)) return;
    count = count * scale < 1 ? 1 : count * scale;
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        double start = now();
        body(count);
        double each = (now() - start) / count;
        if (each < best) best = each;
    }
    if (best < 1e-6) printf("%s %.1f ns\n", name, best * 1e9);
    else printf("%s %.2f us\n", name, best * 1e6);
    fflush(stdout);
}

static long raw(long number) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

// The number as an immediate operand just before the instruction, as the C library's wrappers have it.
static void call_immediate(long n) {
    long result;
    while (n--) __asm__ volatile("movl %1, %%eax\n\tsyscall" : "=a"(result) : "i"(SYS_getppid) : "rcx", "r11", "memory");
}
static void call(long n) { while (n--) raw(SYS_getppid); }
static void call_libc(long n) { while (n--) syscall(SYS_getppid); }
static void own_identity(long n) { while (n--) sink = getpid() + raw(SYS_getpid); }
static void yield(long n) { while (n--) sched_yield(); }
static void vdso(long n) { struct timespec time; while (n--) clock_gettime(CLOCK_MONOTONIC, &time); }
static void processor(long n) { unsigned long x = 1; while (n--) x = x * 6364136223846793005ul + 1442695040888963407ul; sink = x; }

static int zero, null, file;
static void read_zero(long n) { while (n--) sink = read(zero, buffer, 1); }
static void write_null(long n) { while (n--) sink = write(null, buffer, 1); }
static void pread_4k(long n) { for (long i = 0; i < n; i++) sink = pread(file, buffer, 4096, (i % 256) * 4096); }
static void pread_64k(long n) { for (long i = 0; i < n; i++) sink = pread(file, buffer, 65536, (i % 16) * 65536); }
static void pwrite_4k(long n) { for (long i = 0; i < n; i++) sink = pwrite(file, buffer, 4096, (i % 256) * 4096); }
static void stat_file(long n) { struct stat s; while (n--) sink = stat("/bin/sh", &s); }
static void stat_missing(long n) { struct stat s; while (n--) sink = stat("/bin/no-such-name", &s); }
static void open_close(long n) { while (n--) close(open("/bin/sh", O_RDONLY)); }
static void create_unlink(long n) { while (n--) { close(open("new", O_CREAT | O_WRONLY, 0600)); unlink("new"); } }
static void rename_file(long n) { close(open("one", O_CREAT | O_WRONLY, 0600)); while (n--) { rename("one", "two"); rename("two", "one"); } }
static void read_directory(long n) {
    while (n--) {
        DIR *names = opendir("names");
        while (readdir(names)) sink++;
        closedir(names);
    }
}

static void map_unmap(long n) { while (n--) munmap(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096); }
static void touch(long n) {
    char *area = mmap(0, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < n; i++) area[i * 4096] = 1;
    munmap(area, n * 4096);
}
static void touch_file(long n) {
    for (long done = 0; done < n; done += 256) {
        char *area = mmap(0, 1 << 20, PROT_READ, MAP_SHARED, file, 0);
        for (long i = 0; i < 256; i++) sink += area[i * 4096];
        munmap(area, 1 << 20);
    }
}

static int ends[2], back[2];
static void pipe_self(long n) { char c = 0; while (n--) { sink = write(ends[1], &c, 1); sink = read(ends[0], &c, 1); } }
static void pipe_processes(long n) {
    char c = 0;
    pid_t child = fork();
    if (!child) { for (long i = 0; i < n; i++) { sink = read(ends[0], &c, 1); sink = write(back[1], &c, 1); } _exit(0); }
    for (long i = 0; i < n; i++) { sink = write(ends[1], &c, 1); sink = read(back[0], &c, 1); }
    waitpid(child, 0, 0);
}

static int words[2];
static void futex_wait(int *word, int value) {
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, 0, 0, 0);
}
static void futex_set(int *word, int value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
}
static void *partner(void *count) {
    for (long i = 0; i < (long)count; i++) { futex_wait(&words[0], i & 1); futex_set(&words[1], (i + 1) & 1); }
    return 0;
}
static void futex_trip(long n) {
    n &= ~1l;
    words[0] = words[1] = 0;
    pthread_t thread;
    pthread_create(&thread, 0, partner, (void *)n);
    for (long i = 0; i < n; i++) { futex_set(&words[0], (i + 1) & 1); futex_wait(&words[1], i & 1); }
    pthread_join(thread, 0);
}

static int event, poller;
static void event_loop(long n) {
    uint64_t value = 1;
    struct epoll_event got;
    while (n--) { sink = write(event, &value, 8); epoll_wait(poller, &got, 1, -1); sink = read(event, &value, 8); }
}
static void handler(int signal) { sink += signal; }
static void signal_self(long n) { signal(SIGUSR1, handler); pid_t self = getpid(); while (n--) kill(self, SIGUSR1); }
static void *nothing(void *unused) { return unused; }
static void thread_create(long n) { while (n--) { pthread_t thread; pthread_create(&thread, 0, nothing, 0); pthread_join(thread, 0); } }
static void fork_wait(long n) { while (n--) { pid_t child = fork(); if (!child) _exit(0); waitpid(child, 0, 0); } }
static char *large;
static void fork_large(long n) { fork_wait(n); }
static void fork_rewritten(long n) {
    while (n--) {
        for (long i = 0; i < 64l << 20; i += 4096) large[i]++;
        fork_wait(1);
    }
}
static char *program = "/bin/true";
static void fork_exec(long n) { while (n--) { pid_t child = fork(); if (!child) { execl(program, program, (char *)0); _exit(1); } waitpid(child, 0, 0); } }
static void vfork_exec(long n) { while (n--) { pid_t child = vfork(); if (!child) { execl(program, program, (char *)0); _exit(1); } waitpid(child, 0, 0); } }
// Writes `size` bytes and reads one back, `n` times, with a child at the other end that reads `size` and writes one.
static void exchange(int here, int there, long n, long size) {
    pid_t child = fork();
    if (!child) {
        close(here);
        for (long i = 0; i < n; i++) {
            for (long left = size, got; left > 0; left -= got) if ((got = read(there, buffer, left)) <= 0) _exit(1);
            sink = write(there, buffer, 1);
        }
        _exit(0);
    }
    close(there);
    for (long i = 0; i < n; i++) { sink = write(here, buffer, size); sink = read(here, buffer, 1); }
    waitpid(child, 0, 0);
    close(here);
}
static void socket_processes(long n) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) exchange(pair[0], pair[1], n, 1);
}
// A connection over loopback: false where there is none (a sandbox without a network).
static int tcp_connection(int *client, int *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int one = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    if (listening < 0 || bind(listening, (void *)&address, length) || listen(listening, 1) || getsockname(listening, (void *)&address, &length)
        || connect(*client, (void *)&address, length)) { close(listening); close(*client); return 0; }
    *server = accept(listening, 0, 0);
    close(listening);
    setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(*server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return 1;
}
static int has_tcp(void) {
    int client, server;
    if (!tcp_connection(&client, &server)) return 0;
    close(client); close(server);
    return 1;
}
static void tcp_trip(long n) { int client, server; if (tcp_connection(&client, &server)) exchange(client, server, n, 1); }
static void tcp_64k(long n) { int client, server; if (tcp_connection(&client, &server)) exchange(client, server, n, 65536); }
static void socket_pair(long n) {
    char c = 0;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return;
    while (n--) { sink = write(pair[0], &c, 1); sink = read(pair[1], &c, 1); }
    close(pair[0]); close(pair[1]);
}

int main(int count, char **arguments) {
    if (count > 1) scale = atof(arguments[1]);
    if (count > 2) {
        is_selective = 1;
        if (regcomp(&wanted, arguments[2], REG_EXTENDED | REG_NOSUB)) { fprintf(stderr, "not a pattern: %s\n", arguments[2]); return 1; }
    }
    snprintf(directory, sizeof directory, "/tmp/micro.%d", (int)getpid());
    if (mkdir(directory, 0755) || chdir(directory)) { perror(directory); return 1; }
    zero = open("/dev/zero", O_RDONLY);
    null = open("/dev/null", O_WRONLY);
    file = open("file", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 16; i++) sink = write(file, buffer, 65536);
    mkdir("names", 0755);
    for (int i = 0; i < 200; i++) { char name[32]; snprintf(name, sizeof name, "names/name-%d", i); close(open(name, O_CREAT | O_WRONLY, 0600)); }
    if (pipe(ends) || pipe(back)) return 1;
    event = eventfd(0, 0);
    poller = epoll_create1(0);
    struct epoll_event interest = {.events = EPOLLIN};
    epoll_ctl(poller, EPOLL_CTL_ADD, event, &interest);

    measure("syscall", 20000, call);
    measure("syscall-immediate", 20000, call_immediate);
    measure("syscall-libc", 20000, call_libc);
    measure("getpid", 20000, own_identity);
    measure("sched-yield", 10000, yield);
    measure("clock-gettime", 200000, vdso);
    measure("cpu", 50000000, processor);
    measure("read-zero-1", 10000, read_zero);
    measure("write-null-1", 10000, write_null);
    measure("pread-4k", 10000, pread_4k);
    measure("pread-64k", 5000, pread_64k);
    measure("pwrite-4k", 10000, pwrite_4k);
    measure("stat", 5000, stat_file);
    measure("stat-missing", 5000, stat_missing);
    measure("open-close", 5000, open_close);
    measure("create-unlink", 2000, create_unlink);
    measure("rename", 1000, rename_file);
    measure("readdir-200", 500, read_directory);
    measure("mmap-munmap", 5000, map_unmap);
    measure("touch-anonymous", 4096, touch);
    measure("touch-file", 4096, touch_file);
    measure("pipe-self", 5000, pipe_self);
    measure("pipe-processes", 2000, pipe_processes);
    measure("socket-pair", 5000, socket_pair);
    measure("socket-processes", 2000, socket_processes);
    if (has_tcp()) {
        measure("tcp-trip", 2000, tcp_trip);
        measure("tcp-64k", 1000, tcp_64k);
    }
    measure("futex-trip", 2000, futex_trip);
    measure("event-loop", 3000, event_loop);
    measure("signal-self", 3000, signal_self);
    measure("thread", 200, thread_create);
    measure("fork-wait", 50, fork_wait);
    measure("fork-exec", 20, fork_exec);
    measure("vfork-exec", 20, vfork_exec);
    if (selected("fork-64M") || selected("fork-64M-rewritten")) {
        large = mmap(0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(large, 1, 64 << 20);
        measure("fork-64M", 10, fork_large);
        measure("fork-64M-rewritten", 5, fork_rewritten);
    }
    if (chdir("/")) return 1;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}
