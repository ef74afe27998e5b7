#define _GNU_SOURCE
#include "chotcalls.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

void swift_retain(void *object);
void swift_release(void *object);

// Parent and child share it.
struct shared {
    struct chotcalls_counts counts;
    int profile;
};
static struct shared *shared;

__attribute__((noinline)) void chotcalls_begin(void) { __asm__ volatile("int3" ::: "memory"); }
__attribute__((noinline)) void chotcalls_end(void) { __asm__ volatile("nop" ::: "memory"); }
struct chotcalls_counts chotcalls_result(void) { return shared->counts; }
void chotcalls_profile(int wanted) { shared->profile = wanted; }
int chotcalls_attach(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 0 : -errno; }

#define PLACES (1 << 16)
static struct { uint64_t address, count; } places[PLACES];

static void note(uint64_t address) {
    for (size_t i = address * 0x9e3779b97f4a7c15 >> 48;; i = (i + 1) % PLACES) {
        if (places[i].address != address && places[i].count != 0) continue;
        places[i].address = address;
        places[i].count++;
        return;
    }
}

static void print_places(void) {
    // Addresses mean something only relative to a function whose symbol is known.
    fprintf(stderr, "chotcalls_begin %#lx\n", (unsigned long)(uintptr_t)chotcalls_begin);
    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].count) fprintf(stderr, "%#lx %lu\n", (unsigned long)places[i].address, (unsigned long)places[i].count);
    }
    memset(places, 0, sizeof places);
}

// `last` is where `address` was reached from.
static void count(struct chotcalls_counts *counts, uint64_t address, uint64_t last) {
    const uint64_t allocators[] = {(uintptr_t)malloc, (uintptr_t)calloc, (uintptr_t)realloc, (uintptr_t)posix_memalign, (uintptr_t)aligned_alloc};
    int isAllocation = 0, isReference = address == (uintptr_t)swift_retain || address == (uintptr_t)swift_release;
    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++) isAllocation |= address == allocators[i];
    counts->instructions++;
    counts->allocations += isAllocation;
    counts->references += isReference;
    if (shared->profile) note(address);
    if (shared->profile && (isAllocation || isReference)) fprintf(stderr, "%#lx from %#lx\n", (unsigned long)address, (unsigned long)last);
    // The child's code lies where the parent's does.
    const unsigned char *code = (const unsigned char *)(uintptr_t)address;
    counts->atomics += code[0] == 0xf0;
    counts->host_calls += code[0] == 0x0f && code[1] == 0x05;
}

static void supervise(pid_t child) {
    int isStepping = 0, status;
    uint64_t last = 0;
    struct chotcalls_counts counts;
    while (1) {
        pid_t who = waitpid(-1, &status, __WALL);
        if (who < 0) _exit(errno == EINTR ? 70 : 71);
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (who == child) _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
            continue;
        }
        int signal = WSTOPSIG(status);
        if (signal == SIGTRAP) {
            struct user_regs_struct registers;
            ptrace(PTRACE_GETREGS, who, 0, &registers);
            signal = 0;
            if (!isStepping) {
                ptrace(PTRACE_SETOPTIONS, who, 0, PTRACE_O_EXITKILL);
                isStepping = 1;
                memset(&counts, 0, sizeof counts);
            } else if (registers.rip == (uintptr_t)chotcalls_end) {
                isStepping = 0;
                shared->counts = counts;
                if (shared->profile) print_places();
            } else if (registers.rip != last) {
                count(&counts, registers.rip, last);
            }
            last = registers.rip;
        }
        ptrace(isStepping ? PTRACE_SINGLESTEP : PTRACE_CONT, who, 0, signal);
    }
}

void chotcalls_supervise(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) _exit(72);
    // On one processor a step is a switch, on two it is a wake-up.
    cpu_set_t processors;
    CPU_ZERO(&processors);
    CPU_SET(sched_getcpu(), &processors);
    sched_setaffinity(0, sizeof processors, &processors);
    pid_t child = fork();
    if (child < 0) _exit(73);
    if (child > 0) supervise(child);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}
