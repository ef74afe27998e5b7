// What guest code finds of its stub process (stub_layout.h), and where attacks aim. On a platform without slots the slots' addresses are just not mapped.
#ifndef STUB_H
#define STUB_H

#include "dice.h"
#include "recover.h"

#define STUB_BASE 0x7ffe00000000
#define STUB_CODE (STUB_BASE + 0x200)
#define STUB_CODE_END (STUB_BASE + 0x2000)
#define STUB_IMAGE_END (STUB_BASE + 0x3000)
#define STUB_RING (STUB_BASE + 0x10000)
#define STUB_HOST_VDSO (STUB_BASE + 0x20000)
#define STUB_SLOTS (STUB_BASE + 0x10000000)
#define SLOT_SIZE 0x4000
#define SLOT_STACK 1024
#define CHUNK_SIZE (16 * SLOT_SIZE)
#define USER_END 0x7ffffffff000
#define TRAMPOLINE_TABLE 0x050fe000
#define TRAMPOLINE_CODE 0x05100000
#define TRAMPOLINE_END 0x05110000

enum { TURN = 0, SPIN = 4, ACTION = 8, SIGNAL = 12, FRAME = 16, INFO = 24, FS_BASE = 32, GS_BASE = 40, SEQUENCE = 48, WORDS = 64, FLAGS = 192, TARGET = 200, ANSWERS = 256 };

// Places in the stub's code, found by what stands there; 0 where the platform has no such code.
static struct {
    uint64_t entry, handler, give, look, restorer, leave, trap;
} place;

static uint64_t find(const char *bytes, size_t count) {
    const uint8_t *at = memmem((const void *)STUB_CODE, STUB_CODE_END - STUB_CODE, bytes, count);
    return (uint64_t)at;
}
#define FIND(bytes) find(bytes, sizeof bytes - 1)

static void find_places(void) {
    place.entry = FIND("\x65\x48\x89\x04\x25\x40\x00\x00\x00\x65\x48\x89\x1c\x25");  // mov %rax,%gs:64; mov %rbx,%gs:
    place.handler = FIND("\x48\x89\xe3\x48\x81\xe3\x00\xc0\xff\xff");               // mov %rsp,%rbx; and $-0x4000,%rbx
    place.give = FIND("\xb8\x02\x00\x00\x00\x87\x03");                              // mov $2,%eax; xchg %eax,(%rbx)
    place.look = FIND("\x45\x31\xed\x8b\x03");                                      // xor %r13d,%r13d; mov (%rbx),%eax
    place.restorer = FIND("\xb8\x0f\x00\x00\x00\x0f\x05");                          // mov $15,%eax; syscall
    place.leave = FIND("\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05");                     // mov $60,%eax; xor %edi,%edi; syscall
    place.trap = FIND("\x0f\x0b\x65\x4c\x89\x1c\x25\xc8\x00\x00\x00\x0f\x05");      // ud2; mov %r11,%gs:200; syscall
}

static int has_slots;

static inline uint64_t get_gs(struct block *block) {
    uint64_t value = 0;
    if (block->noFSGSBase) CALL(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &value);
    else __asm__ volatile("rdgsbase %0" : "=r"(value));
    return value;
}

// The slot of the calling thread, or the first one when GS does not tell.
static inline uint64_t own_slot(struct block *block) {
    uint64_t gs = get_gs(block);
    return gs >= STUB_SLOTS && gs < STUB_SLOTS + CHUNK_SIZE && (gs & (SLOT_SIZE - 1)) == 0 ? gs : STUB_SLOTS;
}

// Memory of the attacker's own, for pointers that lead somewhere.
enum { scratch = 0x20000000, scratch_size = 0x4000 };
static inline void make_scratch(void) { mmap((void *)scratch, scratch_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); }

// A value that means something to somebody.
static inline uint64_t any_value(struct dice *d) {
    switch (below(d, 10)) {
    case 0: return roll(d);
    case 1: return below(d, 512);
    case 2: return STUB_SLOTS + below(d, 4 * SLOT_SIZE);
    case 3: return STUB_SLOTS + below(d, 16) * SLOT_SIZE;
    case 4: return STUB_CODE + below(d, STUB_IMAGE_END - STUB_CODE);
    case 5: return TRAMPOLINE_TABLE + below(d, TRAMPOLINE_CODE + 0x1000 - TRAMPOLINE_TABLE);
    case 6: return PICK(d, 0, 1, 2, 3, 0x101, 0x102, ~0ul, 0xffffffff, 1ul << 47, (1ul << 47) - 4096, 1ul << 63, 0x3b, 0x0f, 0xca, 0x22, 0x18);
    case 7: return PICK(d, STUB_RING, STUB_HOST_VDSO, STUB_BASE, STUB_IMAGE_END, USER_END, 0xffffffffff600000, TRAMPOLINE_TABLE);
    default: return scratch + below(d, scratch_size);
    }
}

// A number of a system call that does not end the attacker at once.
static inline uint64_t any_call(struct dice *d) {
    while (1) {
        uint64_t number = chance(d, 8) ? PICK(d, 15, 202, 24, 34, 45, 46, 9, 10, 11, 25, 56, 131, 14, 317, 3, 39, 186, 102) : below(d, 470);
        // The one that is meant to be made is another kind's: exit, exit_group; and those that only slow the machine down.
        if (number != SYS_exit && number != SYS_exit_group && number != SYS_sync && number != SYS_vhangup) return number;
    }
}

static inline void any_registers(struct dice *d, struct registers *r) {
    uint64_t *all = (uint64_t *)r;
    for (int i = 0; i < 15; i++) all[i] = any_value(d);
    if (chance(d, 2)) r->rax = any_call(d);
    r->rsp = chance(d, 2) ? scratch + 0x2000 + below(d, 0x1000) : any_value(d);
    r->rip = 0;
    r->cs = 0x33;
    r->ss = 0x2b;
    r->flags = 0x202 | (chance(d, 4) ? roll(d) & (0xcd5 | 1 << 18 | 1 << 14 | 1 << 21) : 0);
}

#endif
