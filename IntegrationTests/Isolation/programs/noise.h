// Threads that attack beside the one whose cases are counted.
#ifndef NOISE_H
#define NOISE_H

#include "attacks.h"

// The number of the process and of its first thread.
static int noisy_process;

// Writes over the slots of all threads, faster than they can look.
static void scribbler(struct block *block) {
    for (volatile uint64_t round = 0;; round++) {
        struct dice d = dice_of(__atomic_load_n(&block->seed, __ATOMIC_RELAXED), round);
        if (guard(block) != 0) continue;
        uint64_t slot = STUB_SLOTS + below(&d, 5) * SLOT_SIZE, offset = slot_offset(&d), value = slot_word(&d, offset, slot);
        // A turn that is none is the end, and so is rare.
        if (offset == TURN && (value & 0xff) > 2 && !chance(&d, 32)) value = 1;
        for (uint64_t count = below(&d, 200); count > 0; count--) *(volatile uint64_t *)(slot + offset) = value;
        if (chance(&d, 8)) some_call(&d);
    }
}

// Makes calls, and sends signals to the others.
static void caller(struct block *block) {
    for (volatile uint64_t round = 0;; round++) {
        struct dice d = dice_of(__atomic_load_n(&block->seed, __ATOMIC_RELAXED) + 1, round);
        if (guard(block) != 0) continue;
        uint32_t word = 0;
        struct timespec brief = {0, 10000};
        switch (below(&d, 8)) {
        case 0: CALL(SYS_futex, &word, FUTEX_WAIT, 0, &brief); break;
        case 1: CALL(SYS_tgkill, noisy_process, noisy_process + below(&d, 4), PICK(&d, SIGUSR1, SIGURG, SIGSEGV, SIGSYS, SIGTRAP, SIGBUS, 40)); break;
        case 2: CALL(SYS_nanosleep, &brief, 0); break;
        case 3: CALL(SYS_mprotect, scratch, 4096, 3); break;
        default: some_call(&d);
        }
    }
}

static void (*const noises[])(struct block *) = {scribbler, caller, scribbler};

static void begin_noise(struct block *block) {
    adopt_block(block);
    ((void (*)(struct block *))block->noise)(block);
}

// Starts `noise` as a thread with a stack, a block and an FS of its own. Its number, or less than 0.
static long start_noise(void (*noise)(struct block *), struct block *block) {
    uint8_t *stack = mmap(0, BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return -1;
    block->noise = (uint64_t)noise;
    long result;
    register uint64_t r8 __asm__("r8") = (uint64_t)block;
    register uint64_t r9 __asm__("r9") = (uint64_t)begin_noise;
    __asm__ volatile(
        "syscall\n"
        "testq %%rax, %%rax\n"
        "jnz 1f\n"
        "xorl %%ebp, %%ebp\n"
        "movq %%r8, %%rdi\n"
        "call *%%r9\n"
        "ud2\n"
        "1:\n"
        : "=a"(result)
        : "a"(SYS_clone), "D"(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS),
          "S"(stack + BLOCK_SIZE - 64), "d"(0), "r"(r8), "r"(r9)
        : "rcx", "r11", "memory");
    return result;
}

#endif
