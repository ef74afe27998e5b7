// The kinds of attack. Each function makes one case of its kind and comes back, or ends its process.
#ifndef ATTACKS_H
#define ATTACKS_H

#include "stub.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

struct worker {
    struct block *block;
    uint64_t slot;
    // Whether the process is worth going on with: not when its code or its trampolines have gone.
    int isSpoiled;
    uint8_t *code;   // one page for instructions, below 4 GiB
    uint8_t *stack;  // where cloned threads begin
};

#define AFTERWARDS(w) \
    if (guard((w)->block) != 0) return

// What the rest of an attack needs: calls that come through a trampoline and calls that do not.
__attribute__((noinline)) static long patched_call(long number) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(-1l), "S"(0), "d"(0) : "rcx", "r11", "memory");
    return result;
}
__attribute__((noinline)) static long patched_getpid(void) {
    long result;
    __asm__ volatile("movl $39, %%eax\n syscall" : "=a"(result) : : "rcx", "r11", "memory");
    return result;
}
__attribute__((noinline)) static long patched_getppid(void) {
    long result;
    __asm__ volatile("movl $110, %%eax\n syscall" : "=a"(result) : : "rcx", "r11", "memory");
    return result;
}
__attribute__((noinline)) static long patched_yield(void) {
    long result;
    __asm__ volatile("movl $24, %%eax\n syscall" : "=a"(result) : : "rcx", "r11", "memory");
    return result;
}
// Makes their sites hot, so that they are patched.
static void warm_up(void) {
    for (int i = 0; i < 300; i++) {
        patched_call(SYS_close);
        patched_getpid();
        patched_getppid();
        patched_yield();
    }
}
static void some_call(struct dice *d) {
    switch (below(d, 6)) {
    case 0: patched_getpid(); break;
    case 1: patched_yield(); break;
    case 2: patched_call(SYS_gettid); break;
    case 3: patched_call(SYS_close); break;
    case 4: CALL(SYS_getppid); break;
    default: patched_getppid();
    }
}

// ---- jumps ----

static void jump(struct worker *w, struct dice *d, uint64_t number) {
    struct registers r;
    any_registers(d, &r);
    // Every byte of the code in turn.
    r.rip = STUB_CODE + number % (STUB_CODE_END - STUB_CODE);
    if (chance(d, 16)) r.rip = STUB_CODE_END + below(d, 0x1000);
    if (chance(d, 2)) r.rbx = w->slot;
    AFTERWARDS(w);
    leap(&r);
}

static void jump_to_trampolines(struct worker *w, struct dice *d, uint64_t number) {
    struct registers r;
    any_registers(d, &r);
    r.rip = chance(d, 8) ? TRAMPOLINE_TABLE + below(d, 0x40) : TRAMPOLINE_CODE + number % (8 * 64);
    if (chance(d, 2)) r.rip = PICK(d, place.entry, place.entry - below(d, 120), place.give, place.look, place.handler, place.trap, place.leave - below(d, 120));
    // The end of the thread itself is rare: its process goes with it.
    if (r.rip <= place.leave && r.rip + 4 > place.leave && !chance(d, 50)) r.rip = place.entry;
    if (chance(d, 2)) r.r11 = (uint64_t)call_and_land;
    if (chance(d, 2)) r.rcx = (uint64_t)call_and_land;
    if (chance(d, 2)) r.rbx = w->slot;
    AFTERWARDS(w);
    leap(&r);
}

static void step(struct worker *w, struct dice *d, uint64_t number) {
    struct registers r;
    any_registers(d, &r);
    r.flags |= 0x100;
    r.rip = STUB_CODE + number % (STUB_CODE_END - STUB_CODE);
    if (chance(d, 2)) r.rip = PICK(d, place.entry, place.handler, place.give, place.look, place.restorer, TRAMPOLINE_CODE + below(d, 512), (uint64_t)patched_getpid);
    if (chance(d, 2)) r.rbx = w->slot, r.rsp = scratch + 0x2000;
    AFTERWARDS(w);
    w->block->steps = (int32_t)below(d, 24);
    leap(&r);
}

// ---- words ----

// Something that belongs at `offset` of a slot, mostly; else anything.
static uint64_t slot_word(struct dice *d, uint64_t offset, uint64_t slot) {
    if (chance(d, 3)) return any_value(d);
    switch (offset) {
    case TURN: return PICK(d, 1, 2, 0x101, 0x102, 1, 2, 0) | below(d, 3) << 32;
    case ACTION: return below(d, 4) | PICK(d, 0xffffffff, 4, 5, 7, 8, 11, 23, 31, 99) << 32;
    case FRAME:
    case INFO: return slot + (chance(d, 4) ? below(d, SLOT_SIZE) : SLOT_STACK + below(d, SLOT_SIZE - SLOT_STACK) / 8 * 8);
    case FS_BASE:
    case GS_BASE: return PICK(d, slot, slot + SLOT_SIZE, 0, scratch, 1ul << 47, ~0ul);
    default: return offset >= ANSWERS ? below(d, 3) * below(d, 100000) : any_value(d);
    }
}

static uint64_t slot_offset(struct dice *d) {
    switch (below(d, 8)) {
    case 0: return below(d, SLOT_SIZE / 8) * 8;
    case 1: return ANSWERS + below(d, 7) * 8;
    case 2: return SLOT_SIZE - 8 - below(d, 0x1000) / 8 * 8;
    case 3: return PICK(d, TURN, ACTION, FRAME, INFO, FS_BASE, GS_BASE, FLAGS, TARGET, SEQUENCE);
    default: return below(d, TARGET / 8 + 1) * 8;
    }
}

static void scribble(struct worker *w, struct dice *d, uint64_t number) {
    AFTERWARDS(w);
    uint64_t slot = chance(d, 2) ? w->slot : STUB_SLOTS + below(d, chance(d, 8) ? 17 : 4) * SLOT_SIZE;
    for (uint64_t count = 1 + below(d, chance(d, 8) ? 64 : 6); count > 0; count--) {
        uint64_t offset = slot_offset(d);
        *(volatile uint64_t *)(slot + offset) = slot_word(d, offset, slot);
    }
    if (chance(d, 64)) memset((void *)(STUB_SLOTS + below(d, 16) * SLOT_SIZE), (int)below(d, 256), SLOT_SIZE);
    // What only the Sentry may write.
    if (chance(d, 16)) *(volatile uint64_t *)PICK(d, STUB_BASE, STUB_CODE, STUB_RING, STUB_HOST_VDSO, STUB_CODE_END, STUB_IMAGE_END) = roll(d);
    for (uint64_t count = 1 + below(d, 3); count > 0; count--) some_call(d);
    w->block->armed = 0;
}

// ---- segments ----

static void segments(struct worker *w, struct dice *d, uint64_t number) {
    uint64_t value = chance(d, 2) ? any_value(d) : PICK(d, w->slot, STUB_SLOTS, STUB_SLOTS + SLOT_SIZE, STUB_CODE, 0, scratch);
    uint64_t selector = chance(d, 3) ? below(d, 0x10000) : PICK(d, 0, 3, 0x2b, 0x33, 0x23, 7, 0x38);
    struct registers r;
    any_registers(d, &r);
    r.rip = (uint64_t)call_and_land;
    if (chance(d, 2)) r.rip = PICK(d, place.entry, place.trap, place.give, TRAMPOLINE_CODE, (uint64_t)patched_getpid, (uint64_t)patched_yield, (uint64_t)patched_call);
    if (chance(d, 2)) r.rsp = scratch + 0x2000;
    if (chance(d, 2)) r.rbx = value;
    int how = (int)below(d, w->block->noFSGSBase ? 6 : 9);
    AFTERWARDS(w);
    switch (how) {
    case 0: CALL(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, value); break;
    case 1: CALL(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, value); break;
    case 2: CALL(SYS_arch_prctl, below(d, 2) ? 0x1000 + below(d, 0x20) : roll(d), value); break;
    case 3: __asm__ volatile("movw %w0, %%gs" : : "r"(selector)); break;
    case 4: __asm__ volatile("movw %w0, %%fs" : : "r"(selector)); break;
    case 5: __asm__ volatile("movw %w0, %%ds\n movw %w0, %%es" : : "r"(selector)); break;
    case 6:
        __asm__ volatile("wrfsbase %0" : : "r"(value));
        __attribute__((fallthrough));
    default: __asm__ volatile("wrgsbase %0" : : "r"(value));
    }
    leap(&r);
}

// GS as programs have it.
static void put_gs_back(struct worker *w) {
    uint64_t gs = get_gs(w->block);
    if (gs != w->slot && gs != 0) CALL(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, 0);
}

// ---- memory ----

static void remap(struct worker *w, struct dice *d, uint64_t number) {
    uint64_t address = chance(d, 3) ? any_value(d) & ~0xffful : PICK(d, STUB_BASE, STUB_CODE_END, STUB_IMAGE_END, STUB_RING, STUB_HOST_VDSO, STUB_SLOTS, STUB_SLOTS + CHUNK_SIZE, USER_END - 4096, STUB_BASE - 4096, TRAMPOLINE_TABLE, TRAMPOLINE_CODE);
    uint64_t length = PICK(d, 0, 1, 4096, 8192, SLOT_SIZE, CHUNK_SIZE, USER_END - STUB_BASE, 1ul << 47, ~0ul, 0x10000000);
    if (address < STUB_BASE - 4096 && address + length > address && length > 0x12000) length = 4096;
    if (address <= TRAMPOLINE_END && address + 4096 > TRAMPOLINE_TABLE) w->isSpoiled = 1;
    uint64_t other = any_value(d) & ~0xffful, protection = below(d, 8), pointer = address + below(d, 4096);
    struct registers r = {.rsi = length, .rdi = address, .rip = (uint64_t)call_and_land, .cs = 0x33, .ss = 0x2b, .flags = 0x202, .rsp = scratch + 0x2000};
    struct {
        uint64_t base, length;
    } local = {scratch, 64}, remote = {pointer, below(d, 8192)};
    switch (below(d, 24)) {
    case 0: r.rax = SYS_munmap; break;
    case 1: r.rax = SYS_mprotect, r.rdx = protection; break;
    case 2: r.rax = SYS_mremap, r.rdx = length, r.r10 = 3, r.r8 = other; break;
    case 3: r.rax = SYS_mremap, r.rdi = scratch, r.rsi = 4096, r.rdx = 4096, r.r10 = 7, r.r8 = address; break;
    case 4: r.rax = SYS_madvise, r.rdx = below(d, 26); break;
    case 5:
    case 6: r.rax = SYS_mmap, r.rdx = protection, r.r10 = 0x20 | PICK(d, 0x12, 0x11, 0x100012, 0x112, 0x8012), r.r8 = ~0ul; break;
    case 7: r.rax = SYS_mmap, r.rdx = protection, r.r10 = PICK(d, 0x12, 0x11), r.r8 = below(d, 8); break;
    case 8: r.rax = SYS_mincore, r.rdx = scratch; break;
    case 9: r.rax = PICK(d, SYS_mlock, SYS_munlock, SYS_msync, SYS_mlock2), r.rdx = below(d, 8); break;
    case 10: r.rax = SYS_pkey_mprotect, r.rdx = protection, r.r10 = ~0ul; break;
    case 11: r.rax = SYS_remap_file_pages, r.rdx = 0; break;
    case 12:
    case 13: r.rax = PICK(d, SYS_process_vm_readv, SYS_process_vm_writev), r.rdi = (uint64_t)patched_getpid(), r.rsi = (uint64_t)&local, r.rdx = 1, r.r10 = (uint64_t)&remote, r.r8 = 1; break;
    case 14: r.rax = SYS_futex, r.rdi = pointer, r.rsi = PICK(d, 1, 129, 4, 5, 10), r.rdx = below(d, 4), r.r10 = below(d, 4), r.r8 = any_value(d); break;
    case 15: r.rax = SYS_set_tid_address, r.rdi = pointer; break;
    case 16: r.rax = SYS_set_robust_list, r.rdi = pointer, r.rsi = 24; break;
    case 17: r.rax = SYS_rseq, r.rdi = pointer & ~31ul, r.rsi = 32, r.rdx = below(d, 2), r.r10 = 0x53053053; break;
    case 18: r.rax = SYS_pipe2, r.rdi = pointer, r.rsi = 02000000; break;
    case 19: r.rax = PICK(d, SYS_write, SYS_getrandom, SYS_uname, SYS_times, SYS_nanosleep, SYS_rt_sigpending, SYS_sigaltstack), r.rsi = pointer, r.rdx = below(d, 8192);
        if (r.rax == SYS_write) r.rdi = 1;
        break;
    case 20: r.rax = SYS_mbind, r.rdx = below(d, 4), r.r10 = pointer, r.r8 = 64; break;
    case 21: r.rax = SYS_arch_prctl, r.rdi = 0x1003 + below(d, 2), r.rsi = pointer; break;
    case 22: r.rax = SYS_clock_gettime, r.rdi = below(d, 12), r.rsi = pointer; break;
    default: r.rax = 462 /* mseal */; break;
    }
    // Later cases need it.
    w->isSpoiled |= address - scratch < scratch_size || other - scratch < scratch_size;
    AFTERWARDS(w);
    leap(&r);
}

// ---- instructions ----

// Instructions that leave user mode in other ways, or change what it is.
static const struct {
    uint8_t count, bytes[9];
} instructions[] = {
    {2, {0xcd, 0x80}}, {2, {0x0f, 0x34}}, {1, {0xcc}}, {1, {0xf1}}, {2, {0xcd, 0x03}}, {2, {0xcd, 0x04}}, {2, {0xcd, 0x0e}}, {2, {0xcd, 0xff}},
    {2, {0x0f, 0x05}}, {2, {0x0f, 0x07}}, {3, {0x48, 0x0f, 0x07}}, {2, {0x0f, 0x35}}, {1, {0xf4}}, {1, {0xfa}}, {1, {0xfb}}, {2, {0x0f, 0xa2}},
    {3, {0x0f, 0x01, 0xd0}}, {3, {0x0f, 0x01, 0xd1}}, {3, {0x0f, 0x01, 0xee}}, {3, {0x0f, 0x01, 0xef}}, {3, {0x0f, 0x01, 0xf8}}, {3, {0x0f, 0x01, 0xc1}},
    {3, {0x0f, 0x01, 0xd9}}, {2, {0x48, 0xcf}}, {2, {0x48, 0xcb}}, {1, {0xcb}}, {1, {0xcf}}, {2, {0x0f, 0x0b}}, {3, {0x0f, 0x20, 0xc0}}, {3, {0x0f, 0x22, 0xc0}},
    {2, {0x0f, 0x30}}, {2, {0x0f, 0x32}}, {2, {0x0f, 0x31}}, {3, {0x0f, 0x01, 0xf9}}, {2, {0x0f, 0x08}}, {2, {0xe4, 0x00}}, {2, {0xe6, 0x80}}, {3, {0x0f, 0x00, 0xd8}},
    {2, {0x8e, 0xd0}}, {2, {0x8e, 0xd8}}, {2, {0x8e, 0xe0}}, {2, {0x8e, 0xe8}}, {2, {0x0f, 0xa1}}, {2, {0x0f, 0xa9}}, {4, {0xf3, 0x0f, 0xae, 0xd0}}, {4, {0xf3, 0x0f, 0xae, 0xd8}},
    {6, {0xc7, 0xf8, 0, 0, 0, 0}}, {3, {0x0f, 0xae, 0x2f}}, {4, {0x48, 0x0f, 0xae, 0x2f}}, {3, {0x0f, 0xae, 0x17}}, {2, {0xeb, 0xfe}}, {2, {0xff, 0x2f}}, {3, {0x48, 0xff, 0x2f}}, {1, {0x9d}},
};

static void instruct(struct worker *w, struct dice *d, uint64_t number) {
    if (!w->code) return;
    struct registers r;
    any_registers(d, &r);
    r.rip = (uint64_t)w->code + 64 * below(d, 60);
    uint8_t *at = (uint8_t *)r.rip;
    if (chance(d, 8)) {
        for (int i = 0; i < 16; i++) at[i] = (uint8_t)roll(d);
    } else {
        int which = (int)below(d, sizeof instructions / sizeof instructions[0]);
        // An endless loop ends with the timer.
        if (instructions[which].bytes[0] == 0xeb && !chance(d, 8)) which = 0;
        memcpy(at, instructions[which].bytes, instructions[which].count);
        memcpy(at + instructions[which].count, "\x0f\x0b", 2);  // ud2
    }
    if (chance(d, 2)) {
        // A frame for the returns: the rest of the instructions in one of the modes.
        uint64_t *frame = (uint64_t *)(scratch + 0x1000 + below(d, 128) * 16);
        frame[0] = (uint64_t)w->code + below(d, 4096);
        frame[1] = PICK(d, 0x33, 0x23, 0x10, 0x1b, 0, below(d, 0x10000));
        frame[2] = 0x202 | (roll(d) & 0x247fd5);
        frame[3] = any_value(d);
        frame[4] = PICK(d, 0x2b, 0, 3, 0x18, below(d, 0x10000));
        r.rsp = (uint64_t)frame;
        r.rdi = (uint64_t)frame;
    }
    if (chance(d, 12)) r.cs = 0x23;
    if (chance(d, 32)) r.cs = below(d, 0x10000), r.ss = PICK(d, 0x2b, 0, below(d, 0x10000));
    if (chance(d, 64)) r.rip = PICK(d, 0xffffffffff600000, 0xffffffffff600400, 0xffffffffff600800, 0xffffffff80000000, 1ul << 47, (1ul << 47) - 1, roll(d));
    AFTERWARDS(w);
    leap(&r);
}

// ---- frames ----

struct frame {
    uint64_t flags, link, stack[3];
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
    uint64_t mask;
};

// A signal frame of the attacker's making at `address`, with a floating-point image that is right or not.
static void forge_frame(struct worker *w, struct dice *d, uint64_t address, uint64_t image) {
    // The signal stack that comes back with the frame is that of the stub, mostly: on another one the thread waits for what never comes, deaf.
    struct frame f = {.flags = PICK(d, 7, 6, 0, 3, roll(d)), .stack = {w->slot + SLOT_STACK, 0, SLOT_SIZE - SLOT_STACK}};
    if (chance(d, 20000)) f.stack[0] = PICK(d, (uint64_t)w->block + 4096, STUB_SLOTS + SLOT_SIZE + SLOT_STACK, scratch);
    uint64_t *all = &f.r8;
    for (int i = 0; i < 15; i++) all[i] = any_value(d);
    f.rsp = chance(d, 2) ? scratch + 0x2000 : any_value(d);
    f.rip = chance(d, 3) ? any_value(d) : PICK(d, (uint64_t)call_and_land, place.entry, place.give, place.look, place.handler, place.restorer, place.trap);
    f.eflags = chance(d, 2) ? 0x202 : roll(d);
    f.cs = chance(d, 8) ? (uint16_t)PICK(d, 0x23, 0x10, 0, roll(d)) : 0x33;
    f.ss = chance(d, 8) ? (uint16_t)PICK(d, 0x18, 0, roll(d)) : 0x2b;
    f.fs = (uint16_t)PICK(d, 0, 0, 0x2b, roll(d)), f.gs = (uint16_t)PICK(d, 0, 0, 0x2b, roll(d));
    f.fpstate = chance(d, 3) ? PICK(d, 0, any_value(d), image + 8) : image;
    // One that hears no signals any more is killed after ten seconds.
    f.mask = chance(d, 40000) ? ~0ul : 0;
    f.trapno = PICK(d, 14, 13, 6, 1), f.err = roll(d) & 31, f.cr2 = any_value(d);
    if (chance(d, 2)) f.rbx = w->slot, f.r12 = address;
    memcpy((void *)address, &f, sizeof f);
    uint32_t software[6] = {0x46505853, (uint32_t)PICK(d, 2440, 836, below(d, 20000)), (uint32_t)PICK(d, 7, 0xe7, 3, roll(d)), 0, (uint32_t)PICK(d, 2436, 832, 576, below(d, 20000)), 0};
    if (chance(d, 2)) memcpy((void *)(image + 464), software, sizeof software);
    for (int i = 0; i < 4; i++) *(uint64_t *)(image + below(d, 100) * 8) = any_value(d);
}

// A turn given to the Sentry with a context of the attacker's making.
static void forge_turn(struct worker *w, struct dice *d, uint64_t number) {
    if (!has_slots || !place.give) return jump(w, d, number);
    AFTERWARDS(w);
    uint64_t slot = w->slot, frame = slot + 0x800 + below(d, 64) * 8, image = slot + 0x1000 + below(d, 32) * 64, info = slot + 0x600;
    forge_frame(w, d, frame, image);
    struct {
        int32_t signal, error, code, padding;
        uint64_t address;
        int32_t number;
        uint32_t architecture;
    } words = {0, 0, (int32_t)PICK(d, 1, 2, 0x80, 0xfffffffa, 0, roll(d)), 0, any_value(d), (int32_t)PICK(d, 39, 60, 0xfffffdfe, roll(d)), (uint32_t)PICK(d, 0xc000003e, 0x40000003, 0, roll(d))};
    memcpy((void *)info, &words, sizeof words);
    *(volatile int32_t *)(slot + SIGNAL) = (int32_t)PICK(d, 31, 31, 31, 11, 11, 4, 5, 7, 8, 23, 23, 23, 0xffffffff, 0xffffffff, 99, 0, roll(d));
    *(volatile uint64_t *)(slot + FRAME) = chance(d, 8) ? slot + below(d, SLOT_SIZE) : frame;
    *(volatile uint64_t *)(slot + INFO) = chance(d, 8) ? slot + below(d, SLOT_SIZE) : info;
    for (uint64_t i = below(d, 4); i > 0; i--) {
        uint64_t offset = WORDS + below(d, 18) * 8;
        *(volatile uint64_t *)(slot + offset) = any_value(d);
    }
    *(volatile uint64_t *)(slot + FS_BASE) = PICK(d, w->block->fs_base, 0, any_value(d));
    *(volatile uint64_t *)(slot + GS_BASE) = PICK(d, slot, 0, any_value(d));
    *(volatile uint64_t *)(slot + TARGET) = PICK(d, (uint64_t)call_and_land, any_value(d));
    if (chance(d, 2)) *(volatile uint32_t *)(slot + SEQUENCE) += (uint32_t)below(d, 3);
    struct registers r;
    any_registers(d, &r);
    r.rbx = chance(d, 16) ? STUB_SLOTS + below(d, 4) * SLOT_SIZE : slot;
    r.r12 = PICK(d, frame, frame, 0, slot + 0x2000 + below(d, 64) * 8);
    if (r.r12 != frame && r.r12 != 0) forge_frame(w, d, r.r12, image);
    r.rsp = slot + 0x3000;
    r.rip = chance(d, 4) ? place.look : place.give;
    leap(&r);
}

// rt_sigreturn(2) of the host's, which the stub may make, with a frame of the attacker's.
static void forge_return(struct worker *w, struct dice *d, uint64_t number) {
    struct registers r;
    any_registers(d, &r);
    AFTERWARDS(w);
    uint64_t at = has_slots && chance(d, 2) ? w->slot + 0x1000 : scratch + 0x1000;
    forge_frame(w, d, at, at + 0x400);
    r.rsp = at;
    r.rax = 15;
    r.rip = place.restorer ? place.restorer : (uint64_t)return_from_signal;
    leap(&r);
}

// The same of the sandbox's kernel: a handler that changes the frame that it returns to.
static uint64_t frame_seed;
static void change_frame(int signal, siginfo_t *info, void *context) {
    struct dice d = {frame_seed};
    struct frame *f = context;
    for (uint64_t i = 1 + below(&d, 4); i > 0; i--) {
        switch (below(&d, 8)) {
        case 0: f->rip = any_value(&d); break;
        case 1: f->eflags = roll(&d); break;
        case 2: f->cs = (uint16_t)PICK(&d, 0x23, 0x10, 0, roll(&d)); break;
        case 3: f->fpstate = any_value(&d); break;
        case 4: (&f->r8)[below(&d, 16)] = any_value(&d); break;
        case 5: f->ss = (uint16_t)roll(&d); break;
        case 6: if (f->fpstate) *(uint64_t *)(f->fpstate + below(&d, 128) * 8) = roll(&d); break;
        default: if (f->fpstate) *(uint32_t *)(f->fpstate + 464 + below(&d, 6) * 4) = (uint32_t)roll(&d);
        }
    }
}
static void change_return(struct worker *w, struct dice *d, uint64_t number) {
    AFTERWARDS(w);
    frame_seed = roll(d);
    struct kernel_action action = {change_frame, 0x4 | 0x04000000 | 0x08000000, return_from_signal, 0};
    CALL(SYS_rt_sigaction, SIGUSR2, &action, 0, 8);
    CALL(SYS_tgkill, patched_getpid(), CALL(SYS_gettid), SIGUSR2);
    w->block->armed = 0;
}

// ---- processes ----

static void close_everything(struct worker *w, struct dice *d, uint64_t number) {
    AFTERWARDS(w);
    CALL(SYS_close_range, 0, ~0u, below(d, 4));
    for (int i = 0; i < 12; i++) CALL(SYS_close, i);
    some_call(d);
    uint64_t file = (uint64_t)CALL(SYS_memfd_create, "m", 0);
    CALL(SYS_ftruncate, file, 8192);
    CALL(SYS_mmap, any_value(d) & ~0xffful, 4096, below(d, 8), 2, file, 0);
    CALL(SYS_dup2, file, below(d, 16));
    CALL(SYS_close, file);
    w->block->armed = 0;
}

__attribute__((noinline)) static uint64_t any_clone(struct dice *d) {
    const uint64_t thread = CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    uint64_t flags = PICK(d, SIGCHLD, CLONE_VFORK | CLONE_VM | SIGCHLD, CLONE_VM | SIGCHLD, CLONE_VM | CLONE_SIGHAND | SIGCHLD, thread, thread);
    if (chance(d, 2)) flags |= CLONE_CHILD_CLEARTID;
    if (chance(d, 4)) flags |= CLONE_PARENT_SETTID;
    if (chance(d, 4)) flags |= CLONE_CHILD_SETTID;
    if (chance(d, 4)) flags |= CLONE_SETTLS;
    return flags;
}

// A thread or process of any kind, which attacks too and ends.
static void multiply(struct worker *w, struct dice *d, uint64_t number) {
    const volatile uint64_t flags = any_clone(d);
    uint64_t parent = any_value(d), child = any_value(d), tls = any_value(d), slot = w->slot;
    int isFork = !(flags & CLONE_VM);
    struct registers r;
    any_registers(d, &r);
    r.rip = PICK(d, place.entry, place.give, place.look, place.handler, STUB_CODE + below(d, 0x800), (uint64_t)call_and_land);
    // Whose child is stuck in vfork(2) cannot be helped by a timer.
    const uint64_t value = slot_word(d, TURN, slot), offset = slot_offset(d), attacks = flags & CLONE_VFORK && !chance(d, 64) ? 0 : below(d, 3);
    AFTERWARDS(w);
    long result;
    register uint64_t r10 __asm__("r10") = child;
    register uint64_t r8 __asm__("r8") = tls;
    register uint64_t r9 __asm__("r9") = attacks;
    register uint64_t r12 __asm__("r12") = slot + offset;
    register uint64_t r13 __asm__("r13") = value;
    register uint64_t r14 __asm__("r14") = r.rip;
    // The child scribbles once, jumps or not, and exits: no memory but that of its slot.
    __asm__ volatile(
        "syscall\n"
        "testq %%rax, %%rax\n"
        "jnz 1f\n"
        "movq %%r13, (%%r12)\n"
        "testq %%r9, %%r9\n"
        "jz 2f\n"
        "jmp *%%r14\n"
        "2: movl $60, %%eax\n"
        "xorl %%edi, %%edi\n"
        "syscall\n"
        "ud2\n"
        "1:\n"
        : "=a"(result)
        : "a"(SYS_clone), "D"(flags), "S"(isFork ? 0 : (uint64_t)w->stack + 0x4000 * (1 + below(d, 3))), "d"(parent), "r"(r10), "r"(r8), "r"(r9), "r"(r12), "r"(r13), "r"(r14)
        : "rcx", "r11", "memory");
    for (int i = 0; i < 3; i++) some_call(d);
    w->block->armed = 0;
    // Those whose end nobody waits for come to the parent of all.
    CALL(SYS_wait4, -1, 0, WNOHANG | 0x40000000 /* __WALL */, 0);
}

// execve(2), whose program takes the stub over, with what still runs there.
static void execute(struct worker *w, struct dice *d, uint64_t number) {
    char count[24];
    snprintf(count, sizeof count, "%llu", (unsigned long long)below(d, 8));
    uint64_t value = below(d, 4), slots = 1 + below(d, 3);
    long child = CALL(SYS_fork);
    if (child == 0) {
        // Threads of earlier tasks, which wait for the next one, are set loose.
        if (guard(w->block) == 0)
            for (uint64_t i = 0; i < slots; i++) {
                uint64_t slot = STUB_SLOTS + i * SLOT_SIZE;
                if (slot == w->slot) continue;
                *(volatile uint32_t *)(slot + TURN) = 1;
                *(volatile uint32_t *)(slot + ACTION) = (uint32_t)value;
            }
        const char *arguments[] = {"hostile", "--check", count, 0};
        CALL(SYS_execve, "/proc/self/exe", arguments, 0);
        CALL(SYS_exit_group, 3);
    }
    CALL(SYS_wait4, child, 0, 0, 0);
}

#endif
