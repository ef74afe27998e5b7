// A process that works all the time beside the attackers and looks whether everything is as it should be.
#ifndef WITNESS_H
#define WITNESS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *wrong;
static int wrongLine;
#define RIGHT(what) \
    if (!(what) && !wrong) wrong = #what, wrongLine = __LINE__

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int status_of(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) == -1 && errno == EINTR) {}
    return status;
}

// A child sends back what it gets, changed.
static void check_pipes(uint32_t round) {
    int there[2], back[2];
    RIGHT(pipe(there) == 0 && pipe(back) == 0);
    pid_t child = fork();
    if (child == 0) {
        uint32_t words[1024];
        close(there[1]);
        while (read(there[0], words, sizeof words) == sizeof words) {
            for (int i = 0; i < 1024; i++) words[i] ^= 0x5a5a5a5a;
            if (write(back[1], words, sizeof words) != sizeof words) _exit(1);
        }
        _exit(7);
    }
    RIGHT(child > 0);
    close(there[0]);
    close(back[1]);
    uint32_t sent[1024], received[1024];
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 1024; i++) sent[i] = round * 2654435761u + (uint32_t)(i * k);
        RIGHT(write(there[1], sent, sizeof sent) == sizeof sent);
        for (size_t got = 0; got < sizeof received;) {
            ssize_t count = read(back[0], (char *)received + got, sizeof received - got);
            RIGHT(count > 0);
            if (count <= 0) break;
            got += (size_t)count;
        }
        int same = 1;
        for (int i = 0; i < 1024; i++) same &= received[i] == (sent[i] ^ 0x5a5a5a5a);
        RIGHT(same);
    }
    close(there[1]);
    close(back[0]);
    RIGHT(status_of(child) == 7 << 8);
}

static void check_files(uint32_t round) {
    char name[64], text[256], found[256];
    snprintf(name, sizeof name, "/tmp/witness.%u", round % 8);
    int count = snprintf(text, sizeof text, "round %u of the witness\n", round);
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    RIGHT(file >= 0);
    RIGHT(write(file, text, (size_t)count) == count);
    RIGHT(pread(file, found, sizeof found, 0) == count && memcmp(text, found, (size_t)count) == 0);
    close(file);
    RIGHT(unlink(name) == 0);
    RIGHT(open(name, O_RDONLY) == -1 && errno == ENOENT);
}

static void check_programs(void) {
    pid_t child = vfork();
    if (child == 0) {
        execl("/proc/self/exe", "witness", "--answer", (char *)0);
        _exit(1);
    }
    RIGHT(child > 0);
    RIGHT(status_of(child) == 42 << 8);
}

// A child's changes are its own, and nobody else's come here.
static void check_memory(uint32_t *memory, size_t count, uint32_t round) {
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < count; i += 512) {
            if (memory[i] != (round - 1) * 31 + i) _exit(1);
            memory[i] = 0;
        }
        _exit(9);
    }
    RIGHT(child > 0);
    RIGHT(status_of(child) == 9 << 8);
    int same = 1;
    for (size_t i = 0; i < count; i++) same &= memory[i] == (round - 1) * 31 + i;
    RIGHT(same);
    for (size_t i = 0; i < count; i++) memory[i] = (uint32_t)(round * 31 + i);
}

// A call changes rax, rcx and r11, and nothing else.
static void check_registers(uint64_t seed) {
    uint64_t before[12], after[12], vectors[32], found[32];
    for (int i = 0; i < 12; i++) before[i] = seed * (uint64_t)(2 * i + 3);
    for (int i = 0; i < 32; i++) vectors[i] = seed * (uint64_t)(2 * i + 29);
    for (int i = 0; i < 64; i++) {
        void *a = before, *b = vectors, *c = after, *d = found;
        __asm__ volatile(
            "pushq %%rbp\n pushq %%rbx\n pushq %2\n pushq %3\n"
            "movdqu (%1), %%xmm0\n movdqu 16(%1), %%xmm1\n movdqu 48(%1), %%xmm7\n movdqu 240(%1), %%xmm15\n"
            "movq (%0), %%rbx\n movq 8(%0), %%rdx\n movq 16(%0), %%rsi\n movq 32(%0), %%rbp\n movq 40(%0), %%r8\n movq 48(%0), %%r9\n"
            "movq 56(%0), %%r10\n movq 64(%0), %%r12\n movq 72(%0), %%r13\n movq 80(%0), %%r14\n movq 88(%0), %%r15\n movq 24(%0), %%rdi\n"
            "movl $110, %%eax\n"
            "syscall\n"
            "popq %%rcx\n popq %%rax\n"
            "movq %%rbx, (%%rax)\n movq %%rdx, 8(%%rax)\n movq %%rsi, 16(%%rax)\n movq %%rdi, 24(%%rax)\n movq %%rbp, 32(%%rax)\n movq %%r8, 40(%%rax)\n"
            "movq %%r9, 48(%%rax)\n movq %%r10, 56(%%rax)\n movq %%r12, 64(%%rax)\n movq %%r13, 72(%%rax)\n movq %%r14, 80(%%rax)\n movq %%r15, 88(%%rax)\n"
            "movdqu %%xmm0, (%%rcx)\n movdqu %%xmm1, 16(%%rcx)\n movdqu %%xmm7, 48(%%rcx)\n movdqu %%xmm15, 240(%%rcx)\n"
            "popq %%rbx\n popq %%rbp\n"
            : "+D"(a), "+S"(b), "+d"(c), "+c"(d)
            :
            : "rax", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm7", "xmm15", "memory", "cc");
        RIGHT(memcmp(before, after, sizeof before) == 0);
        RIGHT(memcmp(vectors, found, 32) == 0 && memcmp(vectors + 6, found + 6, 16) == 0 && memcmp(vectors + 30, found + 30, 16) == 0);
    }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long sum;
static void *add(void *value) {
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&mutex);
        sum += (long)value;
        pthread_mutex_unlock(&mutex);
    }
    return value;
}
static void check_threads(void) {
    pthread_t threads[3];
    sum = 0;
    for (long i = 0; i < 3; i++) RIGHT(pthread_create(&threads[i], 0, add, (void *)(i + 1)) == 0);
    if (wrong) return;
    for (long i = 0; i < 3; i++) {
        void *value = 0;
        pthread_join(threads[i], &value);
        RIGHT((long)value == i + 1);
    }
    RIGHT(sum == 300);
}

struct testimony {
    volatile int shall_stop;
    uint64_t rounds, longest, ended;
    char wrong[200];
};

// Works until it is told to stop, or something was wrong.
static void witness(struct testimony *testimony) {
    enum { count = 1 << 16 };
    uint32_t *memory = mmap(0, count * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    RIGHT(memory != MAP_FAILED);
    for (size_t i = 0; i < count; i++) memory[i] = (uint32_t)i;
    for (uint32_t round = 1; !wrong; round++) {
        uint64_t begin = now();
        check_pipes(round);
        check_files(round);
        check_programs();
        check_memory(memory, count, round);
        check_registers(0x9e3779b97f4a7c15 * round);
        check_threads();
        uint64_t took = now() - begin;
        if (took > testimony->longest) testimony->longest = took;
        testimony->rounds = round;
        if (testimony->shall_stop) break;
        // The attackers need the processors too.
        struct timespec rest = {0, 100000000};
        nanosleep(&rest, 0);
    }
    if (wrong) snprintf(testimony->wrong, sizeof testimony->wrong, "%s (line %d, errno %d)", wrong, wrongLine, errno);
    testimony->ended = 1;
    _exit(wrong != 0);
}

#endif
